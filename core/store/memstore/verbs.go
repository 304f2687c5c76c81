package memstore

import (
	"context"
	"errors"
	"math"
	"strconv"

	"github.com/strata-cache/strata/core/store"
)

// GetMany looks the keys up one after the other.
func (s *Store) GetMany(_ context.Context, keys []string) ([]*store.Entry, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	entries := make([]*store.Entry, len(keys))
	for i, k := range keys {
		entries[i] = s.lookup(k)
	}
	return entries, nil
}

// SetMany stores the items one after the other.
func (s *Store) SetMany(ctx context.Context, items []store.Item) (failed []string, err error) {
	var errs []error
	for _, it := range items {
		if err := s.Set(ctx, it.Key, it.Entry); err != nil {
			failed, errs = append(failed, it.Key), append(errs, err)
		}
	}
	return failed, errors.Join(errs...)
}

// Add stores e if there is no fresh entry under key.
func (s *Store) Add(_ context.Context, key string, e *store.Entry) (bool, error) {
	p := s.partitionOf(e)
	s.resize(p)
	l := s.lock(key)
	if _, old := s.find(key); old != nil && old.IsFresh(s.clock.Now()) {
		l.Unlock()
		return false, nil
	}
	err := s.put(key, e)
	l.Unlock()
	s.settle(p)
	return err == nil, err
}

// Touch replaces seen by a copy with other instants, if seen, the very pointer, is still under key.
func (s *Store) Touch(_ context.Context, key string, seen *store.Entry, t store.Times) (bool, error) {
	l := s.lock(key)
	defer l.Unlock()
	if err := s.check(); err != nil {
		return false, err
	}
	if _, old := s.find(key); old == nil || old != seen {
		return false, nil
	}
	err := s.put(key, seen.WithTimes(t))
	return err == nil, err
}

// Incr replaces the counter under key by its successor.
func (s *Store) Incr(_ context.Context, key string, delta int64, create *store.Entry) (int64, error) {
	if create != nil {
		s.resize(s.partitionOf(create))
	}
	l := s.lock(key)
	n, next, err := s.count(key, delta, create)
	l.Unlock()
	if err != nil {
		return 0, err
	}
	s.settle(s.partitionOf(next))
	return n, nil
}

// count is Incr with the key's lock held.
func (s *Store) count(key string, delta int64, create *store.Entry) (int64, *store.Entry, error) {
	if err := s.check(); err != nil {
		return 0, nil, err
	}
	_, old := s.find(key)
	if old == nil {
		old = create
	}
	if old == nil {
		return 0, nil, store.ErrMiss
	}
	n, err := strconv.ParseInt(string(old.Value), 10, 64)
	if old.Flags&store.FlagCounter == 0 || err != nil {
		return 0, nil, store.ErrNotInteger
	}
	if delta > 0 && n > math.MaxInt64-delta || delta < 0 && n < math.MinInt64-delta {
		return 0, nil, store.ErrOverflow
	}
	next := old.WithTimes(old.Times)
	next.Value = strconv.AppendInt(nil, n+delta, 10)
	return n + delta, next, s.put(key, next)
}
