// Package memstore is the in-process store, the default first tier. Entries are shared without a copy:
// Get returns the very *store.Entry that was set, and a hit neither allocates nor takes a lock.
//
// The store is bounded in bytes. What it drops first is decided by the entries' priorities, low before
// normal before important before critical, and within one priority by W-TinyLFU (Einziger, Friedman
// and Manes, "TinyLFU: A Highly Efficient Cache Admission Policy", 2017), which otter implements: an
// entry has to be more popular than what it would push out. There is no reserved share: a store that is
// full of a higher priority takes nothing of a lower one, and one priority alone has the whole budget.
//
// An entry is a miss within 10 ms of its Gone on a machine that is not overloaded, and at once where the
// store has not been used for a second. Its memory is freed by the next writes, or within 7 seconds. A
// store that is not used wakes the process up every 5 seconds, and no more.
package memstore

import (
	"context"
	"hash/maphash"
	"math/bits"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/internal/coarse"
)

// closedBit of Store.state says that the store is closed. The bits below it are the partitions.
const closedBit = 1 << 31

// Store is a bounded store in this process's memory. It is safe for concurrent use. Contexts are
// ignored, since no call waits for anybody. Make one with New, and Close it: it owns a goroutine.
//
// Each priority has a partition of its own, because an eviction policy ranks by popularity only. A key
// lives in at most one of them at any time. Writers of one key exclude each other by a striped lock;
// readers take none, see lookup.
type Store struct {
	opts  Options
	clock *coarse.Clock

	// state is what every look-up reads first: which partitions may hold anything. A bit is set under
	// the lock of a key before the key appears, and cleared under the locks of all keys.
	state atomic.Uint32
	// begun and done count the moves of keys between partitions, so that a look-up that missed a key on
	// the move notices. They are written only where priorities change.
	begun, done atomic.Uint64

	parts   [partitions]partition
	seed    maphash.Seed
	stripes [stripes]stripe
	budget  budget

	closing sync.Once
	wake    chan struct{} // a partition asks for maintenance
	stop    chan struct{}
	stopped chan struct{}
}

var (
	_ store.Store    = (*Store)(nil)
	_ store.Batcher  = (*Store)(nil)
	_ store.Adder    = (*Store)(nil)
	_ store.Toucher  = (*Store)(nil)
	_ store.Counter  = (*Store)(nil)
	_ store.Scanner  = (*Store)(nil)
	_ store.Borrower = (*Store)(nil)
	_ store.Pinger   = (*Store)(nil)
	_ store.Sizer    = (*Store)(nil)
)

// New opens an empty store.
func New(opts Options) (*Store, error) {
	s, err := newStore(opts)
	if err != nil {
		return nil, err
	}
	go s.maintain()
	return s, nil
}

// newStore returns a store whose maintenance does not run yet.
func newStore(opts Options) (*Store, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Store{
		opts:    opts,
		clock:   coarse.New(),
		seed:    maphash.MakeSeed(),
		budget:  newBudget(opts.MaxBytes),
		wake:    make(chan struct{}, 1),
		stop:    make(chan struct{}),
		stopped: make(chan struct{}),
	}
	for i := range s.parts {
		if err := s.openPartition(i); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Get returns the entry itself, not a copy, or store.ErrMiss.
func (s *Store) Get(_ context.Context, key string) (*store.Entry, error) {
	if e := s.lookup(key); e != nil {
		return e, nil
	}
	return nil, s.missOrClosed()
}

// GetBorrowed is Get by a key whose bytes stay the caller's. A closed store has no entries.
func (s *Store) GetBorrowed(key []byte) *store.Entry {
	// Nothing below keeps the key: it is hashed and compared.
	return s.lookup(unsafe.String(unsafe.SliceData(key), len(key)))
}

func (s *Store) missOrClosed() error {
	if s.state.Load()&closedBit != 0 {
		return store.ErrClosed
	}
	return store.ErrMiss
}

func (s *Store) check() error {
	if s.state.Load()&closedBit != 0 {
		return store.ErrClosed
	}
	return nil
}

// lookup returns the live entry under key, or nil.
//
// What it finds was the current entry at that moment, because no other partition can have held the key.
// What it does not find may have moved from a partition it had not yet seen to one it had seen; then
// the counts differ, and the key's lock settles it.
func (s *Store) lookup(key string) *store.Entry {
	done := s.done.Load()
	for m := s.state.Load() &^ closedBit; m != 0; m &= m - 1 {
		if e, ok := s.parts[bits.TrailingZeros32(m)].cache.GetIfPresent(key); ok {
			return e
		}
	}
	if s.begun.Load() == done {
		return nil
	}
	l := s.lock(key)
	defer l.Unlock()
	_, e := s.find(key)
	return e
}

// Set stores e itself, not a copy. The key string is kept as it is: one cut from a larger string keeps
// that one's memory.
func (s *Store) Set(_ context.Context, key string, e *store.Entry) error {
	p := s.partitionOf(e)
	s.resize(p) // to the room that the entry is entitled to
	l := s.lock(key)
	err := s.put(key, e)
	l.Unlock()
	s.settle(p)
	return err
}

// Delete removes the keys one by one; it is not atomic over all of them.
func (s *Store) Delete(_ context.Context, keys ...string) (int, error) {
	n := 0
	for _, k := range keys {
		l := s.lock(k)
		if err := s.check(); err != nil {
			l.Unlock()
			return n, err
		}
		old := s.remove(k)
		l.Unlock()
		if old != nil && old.IsFresh(s.clock.Now()) {
			n++
		}
	}
	return n, s.check()
}

// Close drops all entries, stops the store's goroutine and waits for it. What it drops is not reported
// as evicted, even where the eviction was already due.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.shut()
		close(s.stop)
		<-s.stopped
		for i := range s.parts {
			s.parts[i].cache.InvalidateAll()
			s.parts[i].cache.CleanUp()
			s.parts[i].cache.StopAllGoroutines()
		}
		s.clock.Close()
	})
	return nil
}

// shut makes all operations from here on fail.
func (s *Store) shut() {
	s.lockAll()
	s.state.Store(closedBit)
	s.unlockAll()
}

// Ping succeeds until the store is closed.
func (s *Store) Ping(context.Context) error { return s.check() }

// Size returns how many entries there are, those included that have expired and are not freed yet, and
// the sum of their weights.
func (s *Store) Size() (entries int, bytes int64) {
	for i := range s.parts {
		entries += int(s.parts[i].count.Load())
	}
	return entries, s.used()
}
