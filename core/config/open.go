package config

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/codec"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/guard/keyrule"
	"github.com/strata-cache/strata/core/store"
)

// Opener opens the store that a URL names. It refuses parameters that it does not know.
type Opener func(u *url.URL) (store.Store, error)

// Parts are what a description can only name. The zero value is enough for in-process caches.
type Parts struct {
	// Stores are the openers by URL scheme. "memory" and "null" are always there, unless replaced.
	Stores map[string]Opener
	// Codecs are the codecs by name. "json" is always there, unless replaced.
	Codecs map[string]codec.Codec
	// Observer receives the events of all caches, and of the stores of scheme "memory".
	Observer *event.Observer
	// Logger is the caches' logger. Nil is silent.
	Logger *slog.Logger
}

// Open opens all caches of cfg and returns their manager, which owns them. It checks everything before it
// opens anything, and where a store cannot be opened it closes those that were.
func Open(cfg Config, parts Parts) (*cache.Manager, error) {
	plans, err := plan(cfg, parts)
	if err != nil {
		return nil, err
	}
	caches := make(map[string]*cache.Cache, len(plans))
	for _, p := range plans {
		c, err := p.open()
		if err != nil {
			errs := []error{&FieldError{Cache: p.alias, Field: p.field, Err: err}}
			for _, alias := range slices.Sorted(maps.Keys(caches)) {
				errs = append(errs, caches[alias].Close())
			}
			return nil, errors.Join(errs...)
		}
		caches[p.alias] = c
	}
	return cache.NewManager(caches)
}

// planned is one cache that only needs its store.
type planned struct {
	alias string
	field string // that names the store or stores
	store func() (store.Store, error)
	opts  cache.Options
}

func (p planned) open() (*cache.Cache, error) {
	st, err := p.store()
	if err != nil {
		return nil, err
	}
	c, err := cache.New(st, p.opts)
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return c, nil
}

func plan(cfg Config, parts Parts) ([]planned, error) {
	var errs []error
	if _, ok := cfg.Caches[cache.DefaultAlias]; !ok {
		errs = append(errs, &FieldError{Cache: cache.DefaultAlias, Err: errors.New("it is missing, and mandatory")})
	}
	var plans []planned
	variables := make(map[string]string)
	for _, alias := range slices.Sorted(maps.Keys(cfg.Caches)) {
		if err := checkAlias(alias); err != nil {
			errs = append(errs, &FieldError{Cache: alias, Err: err})
			continue
		}
		if other, taken := variables[envAlias(alias)]; taken {
			errs = append(errs, sameVariable(alias, other))
		}
		variables[envAlias(alias)] = alias
		p := planned{alias: alias, field: "url"}
		fail := func(field string, err error) {
			if err != nil {
				errs = append(errs, &FieldError{Cache: alias, Field: field, Err: err})
			}
		}
		c := cfg.Caches[alias]
		if c.Tiers == (Tiers{}) {
			p.store = parts.store(c.URL, func(err error) { fail("url", err) })
		} else {
			p.field, p.store = "tiers", parts.tiers(alias, c, fail)
		}
		p.opts = parts.options(alias, c, fail)
		plans = append(plans, p)
	}
	return plans, errors.Join(errs...)
}

// store plans one store, and returns what opens it.
func (p Parts) store(text URL, fail func(error)) func() (store.Store, error) {
	if text == "" {
		fail(errors.New("it is missing"))
		return nil
	}
	// The error of url.Parse quotes what it could not parse, which may be a password.
	u, err := url.Parse(string(text))
	if err != nil || u.Scheme == "" {
		fail(errors.New("it is no URL such as memory:// or redis://host:6379/0; special characters of a password must be percent-encoded"))
		return nil
	}
	openers := map[string]Opener{"memory": Memory(p.Observer), "null": Null()}
	maps.Copy(openers, p.Stores)
	open := openers[u.Scheme]
	switch {
	case open != nil:
		return func() (store.Store, error) { return openOne(u, open) }
	case u.Scheme == "tiered":
		fail(errors.New("stores in front of one another are listed in tiers, without a url"))
	default:
		fail(fmt.Errorf("there is no opener for scheme %q, only for %s", u.Scheme, names(openers)))
	}
	return nil
}

func (p Parts) options(alias string, c Cache, fail func(string, error)) cache.Options {
	opts := cache.Options{
		Name: alias, Prefix: c.Prefix, Version: c.Version, StoreTimeout: c.StoreTimeout,
		Observer: p.Observer, Logger: p.Logger,
		Policy: cache.Policy{
			TTL: c.TTL, Jitter: c.Jitter, NegativeTTL: c.NegativeTTL, StaleFor: c.StaleFor,
			HardTimeout: c.HardTimeout, Shared: c.Shared,
		},
		Key: keyrule.Rule{MaxLen: c.KeyMaxLen},
	}
	var ok bool
	if opts.Policy.Priority, ok = priorities[c.Priority]; !ok {
		fail("priority", fmt.Errorf("%q is not one of %s", c.Priority, names(priorities)))
	}
	if opts.Key.Mode, ok = keyModes[c.KeyMode]; !ok {
		fail("key_mode", fmt.Errorf("%q is not one of %s", c.KeyMode, names(keyModes)))
	}
	codecs := map[string]codec.Codec{"": codec.JSON(), "json": codec.JSON()}
	maps.Copy(codecs, p.Codecs)
	if opts.Codec = codecs[c.Codec]; opts.Codec == nil {
		fail("codec", fmt.Errorf("%q is not one of %s", c.Codec, names(codecs)))
	}
	// Each field alone, so that the error can name it.
	fail("version", cache.Options{Version: c.Version}.Validate())
	fail("prefix", cache.Options{Prefix: c.Prefix}.Validate())
	fail("jitter", cache.Options{Policy: cache.Policy{Jitter: c.Jitter}}.Validate())
	if err := (cache.Options{Prefix: c.Prefix}).Validate(); err == nil {
		fail("key_max_len", cache.Options{Prefix: c.Prefix, Key: keyrule.Rule{MaxLen: c.KeyMaxLen}}.Validate())
	}
	return opts
}

var priorities = map[string]store.Priority{
	"": store.PriorityDefault, "low": store.PriorityLow, "normal": store.PriorityNormal,
	"important": store.PriorityImportant, "critical": store.PriorityCritical,
}

var keyModes = map[string]keyrule.Mode{"": keyrule.Hash, "hash": keyrule.Hash, "reject": keyrule.Reject}

// names lists the keys of m but the empty one.
func names[V any](m map[string]V) string {
	keys := slices.DeleteFunc(slices.Sorted(maps.Keys(m)), func(k string) bool { return k == "" })
	return strings.Join(keys, ", ")
}
