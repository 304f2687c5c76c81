package config

import (
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Config describes the named caches of a program. See the package comment for the meaning of the fields.
type Config struct {
	Caches map[string]Cache
}

// Cache describes one cache. A zero field means the default of package cache, a negative duration "off".
type Cache struct {
	URL          URL   // mandatory, unless there are Tiers
	Tiers        Tiers // the stores of a cache that has two or three
	Prefix       string
	Version      int
	Codec        string // default "json"
	StoreTimeout time.Duration
	KeyMode      string // "hash", the default, or "reject"
	KeyMaxLen    int    // in bytes
	TTL          time.Duration
	Jitter       float64
	NegativeTTL  time.Duration
	StaleFor     time.Duration
	HardTimeout  time.Duration
	Priority     string // "low", "normal", "important", "critical", or empty
	Shared       bool
}

// URL names a store. It may hold a password, and shows none when it is printed: String and the verbs of
// package fmt give its scheme and host only. Convert it to a string for the whole.
type URL string

// String returns the URL's scheme and host.
func (u URL) String() string {
	parsed, err := url.Parse(string(u))
	if err != nil || parsed.Scheme == "" {
		return "(no URL)"
	}
	if parsed.User != nil {
		return parsed.Scheme + "://***@" + parsed.Host
	}
	return parsed.Scheme + "://" + parsed.Host
}

// GoString is String, for %#v.
func (u URL) GoString() string { return fmt.Sprintf("%q", u.String()) }

// MarshalText is what encoders write, those of JSON and of log handlers: the whole URL where it holds no
// secret, and otherwise what String shows.
func (u URL) MarshalText() ([]byte, error) {
	if parsed, err := url.Parse(string(u)); err != nil || len(secrets(parsed)) > 0 {
		return []byte(u.String()), nil
	}
	return []byte(u), nil
}

// FieldError is a value that cannot be used.
type FieldError struct {
	Cache string // the cache's name
	Field string // as in JSON; empty where the error is about the cache as a whole
	Err   error
}

// Error names the cache, the field and the reason.
func (e *FieldError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("config: cache %q: %v", e.Cache, e.Err)
	}
	return fmt.Sprintf("config: cache %q: %s: %v", e.Cache, e.Field, e.Err)
}

// Unwrap returns the reason.
func (e *FieldError) Unwrap() error { return e.Err }

// checkAlias reports whether a cache may be called alias.
func checkAlias(alias string) error {
	for i, r := range alias {
		switch {
		case r >= 'a' && r <= 'z', i > 0 && (r >= '0' && r <= '9' || r == '_' || r == '-'):
		default:
			return fmt.Errorf("a name holds lower-case letters, digits, '_' and '-' and begins with a letter")
		}
	}
	if alias == "" || len(alias) > 64 {
		return fmt.Errorf("a name has 1 to 64 bytes")
	}
	for _, f := range fields {
		upper := strings.ToUpper(f.name)
		if a, g, ok := splitVariable(envAlias(alias) + "_" + upper); !ok || a != envAlias(alias) || g.name != f.name {
			return fmt.Errorf("the name ends like a field: %s%s_%s would be ambiguous in the environment", cachePrefix, envAlias(alias), upper)
		}
	}
	return nil
}
