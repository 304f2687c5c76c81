// Package store is the contract of one cache backend: entries in and out, no policy. Policies, guards
// and codecs live above it, in the cache package; the backends live below it, each in a subpackage.
//
// A backend implements [Store] and as many of the optional capabilities as it can do natively; callers
// find them by type assertion. storetest.Run holds every backend to the same behaviour.
package store

import (
	"context"
	"errors"
	"iter"
)

// ErrMiss is returned by Get, and by operations on an existing entry, when there is no live entry.
var ErrMiss = errors.New("store: miss")

// ErrClosed is returned by every operation on a closed store.
var ErrClosed = errors.New("store: closed")

// ErrCorrupt is what errors.Is finds in the error of a read that met bytes which are not a valid entry
// of ours: truncated, foreign, or written by a newer version. Callers treat it as a miss and overwrite.
var ErrCorrupt = errors.New("store: corrupt entry")

// ErrTooLarge is returned by writes of an entry that is larger than the store takes. An older entry
// under the same key is removed: it must not outlive the write that was meant to replace it.
var ErrTooLarge = errors.New("store: entry too large")

// ErrRefused is what errors.Is finds in the error of an operation that the server has answered and does not
// carry out: it is out of memory, read-only, or does not allow it. It is not out of reach.
var ErrRefused = errors.New("store: refused by the server")

// ErrNotInteger is returned by Incr on an entry that is not a counter.
var ErrNotInteger = errors.New("store: value is not an integer")

// ErrOverflow is returned by Incr when the result does not fit into 64 bits. The counter is unchanged.
var ErrOverflow = errors.New("store: counter overflow")

// Store is one backend. All methods are safe for concurrent use and honour the context's deadline.
//
// Keys are non-empty strings of any bytes; a backend with a narrower alphabet encodes them. The store
// keeps no reference to a key's memory beyond what it stores.
type Store interface {
	// Get returns the live entry under key, or ErrMiss. An entry past Gone is a miss. An entry past
	// Fresh is returned: the caller decides whether a stale value will do.
	Get(ctx context.Context, key string) (*Entry, error)
	// Set stores e under key. An entry that is Gone already removes what was there. The store takes
	// ownership of e.
	Set(ctx context.Context, key string, e *Entry) error
	// Delete removes the keys and returns how many of them were live and fresh. Keys that are not
	// there are no error, and neither is an empty list.
	Delete(ctx context.Context, keys ...string) (int, error)
	// Clear removes every entry whose key begins with prefix, and nothing else; "" means all entries
	// of this store. On a shared server it never touches what the store did not write. Entries that are
	// written while it runs may or may not survive.
	Clear(ctx context.Context, prefix string) error
	// Close releases what the store holds and stops its goroutines; it waits for them. It is
	// idempotent. A client that the caller passed in stays open.
	Close() error
}

// Batcher reads and writes many entries in one round trip.
type Batcher interface {
	// GetMany returns one element per key, in order; nil is a miss. Corrupt entries are nil too, and
	// the returned error then Is ErrCorrupt while the other elements are valid.
	GetMany(ctx context.Context, keys []string) ([]*Entry, error)
	// SetMany stores all items and returns the keys that it could not store, with a joined error.
	SetMany(ctx context.Context, items []Item) (failed []string, err error)
}

// Item is one key and its entry.
type Item struct {
	Key   string
	Entry *Entry
}

// Adder stores only what is not there yet.
type Adder interface {
	// Add stores e if key holds no fresh entry, atomically, and reports whether it did. A stale entry
	// (past Fresh, not yet Gone) counts as absent.
	Add(ctx context.Context, key string, e *Entry) (bool, error)
}

// Toucher changes the instants of an entry by compare-and-set.
type Toucher interface {
	// Touch gives the entry under key the instants t, if it still is the one that the caller has read,
	// and reports whether it was. An entry that t makes Gone is removed.
	Touch(ctx context.Context, key string, seen *Entry, t Times) (bool, error)
}

// Counter counts atomically.
type Counter interface {
	// Incr adds delta to the counter under key, keeps its lifetime, and returns the new value. A
	// missing counter is ErrMiss, unless create is given: a FlagCounter entry that is stored in its
	// place, whose value delta is then added to. See ErrNotInteger and ErrOverflow.
	Incr(ctx context.Context, key string, delta int64, create *Entry) (int64, error)
}

// Scanner enumerates keys.
type Scanner interface {
	// Scan yields the keys that begin with prefix, in no order. A key that is written or removed
	// meanwhile may be missing, appear, or appear twice; dead ones may appear. After an error it ends.
	Scan(ctx context.Context, prefix string) iter.Seq2[string, error]
}

// Borrower is a store inside this process whose look-ups need no string. Its presence tells the
// engine that a look-up is cheap.
type Borrower interface {
	// GetBorrowed is Get without an error: nil is a miss. The key's memory belongs to the caller: it is
	// only read, and not after the call.
	GetBorrowed(key []byte) *Entry
}

// Pinger reports whether the backend answers.
type Pinger interface {
	Ping(ctx context.Context) error
}

// Sizer reports how full a bounded store is. Both figures are approximate.
type Sizer interface {
	Size() (entries int, bytes int64)
}
