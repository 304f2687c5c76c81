package cache

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
)

// SetMany stores all values with one TTL, in one round trip where the store can do that. It returns the
// keys that could not be stored, in order, with the reasons.
func SetMany[V any](ctx context.Context, c *Cache, values map[string]V, opts ...CallOption) (failed []string, err error) {
	s, start := c.verbs, time.Now()
	call := c.opts.Policy.call(opts)
	var errs []error
	fail := func(key string, err error) {
		failed = append(failed, key)
		errs = append(errs, err)
	}
	items, users := make([]store.Item, 0, len(values)), make(map[string]string, len(values))
	for key, v := range values {
		final, err := s.verbKey(ctx, key)
		if err != nil {
			fail(key, err)
			continue
		}
		users[final] = key
		if call.ttl < 0 {
			continue
		}
		e, err := verbEntry(c, v, call, true)
		if err != nil {
			fail(key, err)
			continue
		}
		items = append(items, store.Item{Key: final, Entry: e})
	}
	var finals []string
	if call.ttl < 0 {
		finals, err = s.removeMany(ctx, slices.Collect(maps.Keys(users)))
	} else {
		finals, err = s.writeMany(ctx, items)
	}
	for _, final := range finals {
		failed = append(failed, users[final])
	}
	slices.Sort(failed)
	err = errors.Join(append(errs, err)...)
	s.reportMany(ctx, event.OpSet, len(values)-len(failed), len(values), start, err)
	return failed, err
}

// removeMany is Remove that returns the keys which it may have left.
func (s *Space) removeMany(ctx context.Context, keys []string) (failed []string, err error) {
	if len(keys) == 0 {
		return nil, nil
	}
	if _, err := s.Remove(ctx, keys...); err != nil {
		return keys, err
	}
	return nil, nil
}

// writeMany is write for many entries.
func (s *Space) writeMany(ctx context.Context, items []store.Item) (failed []string, err error) {
	if len(items) == 0 {
		return nil, nil
	}
	keys := make([]string, len(items))
	for i, it := range items {
		keys[i] = it.Key
	}
	if err := s.hold(ctx, keys...); err != nil {
		return keys, fmt.Errorf("cache: set: %w", err)
	}
	defer s.release(keys...)
	var errs []error
	for batch := range slices.Chunk(items, changeBatch) {
		some, err := s.put(ctx, batch)
		failed, errs = append(failed, some...), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return failed, fmt.Errorf("cache: set: %w", err)
	}
	return failed, nil
}

// putMany is Put for many entries. It returns the keys that were not stored.
func (s *Space) putMany(ctx context.Context, items []store.Item) (failed []string, err error) {
	b, batch := store.As[store.Batcher](s.store)
	var errs []error
	keep := items[:0:0]
	for _, it := range items {
		if batch && !badTags(it.Entry) {
			keep = append(keep, it)
			continue
		}
		if err := s.Put(ctx, it.Key, it.Entry); err != nil {
			failed, errs = append(failed, it.Key), append(errs, err)
		}
	}
	if len(keep) > 0 {
		op, done := s.op(ctx, len(keep))
		keys, err := b.SetMany(op, keep)
		done()
		s.notStored(ctx, event.OpSet, err, keys...)
		failed, errs = append(failed, keys...), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return failed, fmt.Errorf("cache: set: %w", err)
	}
	return failed, nil
}
