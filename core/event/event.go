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
	// Refresh reports what became of a background refresh.
	Refresh func(context.Context, Refresh)
	// Log reports how this process stands with the invalidation log, when that changes.
	Log func(Log)
	// Filter reports how a filter of existing keys stands, when that changes and after each self-check.
	Filter func(Filter)
	// Breaker reports that a store which does not answer is not asked any more, and that it is asked again. It
	// runs while the breaker's lock is held: the calls that end meanwhile wait for it.
	Breaker func(Breaker)
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
	OpGet        Op = iota // a look-up, with or without a loader behind it
	OpSet                  // an unconditional write
	OpAdd                  // a write if absent
	OpDelete               // a deletion of keys
	OpTouch                // a new lifetime for a stored entry: Touch, Persist
	OpIncr                 // an atomic counter
	OpClear                // the removal of a namespace
	OpScan                 // an enumeration of keys
	OpInvalidate           // an invalidation of tags
	OpUpdate               // a write of the application's own data, fenced
	OpLock                 // a distributed lock
)

// String returns the operation's name in lower case.
func (o Op) String() string {
	return name(o, "get", "set", "add", "delete", "touch", "incr", "clear", "scan",
		"invalidate", "update", "lock")
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
	OutcomeFiltered         // a filter knows that the key does not exist
	OutcomeFallback         // simplified data, while the real value is being loaded
)

// String returns the outcome's name in lower case.
func (o Outcome) String() string {
	return name(o, "ok", "hit", "negative", "stale", "miss", "rejected", "error", "filtered", "fallback")
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
	// Tier is where a value was found, counted from 1; 0 where that is not known.
	Tier int
	// Coalesced is set when the caller waited for a load that another caller, of this process or another,
	// had started.
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
	LoadOverload // too many loads were running: it was not begun
)

// String returns the result's name in lower case.
func (r LoadResult) String() string {
	return name(r, "ok", "not-found", "error", "panic", "timeout", "canceled", "overload")
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

// RefreshState is a step in the life of a background refresh.
type RefreshState uint8

// The states.
const (
	RefreshQueued    RefreshState = iota
	RefreshDuplicate              // one for the key is queued or running already
	RefreshDropped                // it was the oldest of a full queue, or the queue was closed
	RefreshDone
	RefreshFailed
	RefreshSkipped // another process has the lease, or the last failure is too recent
)

// String returns the state's name in lower case.
func (s RefreshState) String() string {
	return name(s, "queued", "duplicate", "dropped", "done", "failed", "skipped")
}

// Refresh is one step of a background refresh.
type Refresh struct {
	Cache, Kind, Key string
	State            RefreshState
	Took             time.Duration // of one that has run
	Err              error
}

// LogState is how a process stands with the invalidation log.
type LogState uint8

// The states.
const (
	// LogSynced: every record has been applied.
	LogSynced LogState = iota
	// LogBlind: the log has not been heard from for too long. What is in process is served for a short time.
	LogBlind
	// LogTrimmed: records were trimmed before this process had read them. Older entries are misses.
	LogTrimmed
	// LogRebased: the log had lost records that this process knew, which were appended again.
	LogRebased
	// LogFlushed: the log had lost records that nobody knows any more. Everything older is a miss.
	LogFlushed
)

// String returns the state's name in lower case.
func (s LogState) String() string {
	return name(s, "synced", "blind", "trimmed", "rebased", "flushed")
}

// Log is a change of how a process stands with the invalidation log.
type Log struct {
	Cache string
	State LogState
	Err   error // why, of LogBlind
}

// FilterState is how a filter of existing keys stands.
type FilterState uint8

// The states.
const (
	// FilterReady: it is complete, and says no to what does not exist.
	FilterReady FilterState = iota
	// FilterOpen: its state is missing, foreign or out of reach: it says maybe to everything.
	FilterOpen
	// FilterBuilding: it is being built from its source.
	FilterBuilding
	// FilterSaturated: it holds more than it was made for, or errs more often than it should.
	FilterSaturated
	// FilterChecked: a self-check has measured it.
	FilterChecked
)

// String returns the state's name in lower case.
func (s FilterState) String() string {
	return name(s, "ready", "open", "building", "saturated", "checked")
}

// Filter is a change of a filter's state, or the result of its self-check.
type Filter struct {
	Name  string
	State FilterState
	// Keys is how many keys it is estimated to hold, Capacity how many it was made for.
	Keys, Capacity uint64
	// FalsePositives and FalseNegatives are measured rates, from 0 to 1: of keys that do not exist and
	// passed, and of keys that exist and were refused, among those checked so far.
	FalsePositives, FalseNegatives float64
	Err                            error
}

// Breaker is a change of the breaker in front of a cache's shared store. Changes of one cache are reported in
// order.
type Breaker struct {
	Cache string
	// Open says that the store is not asked: it has failed too often. Otherwise a probe has found it well
	// again.
	Open bool
}
