package cache

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/strata-cache/strata/core/codec"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/guard/keyrule"
	"github.com/strata-cache/strata/core/guard/mirror"
	"github.com/strata-cache/strata/core/guard/refresh"
)

// minHeartbeat keeps a busy process from taking itself for a cut-off one.
const minHeartbeat = 10 * time.Millisecond

// MaxTagLen is the longest tag in bytes. A value with a longer one is not stored.
const MaxTagLen = 250

// MaxTags is how many tags an entry may have. A value with more is not stored.
const MaxTags = 256

// DefaultStoreTimeout is what a store outside the process has for one operation.
const DefaultStoreTimeout = 50 * time.Millisecond

// hashedKey is the length of a hashed key without its namespace.
const hashedKey = 33

// Options configure a cache. The zero value is ready for use.
type Options struct {
	// Name is the cache's name in events and logs: its Django alias. Default: "default".
	Name string
	// Prefix keeps caches apart that share a store. Together with Version it is the namespace that
	// Clear clears. At most 64 bytes, without control characters. Two caches over one store in this process
	// need different ones: each knows of its own invalidations alone. Default: none.
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
	// StoreTimeout is how long an operation of a store outside the process may take, per 100 keys in
	// calls over many; afterwards it counts as failed. The store must heed its context. It does not bound
	// Clear, Keys and DeletePattern. Negative: no limit but the caller's. Default: 50 milliseconds.
	StoreTimeout time.Duration
	// DegradedL1TTL is how long what is in this process is still served when the shared store's log of
	// invalidations has fallen silent: counted from when it was last heard, or from when a value was
	// made. Default: 5 seconds.
	DegradedL1TTL time.Duration
	// Heartbeat is how often the log is heard from at least; it counts as silent after three, or after
	// DegradedL1TTL where that is shorter. From 10 milliseconds to half of DegradedL1TTL. Default: 1 second,
	// at most a third of DegradedL1TTL.
	Heartbeat time.Duration
	// LeaseTTL is how long a process that has died keeps others from loading a key; a live one renews its
	// lease. Default: 10 seconds.
	LeaseTTL time.Duration
	// MaxNegative is how many keys are remembered not to exist, in a space of their own. Default: 10,000.
	MaxNegative int
	// RefreshQueue is how many background refreshes wait at most, before the oldest is dropped. Default:
	// 1,024.
	RefreshQueue int
	// RefreshWorkers is how many background refreshes run at the same time. Default: 8.
	RefreshWorkers int
	// Fleet takes the background refreshes of kinds, so that one of a fleet's workers does each. It stays
	// open when the cache closes. See Kind.Refresher. Default: this process does its own.
	Fleet refresh.Fleet
	// Now tells the time by which values expire, for tests; see package cachetest. It must not stand still
	// for ever in one that waits. Default: the system's, read every 5 milliseconds.
	Now func() time.Time
	// Observer receives the cache's events. Default: none.
	Observer *event.Observer
	// Logger gets one line a minute at most while a store is failing, and nothing else. Default: silent.
	Logger *slog.Logger
	// KeepStore says that Close leaves the store open, because somebody else owns it.
	KeepStore bool
}

// Validate reports whether New would accept the options.
func (o Options) Validate() error {
	_, err := o.resolve()
	return err
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
	if o.StoreTimeout == 0 {
		o.StoreTimeout = DefaultStoreTimeout
	}
	if o.DegradedL1TTL <= 0 {
		o.DegradedL1TTL = mirror.DefaultDegraded
	}
	switch {
	case o.Heartbeat <= 0:
		o.Heartbeat = min(mirror.DefaultHeartbeat, o.DegradedL1TTL/3)
	case o.Heartbeat < minHeartbeat:
		return o, fmt.Errorf("cache: Options.Heartbeat %v is below %v", o.Heartbeat, minHeartbeat)
	case o.Heartbeat > o.DegradedL1TTL/2:
		return o, fmt.Errorf("cache: Options.Heartbeat %v is more than half of DegradedL1TTL, %v", o.Heartbeat, o.DegradedL1TTL)
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
	if err := roomFor(namespace(o.Prefix, o.Version)+":", o.Key); err != nil {
		return o, fmt.Errorf("cache: Options.Key: %w", err)
	}
	var err error
	o.Policy, err = o.Policy.resolve()
	return o, err
}

// roomFor reports whether a hashed key fits under the prefix into the rule's limit.
func roomFor(prefix string, rule keyrule.Rule) error {
	limit := cmp.Or(rule.MaxLen, keyrule.DefaultMaxLen)
	if len(prefix)+hashedKey > limit {
		return fmt.Errorf("keys begin with %d bytes of namespace; a limit of %d leaves no room for a key", len(prefix), limit)
	}
	return nil
}

// namespace returns what every final key of a prefix and version begins with. A colon in the prefix is
// escaped, so that no two pairs share a namespace.
func namespace(prefix string, version int) string { return scope(prefix) + strconv.Itoa(version) + ":" }

// scope returns what every final key of a prefix begins with, in all versions.
func scope(prefix string) string {
	return strings.NewReplacer("%", "%25", ":", "%3A").Replace(prefix) + ":"
}
