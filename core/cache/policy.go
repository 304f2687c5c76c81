package cache

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/strata-cache/strata/core/store"
)

// Forever is a TTL that never ends.
const Forever time.Duration = math.MaxInt64

// Priorities, from the first to be evicted to the last. A named one brings a TTL of its own.
const (
	Low       = store.PriorityLow
	Normal    = store.PriorityNormal
	Important = store.PriorityImportant
	Critical  = store.PriorityCritical
)

// Defaults of Policy.
const (
	DefaultTTL         = 5 * time.Minute
	DefaultJitter      = 0.1
	DefaultNegativeTTL = 30 * time.Second
	DefaultHardTimeout = 10 * time.Second
	DefaultRefreshAt   = 0.9
	DefaultMaxLoads    = 256
	DefaultLoadWait    = time.Second
	// MaxDefaultStaleFor bounds the StaleFor that follows from the TTL.
	MaxDefaultStaleFor = time.Hour
)

// Policy says how one kind of value is cached. In every field zero means the default and negative means
// off. A kind's zero fields take the value of its cache's policy, then the default.
type Policy struct {
	// TTL is how long a value is fresh. Default: 5 minutes, or what Priority stands for where one is
	// named. Forever: never stale. Negative: nothing is stored.
	TTL time.Duration
	// Jitter shortens each TTL by a random part of up to this fraction, once, when the value is stored,
	// so that values stored together do not expire together. At most 1. Default: 0.1. Counters, Add and
	// Touch are never jittered: locks and rate limits are made of them.
	Jitter float64
	// NegativeTTL is how long ErrNotFound is remembered. Default: 30 seconds.
	NegativeTTL time.Duration
	// StaleFor is how long after its TTL a value is still kept, to be served when the loader fails.
	// Default: as long as the TTL, at most 1 hour. Values written by Set, Add and SetMany are not kept
	// beyond their TTL, whatever this says.
	StaleFor time.Duration
	// RefreshAt is the part of the TTL after which a value that has a loader is renewed in the background
	// when it is asked for, while it is still served: a popular value is never waited for. Where a load
	// takes long, renewal begins earlier: at least twice what the last load took before the TTL ends. Above
	// 0 and below 1. Default: 0.9.
	RefreshAt float64
	// SoftTimeout is how long a caller waits for a load while there is a value past its TTL (StaleFor):
	// then that one is returned, and the load goes on in the background. Default: off.
	SoftTimeout time.Duration
	// HardTimeout ends a load: its context is cancelled and its waiters are released, even if it does
	// not heed its context. Default: 10 seconds.
	HardTimeout time.Duration
	// MaxLoads bounds the loads of one kind that run at the same time in this process, and those of the
	// verbs together. Default: 256.
	MaxLoads int
	// LoadWait is how long a load waits for its turn where MaxLoads are running, before it fails with
	// ErrOverload. Negative: not at all. Default: 1 second.
	LoadWait time.Duration
	// Coalesce says who shares one load: the callers of this process, or those of all processes that share
	// the store. Default: Fleet where the store grants leases, Process elsewhere.
	Coalesce Coalesce
	// Filter, where given, knows which keys exist: those it refuses are ErrNotFound without a look-up.
	Filter Filter
	// Priority says what a full store drops first. Default: as Normal, without a TTL of its own.
	Priority store.Priority
	// Shared says that callers promise not to modify what they get, nor what a loader returned: readers
	// of an in-process store then share one decoded value, whatever its type. Types without pointers are
	// shared anyway; a type with a method Clone() of its own type is cloned for each reader.
	Shared bool
}

// Coalesce says who shares one load.
type Coalesce uint8

// The reaches of coalescing.
const (
	// CoalesceDefault is Fleet where the store can do that, and Process elsewhere.
	CoalesceDefault Coalesce = iota
	// Process: concurrent callers of this process share one load. What it stores in a shared store is not
	// fenced by a lease: a process that is held up for longer than the log remembers its key (100,000 others)
	// may then bring back what was removed meanwhile.
	Process
	// Fleet: callers of all processes that share the store do. The store must be a store.Leaser.
	Fleet
)

// Filter knows which keys may exist. filter.Filter is one.
type Filter interface {
	// MayContain reports false for a key that certainly does not exist. The key is the user's: an id as
	// KindOptions.Key writes it.
	MayContain(ctx context.Context, key string) bool
	// Observe tells the filter whether a key that it let through exists.
	Observe(key string, exists bool)
}

