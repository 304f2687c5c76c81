package store

import (
	"cmp"
	"math"
	"sync/atomic"
	"time"
)

// Entry is one stored value with its metadata. It is immutable once it has been passed to a store:
// neither Value nor any other field is modified afterwards, and a reader may keep both for as long as
// it likes. Entries are shared between readers and must be passed by pointer.
type Entry struct {
	// Value is the encoded payload.
	Value []byte
	Times
	memo    atomic.Pointer[any] // here because a hit reads it together with Times
	checked atomic.Pointer[Check]
	// Stamp is the position of the invalidation log that the node had applied when the load of this
	// value began. Zero where no log is in use.
	Stamp Position
	// Schema is the fingerprint of the decoded type and its codec; zero where there is none.
	Schema uint64
	// LoadCost is what making the value took; zero where it was not measured.
	LoadCost time.Duration
	Priority Priority
	Flags    Flags
	// Tags are the labels by which the entry can be invalidated. Deps are the keys of the objects that
	// it was built from; they are checked like tags, by dependents only.
	Tags, Deps []string
	// MemoSize is what the decoded form is expected to weigh, in bytes. Bounded stores count it from
	// the start, because the memo is made later and cannot change the weight any more. It is local to
	// the process and not part of the wire format.
	MemoSize int
}

// Times are the instants of an entry in Unix milliseconds; 0 means never. They are fixed once, when the
// value is first stored, and carried unchanged through all tiers.
type Times struct {
	Created int64 // when the value was made
	Refresh int64 // from here on it should be renewed in the background
	Fresh   int64 // from here on it is stale: what a TTL speaks of
	Gone    int64 // from here on it is a miss; never before Fresh
}

// IsFresh reports whether the entry's TTL has not run out at now (Unix milliseconds).
func (t *Times) IsFresh(now int64) bool { return t.Fresh == 0 || now < t.Fresh }

// IsGone reports whether the entry is a miss at now (Unix milliseconds).
func (t *Times) IsGone(now int64) bool { return t.Gone != 0 && now >= t.Gone }

// Memo returns the decoded form that an earlier reader left, or nil.
func (e *Entry) Memo() any {
	if p := e.memo.Load(); p != nil {
		return *p
	}
	return nil
}

// SetMemo leaves the decoded form for other readers; the first one stays. v must not be modified
// afterwards by anybody. A reader that wants another type than the memo's decodes for itself.
func (e *Entry) SetMemo(v any) { e.SetMemoAt(&v) }

// SetMemoAt is SetMemo for a decoded form in *v, which the entry keeps. Where what *v points to lies
// beside it in memory, readers are spared a cache miss.
func (e *Entry) SetMemoAt(v *any) { e.memo.CompareAndSwap(nil, v) }

// Check is one state of what a process knows about invalidations: a new one is made with each that it
// learns of. Only its address counts.
type Check struct{ _ byte }

// CheckedAt reports whether the entry was found valid in the state c. It then still is.
func (e *Entry) CheckedAt(c *Check) bool { return e.checked.Load() == c }

// SetChecked notes that the entry was found valid in the state c.
func (e *Entry) SetChecked(c *Check) { e.checked.Store(c) }

// WithTimes returns a copy of e with other instants. The value is shared; the memo, and where the entry was
// found valid, are not.
func (e *Entry) WithTimes(t Times) *Entry {
	return &Entry{
		Value: e.Value, Times: t, Stamp: e.Stamp, Schema: e.Schema, LoadCost: e.LoadCost,
		Priority: e.Priority, Flags: e.Flags, Tags: e.Tags, Deps: e.Deps, MemoSize: e.MemoSize,
	}
}

// entryOverhead approximates the bytes that an Entry, its slot in a table and the allocator's rounding of
// key and value take beside the data. Measured with a full memstore: 298 B where key and value fill their
// size classes (32 B and 64 B), 327 B where they just miss them (33 B and 65 B).
const entryOverhead = 328

// maxMemoSize keeps sums of weights from overflowing where MemoSize is nonsense.
const maxMemoSize = math.MaxInt / 4

// Weight is what the entry is counted as, in bytes, against a store's bound, under the given key.
func (e *Entry) Weight(key string) int {
	n := entryOverhead + len(key) + len(e.Value) + min(max(e.MemoSize, 0), maxMemoSize)
	for _, t := range e.Tags {
		n += len(t) + 16
	}
	for _, d := range e.Deps {
		n += len(d) + 16
	}
	return n
}

// Position is a place in the invalidation log: a stream ID, or a local counter in Seq where there is
// no shared store. It is the only clock by which loads and invalidations are ordered. The zero value
// lies before every other.
type Position struct {
	Time uint64 // milliseconds, as the log's server counts them
	Seq  uint64
}

// Compare returns -1, 0 or 1 as p lies before, at or after q.
func (p Position) Compare(q Position) int {
	if c := cmp.Compare(p.Time, q.Time); c != 0 {
		return c
	}
	return cmp.Compare(p.Seq, q.Seq)
}

// Priority says what is evicted first. A named priority also brings a default TTL of its own.
type Priority uint8

// The priorities. PriorityDefault is evicted like PriorityNormal but brings no TTL of its own.
const (
	PriorityDefault   Priority = iota
	PriorityLow                // default TTL 5 minutes
	PriorityNormal             // default TTL 10 minutes
	PriorityImportant          // default TTL 30 minutes
	PriorityCritical           // default TTL 1 hour
)

// Valid reports whether p is one of the named constants.
func (p Priority) Valid() bool { return p <= PriorityCritical }

// TTL returns the lifetime that a named priority stands for, and 0 for PriorityDefault.
func (p Priority) TTL() time.Duration {
	switch p {
	case PriorityLow:
		return 5 * time.Minute
	case PriorityNormal:
		return 10 * time.Minute
	case PriorityImportant:
		return 30 * time.Minute
	case PriorityCritical:
		return time.Hour
	default:
		return 0
	}
}

// String returns the priority's name in lower case.
func (p Priority) String() string {
	switch p {
	case PriorityLow:
		return "low"
	case PriorityDefault, PriorityNormal:
		return "normal"
	case PriorityImportant:
		return "important"
	case PriorityCritical:
		return "critical"
	default:
		return "invalid"
	}
}

// Flags are properties of an entry that its bytes do not show.
type Flags uint16

// The flags.
const (
	// FlagNil marks a stored nil: a hit whose decoded form is the zero value. Value is empty.
	FlagNil Flags = 1 << iota
	// FlagNegative marks a stored "does not exist". Value is empty.
	FlagNegative
	// FlagCounter marks an integer: Value is its decimal form, as stores that count natively keep it.
	// Such an entry has no tags, deps, stamp or schema, its Fresh and Gone are equal, and it is never
	// kept in a tier above the one that counts.
	FlagCounter
)
