// Package nullstore is a backend that keeps nothing, like Django's dummy cache: an application under
// development or test runs its cached code paths, and every look-up misses.
package nullstore

import (
	"context"
	"iter"
	"math"
	"strconv"
	"sync/atomic"

	"github.com/strata-cache/strata/core/store"
)

// Store keeps nothing. Writes succeed, look-ups miss, deletions count zero. It has every optional
// capability except store.Borrower, so that code which needs one runs on it too; it is no Borrower
// because a look-up that never hits should not be taken for a fast tier. The zero value is ready for
// use, and safe for concurrent use.
type Store struct {
	closed atomic.Bool
}

var (
	_ store.Store   = (*Store)(nil)
	_ store.Batcher = (*Store)(nil)
	_ store.Adder   = (*Store)(nil)
	_ store.Toucher = (*Store)(nil)
	_ store.Counter = (*Store)(nil)
	_ store.Scanner = (*Store)(nil)
	_ store.Pinger  = (*Store)(nil)
	_ store.Sizer   = (*Store)(nil)
)

// New returns a store that keeps nothing.
func New() *Store { return &Store{} }

func (s *Store) check() error {
	if s.closed.Load() {
		return store.ErrClosed
	}
	return nil
}

// Get always returns store.ErrMiss.
func (s *Store) Get(context.Context, string) (*store.Entry, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	return nil, store.ErrMiss
}

// Set drops the entry.
func (s *Store) Set(context.Context, string, *store.Entry) error { return s.check() }

// Delete always returns 0: no key is ever live.
func (s *Store) Delete(context.Context, ...string) (int, error) { return 0, s.check() }

// Clear has nothing to remove.
func (s *Store) Clear(context.Context, string) error { return s.check() }

// Close makes every other method return store.ErrClosed. It is idempotent.
func (s *Store) Close() error {
	s.closed.Store(true)
	return nil
}

// GetMany returns a miss for each key.
func (s *Store) GetMany(_ context.Context, keys []string) ([]*store.Entry, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	return make([]*store.Entry, len(keys)), nil
}

// SetMany drops all items.
func (s *Store) SetMany(_ context.Context, items []store.Item) (failed []string, err error) {
	if err := s.check(); err != nil {
		failed = make([]string, len(items))
		for i, it := range items {
			failed[i] = it.Key
		}
		return failed, err
	}
	return nil, nil
}

// Add always reports true: the key was absent, and the entry is gone as soon as it is stored.
func (s *Store) Add(context.Context, string, *store.Entry) (bool, error) {
	if err := s.check(); err != nil {
		return false, err
	}
	return true, nil
}

// Touch always reports false: what was seen is not there.
func (s *Store) Touch(context.Context, string, *store.Entry, store.Times) (bool, error) {
	return false, s.check()
}

// Incr returns store.ErrMiss without create. With it, each call begins anew from create's value.
func (s *Store) Incr(_ context.Context, _ string, delta int64, create *store.Entry) (int64, error) {
	if err := s.check(); err != nil {
		return 0, err
	}
	if create == nil {
		return 0, store.ErrMiss
	}
	n, err := strconv.ParseInt(string(create.Value), 10, 64)
	if create.Flags&store.FlagCounter == 0 || err != nil {
		return 0, store.ErrNotInteger
	}
	if delta > 0 && n > math.MaxInt64-delta || delta < 0 && n < math.MinInt64-delta {
		return 0, store.ErrOverflow
	}
	return n + delta, nil
}

// Scan yields nothing.
func (s *Store) Scan(context.Context, string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := s.check(); err != nil {
			yield("", err)
		}
	}
}

// Ping succeeds until the store is closed.
func (s *Store) Ping(context.Context) error { return s.check() }

// Size is always zero.
func (s *Store) Size() (entries int, bytes int64) { return 0, 0 }