// over returns p with its zero fields taken from base.
func (p Policy) over(base Policy) Policy {
	if p.TTL == 0 && p.Priority == store.PriorityDefault {
		p.TTL = base.TTL
	}
	if p.Jitter == 0 {
		p.Jitter = base.Jitter
	}
	if p.NegativeTTL == 0 {
		p.NegativeTTL = base.NegativeTTL
	}
	if p.StaleFor == 0 {
		p.StaleFor = base.StaleFor
	}
	if p.RefreshAt == 0 {
		p.RefreshAt = base.RefreshAt
	}
	if p.SoftTimeout == 0 {
		p.SoftTimeout = base.SoftTimeout
	}
	if p.HardTimeout == 0 {
		p.HardTimeout = base.HardTimeout
	}
	if p.MaxLoads == 0 {
		p.MaxLoads = base.MaxLoads
	}
	if p.LoadWait == 0 {
		p.LoadWait = base.LoadWait
	}
	if p.Coalesce == CoalesceDefault {
		p.Coalesce = base.Coalesce
	}
	if p.Filter == nil {
		p.Filter = base.Filter
	}
	if p.Priority == store.PriorityDefault {
		p.Priority = base.Priority
	}
	p.Shared = p.Shared || base.Shared
	return p
}

// resolve replaces what is still zero by the defaults, and validates.
func (p Policy) resolve() (Policy, error) {
	switch {
	case p.Jitter > 1 || math.IsNaN(p.Jitter):
		return p, fmt.Errorf("cache: Policy.Jitter %v is above 1", p.Jitter)
	case p.RefreshAt >= 1 || math.IsNaN(p.RefreshAt):
		return p, fmt.Errorf("cache: Policy.RefreshAt %v is not below 1", p.RefreshAt)
	case p.Coalesce > Fleet:
		return p, fmt.Errorf("cache: Policy.Coalesce %d is none of the named ones", p.Coalesce)
	case !p.Priority.Valid():
		return p, fmt.Errorf("cache: Policy.Priority %d is none of the named ones", p.Priority)
	}
	if p.TTL == 0 {
		if p.TTL = p.Priority.TTL(); p.TTL == 0 {
			p.TTL = DefaultTTL
		}
	}
	if p.Jitter == 0 {
		p.Jitter = DefaultJitter
	}
	if p.NegativeTTL == 0 {
		p.NegativeTTL = DefaultNegativeTTL
	}
	if p.RefreshAt == 0 {
		p.RefreshAt = DefaultRefreshAt
	}
	if p.HardTimeout == 0 {
		p.HardTimeout = DefaultHardTimeout
	}
	if p.MaxLoads == 0 {
		p.MaxLoads = DefaultMaxLoads
	}
	if p.LoadWait == 0 {
		p.LoadWait = DefaultLoadWait
	}
	return p, nil
}

// staleFor returns how long a loaded value of the given TTL is kept past it.
func (p *Policy) staleFor(ttl time.Duration) time.Duration {
	switch {
	case p.StaleFor < 0 || ttl == Forever:
		return 0
	case p.StaleFor > 0:
		return p.StaleFor
	default:
		return min(ttl, MaxDefaultStaleFor)
	}
}

// refreshAfter returns how long after it was made a loaded value of the given TTL is due for renewal; 0:
// never.
func (p *Policy) refreshAfter(ttl, cost time.Duration) time.Duration {
	if p.RefreshAt <= 0 || ttl == Forever || ttl <= 0 {
		return 0
	}
	at := time.Duration(float64(ttl) * p.RefreshAt)
	// Not for its cost before half of the TTL: what takes as long to load as it lives would be loaded all the
	// time.
	return max(min(at, max(ttl-2*cost, ttl/2)), time.Millisecond)
}

func (p *Policy) jittered(ttl time.Duration) time.Duration {
	if p.Jitter <= 0 || ttl == Forever || ttl <= 0 {
		return ttl
	}
	return max(time.Millisecond, ttl-time.Duration(float64(ttl)*p.Jitter*rand.Float64()))
}

// lifetime returns the instants of a value that is made now (Unix milliseconds) and lives for ttl, which
// must be positive and is not jittered here. refreshAfter and stale may be 0.
func lifetime(now int64, ttl, refreshAfter, stale time.Duration) store.Times {
	t := store.Times{Created: now}
	if refreshAfter > 0 && refreshAfter < ttl {
		t.Refresh = after(now, refreshAfter)
	}
	if ttl != Forever {
		t.Fresh = after(now, ttl)
		t.Gone = after(now, ttl)
		if stale > 0 && t.Gone != 0 {
			t.Gone = after(t.Gone, stale)
		}
	}
	return t
}

// after returns the instant d after now, at least a millisecond later; 0, which is never, for what does
// not fit.
func after(now int64, d time.Duration) int64 {
	if d == Forever {
		return 0
	}
	return now + max(1, d.Milliseconds())
}
