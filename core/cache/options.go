package cache

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/strata-cache/strata/core/codec"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/guard/keyrule"
)

// MaxTags is how many tags an entry may have. A value with more is not stored.
const MaxTags = 256

// Options configure a cache. The zero value is ready for use.
type Options struct {
	// Name is the cache's name in events and logs: its Django alias. Default: "default".
	Name string
	// Prefix keeps caches apart that share a store. Together with Version it is the namespace that
	// Clear clears. At most 64 bytes, without control characters. Default: none.
	Prefix string
	// Version isolates generations of an application's values: a cache sees only entries of its own
	// version. Default: 1.
	Version int
	// Policy is the policy of the untyped verbs, and the base of every kind's.
	Policy Policy
	// Key says which keys are let through. Default: keys over 250 bytes, and keys with control
	// characters, are hashed.
	Key keyrule.Rule
	// Codec encodes values of the untyped verbs, and of kinds that name none. Strings and byte slices
	// are always stored as they are, integers as decimal numbers. Default: codec.JSON.
	Codec codec.Codec
	// Observer receives the cache's events. Default: none.
	Observer *event.Observer
	// Logger gets one line a minute at most while a store is failing, and nothing else. Default: silent.
	Logger *slog.Logger
	// KeepStore says that Close leaves the store open, because somebody else owns it.
	KeepStore bool
}

func (o Options) resolve() (Options, error) {
	if o.Name == "" {
		o.Name = "default"
	}
	if o.Version == 0 {
		o.Version = 1
	}
	if o.Codec == nil {
		o.Codec = codec.JSON()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if len(o.Prefix) > 64 {
		return o, fmt.Errorf("cache: Options.Prefix has %d bytes, at most 64 are allowed", len(o.Prefix))
	}
	if strings.ContainsFunc(o.Prefix, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		return o, errors.New("cache: Options.Prefix holds control characters")
	}
	if o.Version < 0 {
		return o, fmt.Errorf("cache: Options.Version %d is negative", o.Version)
	}
	if err := o.Key.Validate(); err != nil {
		return o, fmt.Errorf("cache: Options.Key: %w", err)
	}
	var err error
	o.Policy, err = o.Policy.resolve()
	return o, err
}

// namespace returns what every final key of a prefix and version begins with. A colon in the prefix is
// escaped, so that no two pairs share a namespace.
func namespace(prefix string, version int) string {
	prefix = strings.NewReplacer("%", "%25", ":", "%3A").Replace(prefix)
	return prefix + ":" + strconv.Itoa(version) + ":"
}
