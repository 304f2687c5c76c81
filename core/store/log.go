package store

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"
)

// ErrLogLost is what errors.Is finds in the error of Append when the log lies behind the position that its
// caller has applied: it was deleted, restored, or lost its end in a failover. Nothing was done.
var ErrLogLost = errors.New("store: the log is behind")

// Log is a store's ordered record of invalidations. Every process reads it, and none misses a record: each
// names the one before it, so that a reader notices what was trimmed, deleted or lost in a failover. Its
// positions are the only clock by which loads and invalidations are ordered.
//
// The first record of a new log is an origin: a record without items, whose Prev is zero. What was stored
// before it is not known to be valid.
type Log interface {
	// Append carries out c and records it, in the order delete, record, store, and in as few round trips as
	// the store allows. after is the position that the caller has applied; the new record comes behind it,
	// or the error Is ErrLogLost and nothing was done.
	//
	// After another error the change may have been carried out in part; the caller may try again.
	Append(ctx context.Context, c Change, after Position) (Appended, error)
	// ReadLog returns the records behind after, oldest first, at most a few thousand. Where there are none
	// it waits up to wait for one, and returns none. It does not notice that the log has become shorter: see
	// LogEnds.
	ReadLog(ctx context.Context, after Position, wait time.Duration) ([]Record, error)
	// LogEnds returns the oldest and the newest record of the log. Both are zero where there is no log.
	LogEnds(ctx context.Context) (first, last Record, err error)
}

// Change is what one Append does.
type Change struct {
	// Delete are keys whose entries are removed, together with the leases on them, before the record is
	// written.
	Delete []string
	// Items are what is recorded. Without any, nothing is recorded.
	Items []Invalidation
	// Set are entries that are stored after the record was written, in place of what is there; leases on
	// their keys end. Their Token is usually that of an item.
	Set []Item
	// Add, where given, is stored only if there is no fresh entry under its key, before the record. Where it
	// is not stored, nothing is recorded either.
	Add *Item
	// Beyond is a position that the new record must lie behind, whatever the end of the log: it is how a log
	// that has lost its end is made to grow past what was stored meanwhile.
	Beyond Position
}

// Appended is what an Append has come to.
type Appended struct {
	// Records are the records behind the caller's position up to and including the new one, oldest first,
	// so that the caller can apply them at once. Where there were too many, Records holds the new one alone
	// and Gap is set: the others have to be read.
	Records []Record
	Gap     bool
	Deleted int  // of Delete: how many were live and fresh
	Added   bool // of Add
	// Failed are the keys of Set that could not be stored, with the reason; the record was written.
	Failed []string
	Err    error
}

// Record is one entry of the log.
type Record struct {
	Position Position
	Prev     Position // of the record before it; zero for an origin
	Items    []Invalidation
}

// Invalidation is one thing that a record says.
type Invalidation struct {
	Kind InvalidationKind
	// Name is the key, the tag or the prefix that it is about, in full.
	Name string
	// Token is, of InvalidateKey, the Token of the entry that was stored together with the record and is
	// not meant by it; zero where there is none. Of holds it tells one from another.
	Token Token
	// For is how long a hold lasts, from when it is read.
	For time.Duration
}

// InvalidationKind is what an Invalidation is about.
type InvalidationKind uint8

// The kinds. An entry is older than a record if its Stamp lies before the record's position.
const (
	// InvalidateKey ends the older entry under a key, and all older entries that have it as a Dep.
	InvalidateKey InvalidationKind = iota + 1
	// ChangeKey ends the older entries that have the key as a Dep, but not the entry under it: it was
	// renewed, and differs.
	ChangeKey
	// DropKey says that copies of the entry in other processes may differ in their Times: they are dropped.
	DropKey
	// InvalidateTag ends all older entries with a tag.
	InvalidateTag
	// ExpireTag makes all older entries with a tag stale.
	ExpireTag
	// InvalidatePrefix ends all older entries whose key begins with a prefix, or that depend on such a key.
	// The empty prefix means all.
	InvalidatePrefix
	// HoldKey is InvalidateKey; and until it ends, what is loaded for the key is not stored, because the
	// key is being written.
	HoldKey
	// HoldTag is InvalidateTag; and until it ends, what is loaded with the tag is not stored.
	HoldTag
	// ReleaseKey and ReleaseTag end the hold with the same Name and Token.
	ReleaseKey
	ReleaseTag
)

// Token tells one write, or one hold, from another.
type Token [16]byte

// NewToken returns a random token.
func NewToken() (t Token) {
	_, _ = rand.Read(t[:]) // it never fails
	return t
}

// IsZero reports whether t is the zero token, which stands for none.
func (t Token) IsZero() bool { return t == Token{} }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Token returns what tells e from other entries under its key: it is the same for every copy of e, whatever
// became of its Refresh, Fresh and Gone.
func (e *Entry) Token() (t Token) {
	be := binary.BigEndian
	be.PutUint64(t[:], uint64(e.Created))
	be.PutUint32(t[8:], uint32(e.Flags)<<16^uint32(len(e.Value)))
	be.PutUint32(t[12:], crc32.Checksum(e.Value, castagnoli))
	return t
}

// IsZero reports whether p is the zero position.
func (p Position) IsZero() bool { return p == Position{} }
