package cachetest

import (
	"context"
	"iter"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/strata-cache/strata/core/store"
)

// Store is a store in this process in its plainest form: one map, without bounds, whose entries expire by a
// clock of the test's. It never evicts, so that a miss has a reason. Entries are shared without a copy. Make it
// with NewStore. It is safe for concurrent use; contexts are ignored, since no call waits.
type Store struct {
	now func() time.Time

	mu      sync.RWMutex
	entries map[string]*store.Entry
	closed  bool
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

// NewStore returns an empty store. A nil clock stands for the system's.
func NewStore(clock *Clock) *Store {
	s := &Store{now: time.Now, entries: make(map[string]*store.Entry)}
	if clock != nil {
		s.now = clock.Now
	}
	return s
}

func (s *Store) milli() int64 { return s.now().UnixMilli() }

// live returns the entry under key, or nil. It is called with a lock held.
func (s *Store) live(key string) *store.Entry {
	if e := s.entries[key]; e != nil && !e.IsGone(s.milli()) {
		return e
	}
	return nil
}

// put is called with the lock held.
func (s *Store) put(key string, e *store.Entry) {
	if e.IsGone(s.milli()) {
		delete(s.entries, key)
		return
	}
	s.entries[strings.Clone(key)] = e
}

// read runs f under the lock of readers, unless the store is closed.
func (s *Store) read(f func()) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return store.ErrClosed
	}
	f()
	return nil
}

// change runs f under the lock of writers, unless the store is closed.
func (s *Store) change(f func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return store.ErrClosed
	}
	f()
	return nil
}

// Get returns the entry itself, not a copy, or store.ErrMiss.
func (s *Store) Get(_ context.Context, key string) (e *store.Entry, err error) {
	err = s.read(func() { e = s.live(key) })
	if err == nil && e == nil {
		err = store.ErrMiss
	}
	return e, err
}

// GetBorrowed is Get by a key whose bytes stay the caller's. A closed store has no entries.
func (s *Store) GetBorrowed(key []byte) *store.Entry {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if e := s.entries[string(key)]; e != nil && !e.IsGone(s.milli()) {
		return e
	}
	return nil
}

// GetMany looks at all keys at one moment.
func (s *Store) GetMany(_ context.Context, keys []string) ([]*store.Entry, error) {
	entries := make([]*store.Entry, len(keys))
	err := s.read(func() {
		for i, k := range keys {
			entries[i] = s.live(k)
		}
	})
	return entries, err
}

// Set stores e itself, not a copy.
func (s *Store) Set(_ context.Context, key string, e *store.Entry) error {
	return s.change(func() { s.put(key, e) })
}

// SetMany stores all items at one moment.
func (s *Store) SetMany(_ context.Context, items []store.Item) (failed []string, err error) {
	err = s.change(func() {
		for _, it := range items {
			s.put(it.Key, it.Entry)
		}
	})
	if err != nil {
		for _, it := range items {
			failed = append(failed, it.Key)
		}
	}
	return failed, err
}

// Add stores e where there is no fresh entry.
func (s *Store) Add(_ context.Context, key string, e *store.Entry) (added bool, err error) {
	err = s.change(func() {
		if old := s.live(key); old == nil || !old.IsFresh(s.milli()) {
			s.put(key, e)
			added = true
		}
	})
	return added, err
}

// Delete removes the keys at one moment.
func (s *Store) Delete(_ context.Context, keys ...string) (n int, err error) {
	err = s.change(func() {
		for _, k := range keys {
			if e := s.live(k); e != nil && e.IsFresh(s.milli()) {
				n++
			}
			delete(s.entries, k)
		}
	})
	return n, err
}

// Clear removes every entry whose key begins with prefix.
func (s *Store) Clear(_ context.Context, prefix string) error {
	return s.change(func() {
		maps.DeleteFunc(s.entries, func(k string, _ *store.Entry) bool { return strings.HasPrefix(k, prefix) })
	})
}

// Touch gives the entry the instants t, if it is the very one that was seen.
func (s *Store) Touch(_ context.Context, key string, seen *store.Entry, t store.Times) (touched bool, err error) {
	err = s.change(func() {
		if e := s.live(key); e != nil && e == seen {
			s.put(key, e.WithTimes(t))
			touched = true
		}
	})
	return touched, err
}

// Incr adds delta to the counter under key.
func (s *Store) Incr(_ context.Context, key string, delta int64, create *store.Entry) (n int64, err error) {
	closed := s.change(func() {
		e := s.live(key)
		if e == nil {
			e = create
		}
		if e == nil {
			err = store.ErrMiss
			return
		}
		if n, err = sum(e, delta); err == nil {
			counted := e.WithTimes(e.Times)
			counted.Value = strconv.AppendInt(nil, n, 10)
			s.put(key, counted)
		}
	})
	if closed != nil {
		err = closed
	}
	return n, err
}

func sum(e *store.Entry, delta int64) (int64, error) {
	n, err := strconv.ParseInt(string(e.Value), 10, 64)
	switch {
	case err != nil || e.Flags&store.FlagCounter == 0:
		return 0, store.ErrNotInteger
	case delta > 0 && n > math.MaxInt64-delta, delta < 0 && n < math.MinInt64-delta:
		return 0, store.ErrOverflow
	}
	return n + delta, nil
}

// Scan yields the keys that there were when it began, sorted.
func (s *Store) Scan(_ context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var keys []string
		err := s.read(func() {
			for k := range s.entries {
				if strings.HasPrefix(k, prefix) && s.live(k) != nil {
					keys = append(keys, k)
				}
			}
		})
		if err != nil {
			yield("", err)
			return
		}
		slices.Sort(keys)
		for _, k := range keys {
			if !yield(k, nil) {
				return
			}
		}
	}
}

// Ping succeeds until the store is closed.
func (s *Store) Ping(context.Context) error { return s.read(func() {}) }

// Size returns how many entries there are, expired ones included, and the sum of their weights.
func (s *Store) Size() (entries int, bytes int64) {
	_ = s.read(func() { // a closed one is empty
		for k, e := range s.entries {
			bytes += int64(e.Weight(k))
		}
		entries = len(s.entries)
	})
	return entries, bytes
}

// Close drops all entries.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	clear(s.entries)
	return nil
}
