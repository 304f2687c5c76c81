package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

const (
	fileVariable = "STRATA_CONFIG"
	cachePrefix  = "STRATA_CACHE_"
)

// FromEnv returns the configuration of the process: the file that STRATA_CONFIG names, if it is set, with
// the variables STRATA_CACHE_… laid over it.
func FromEnv() (Config, error) {
	var cfg Config
	if path := os.Getenv(fileVariable); path != "" {
		var err error
		if cfg, err = Load(path); err != nil {
			return Config{}, err
		}
	}
	return Overlay(cfg, os.Environ())
}

// Overlay returns cfg with the variables STRATA_CACHE_… laid over it. environ is as os.Environ returns it;
// other variables are ignored. cfg is not changed.
func Overlay(cfg Config, environ []string) (Config, error) {
	out := Config{Caches: maps.Clone(cfg.Caches)}
	if out.Caches == nil {
		out.Caches = make(map[string]Cache)
	}
	aliases := make(map[string]string, len(out.Caches))
	for alias := range out.Caches {
		if other, taken := aliases[envAlias(alias)]; taken {
			return Config{}, sameVariable(alias, other)
		}
		aliases[envAlias(alias)] = alias
	}
	var errs []error
	for _, v := range slices.Sorted(slices.Values(environ)) {
		name, text, _ := strings.Cut(v, "=")
		rest, ok := strings.CutPrefix(name, cachePrefix)
		if !ok {
			continue
		}
		upper, f, ok := splitVariable(rest)
		if !ok {
			errs = append(errs, fmt.Errorf("config: variable %s names no cache or no known field", name))
			continue
		}
		alias, known := aliases[upper]
		if !known {
			alias = strings.ToLower(upper)
			if err := checkAlias(alias); err != nil || envAlias(alias) != upper {
				errs = append(errs, fmt.Errorf("config: variable %s: %w", name,
					cmpErr(err, errors.New("a cache's name is written in upper case"))))
				continue
			}
			aliases[upper] = alias
		}
		c := out.Caches[alias]
		if err := f.set(&c, text); err != nil {
			errs = append(errs, &FieldError{Cache: alias, Field: f.name, Err: fmt.Errorf("%w (from %s)", err, name)})
			continue
		}
		out.Caches[alias] = c
	}
	if err := errors.Join(errs...); err != nil {
		return Config{}, err
	}
	return out, nil
}

func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

func sameVariable(a, b string) error {
	a, b = min(a, b), max(a, b)
	return &FieldError{Cache: a, Err: fmt.Errorf("it cannot be told from cache %q in the environment", b)}
}

// envAlias is how a cache's name is written in a variable.
func envAlias(alias string) string { return strings.ToUpper(strings.ReplaceAll(alias, "-", "_")) }

// splitVariable splits what follows STRATA_CACHE_ into a cache's name and a field. Where several fields fit
// the longest is meant.
func splitVariable(rest string) (alias string, f field, ok bool) {
	for _, candidate := range fields {
		a, fits := strings.CutSuffix(rest, "_"+strings.ToUpper(candidate.name))
		if fits && a != "" && len(candidate.name) > len(f.name) {
			alias, f, ok = a, candidate, true
		}
	}
	return alias, f, ok
}
