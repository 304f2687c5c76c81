// Package event defines what the engine reports about itself: an [Observer] and the typed events that
// it receives. It imports nothing of the kit, so that every package may emit events.
package event

import (
	"context"
	"time"
)

// Observer is a set of callbacks. Any of them may be nil, and a nil *Observer is valid everywhere: it
// costs the engine one branch. Adding a callback is never a breaking change for an observer.
//
// Callbacks run synchronously on the goroutine that caused the event, hits included: they must be
// fast, must not block and must be safe for concurrent use. Events are passed by value and do not
// allocate. A callback must not call back into the cache that emitted the event.
//
// Keys are there for traces. They must never become metric labels: their number is unbounded, and
// they may hold what users typed.
type Observer struct {
	// Call reports one finished cache call: a look-up, a write or a deletion.
	Call func(context.Context, Call)
	// Load reports one finished run of a loader or page handler on behalf of the cache.
	Load func(context.Context, Load)
	// StoreError reports a store that could not answer. The caller of the cache does not see it.
	StoreError func(context.Context, StoreError)
	// Corrupt reports bytes under one of our keys that are not a valid entry: truncated, foreign,
	// written by a newer version, or of another schema. They count as a miss.
	Corrupt func(context.Context, Corrupt)
	// Rejected reports a key that the key rule refused before any store was asked.
	Rejected func(context.Context, Rejected)
	// Refused reports a value or page that was made but not stored.
	Refused func(context.Context, Refused)
	// Bypass reports a request that went past the page cache without a look-up.
	Bypass func(context.Context, Bypass)
	// Evict reports an entry that a bounded store dropped to make room.
	Evict func(Evict)
}

// Layer is what is cached: Django's three cache layers.
type Layer uint8

// The layers.
const (
	LayerObject Layer = iota
	LayerFragment
	LayerPage
)

// String returns "object", "fragment" or "page".
func (l Layer) String() string { return name(l, "object", "fragment", "page") }

// Op is the kind of call.
type Op uint8

// The operations.
const (
	OpGet    Op = iota // a look-up, with or without a loader behind it
	OpSet              // an unconditional write
	OpAdd              // a write if absent
	OpDelete           // a deletion of keys
	OpTouch            // a new lifetime for a stored entry: Touch, Persist
	OpIncr             // an atomic counter
	OpClear            // the removal of a namespace
	OpScan             // an enumeration of keys
)

// String returns the operation's name in lower case.
func (o Op) String() string {
	return name(o, "get", "set", "add", "delete", "touch", "incr", "clear", "scan")
}

// Outcome is how a call ended.
type Outcome uint8

// The outcomes. Writes end in OutcomeOK or OutcomeError, an Add or Touch that found nothing to do
// in OutcomeMiss, look-ups in any of the others.
const (
	OutcomeOK       Outcome = iota
	OutcomeHit              // a fresh value, a stored nil included
	OutcomeNegative         // a stored "does not exist"
	OutcomeStale            // a value past its TTL, served within StaleFor
	OutcomeMiss             // nothing to serve; a loader may have run
	OutcomeRejected         // the key rule refused the key
	OutcomeError            // the store failed, or the loader did and nothing stale was there
)

// String returns the outcome's name in lower case.
func (o Outcome) String() string {
	return name(o, "ok", "hit", "negative", "stale", "miss", "rejected", "error")
}

func name[T ~uint8](v T, names ...string) string {
	if int(v) < len(names) {
		return names[v]
	}
	return "unknown"
}

// Call is one finished cache call.
type Call struct {
	Cache string // the cache's name, its Django alias
	Kind  string // the kind's name; empty for the untyped verbs
	Key   string // for traces only; empty where it would cost an allocation
	Layer Layer
	Op    Op
	// Outcome of the call as a whole. A call over many keys reports Hits and Misses beside it.
	Outcome Outcome
	// Coalesced is set when the caller waited for a load that another caller had started.
	Coalesced    bool
	Hits, Misses int           // keys found and not found, of calls over many keys
	Age          time.Duration // of the entry served, when there was one
	// Took is how long the call lasted. It is zero where the engine did not read a clock, as on
	// most hits: see TimedHits.
	Took time.Duration
}

// TimedHits says that one in so many hits is timed. Reading the clock twice costs more than the rest
// of an in-process hit.
const TimedHits = 64

// LoadResult is how a loader ended.
type LoadResult uint8

// The results of a load.
const (
	LoadOK LoadResult = iota
	LoadNotFound
	LoadError
	LoadPanic
	LoadTimeout
	LoadCanceled // its last waiter had left
)

// String returns the result's name in lower case.
func (r LoadResult) String() string {
	return name(r, "ok", "not-found", "error", "panic", "timeout", "canceled")
}

// Load is one finished run of a loader.
type Load struct {
	Cache, Kind, Key string
	Layer            Layer
	Result           LoadResult
	Took             time.Duration
	Err              error
}

// StoreError is one failed store operation.
type StoreError struct {
	Cache string
	Op    Op
	Err   error
}

// Corrupt is one entry that could not be used.
type Corrupt struct {
	Cache, Kind, Key string
	Err              error
}

// Rejected is one refused key.
type Rejected struct {
	Cache, Kind string
	Err         error
}

// Refused is one value or page that was not stored. Reason is from a small fixed set and may be a
// metric label.
type Refused struct {
	Cache, Kind, Reason string
	Layer               Layer
}

// Bypass is one request that the page cache let through untouched. Reason is from a small fixed set
// and may be a metric label.
type Bypass struct {
	Cache, Reason string
}

// Evict is one entry dropped by a bounded store. Size is its weight in bytes.
type Evict struct {
	Store    string
	Priority string
	Size     int
}
