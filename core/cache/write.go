package cache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
)

// Set stores v under key. Its TTL is the policy's or the call's, jittered. A negative TTL stores nothing
// and removes what was there. The value is encoded before Set returns: later changes to v are not seen.
// A load of the key that runs meanwhile is not stored.
//
// Integers are stored as counters, which Incr works on, unless tags are given.
func Set[V any](ctx context.Context, c *Cache, key string, v V, opts ...CallOption) error {
	s, start := c.verbs, time.Now()
	final, err := s.verbKey(ctx, key)
	if err == nil {
		err = set(ctx, c, final, v, c.opts.Policy.call(opts))
	}
	s.Report(ctx, event.Call{Key: key, Op: event.OpSet, Outcome: outcomeOf(err), Took: time.Since(start)})
	return err
}

func set[V any](ctx context.Context, c *Cache, final string, v V, call call) error {
	s := c.verbs
	if call.ttl < 0 {
		_, err := s.Remove(ctx, final)
		return err
	}
	e, err := verbEntry(c, v, call, true)
	if err != nil {
		return err
	}
	s.flights.Forget(final)
	if err := s.Put(ctx, final, e); err != nil {
		return fmt.Errorf("cache: set: %w", err)
	}
	return nil
}

// verbEntry returns the entry of a value that a verb writes: it is not kept beyond its TTL.
func verbEntry[V any](c *Cache, v V, call call, jitter bool) (*store.Entry, error) {
	e, err := typeOf[V](c.engine).entry(v, len(call.tags) == 0, false)
	if err != nil {
		return nil, err
	}
	ttl := call.ttl
	if jitter && e.Flags&store.FlagCounter == 0 {
		ttl = c.opts.Policy.jittered(ttl)
	}
	e.Times = lifetime(time.Now().UnixMilli(), ttl, call.refresh, 0)
	e.Tags, e.Priority = call.tags, c.opts.Policy.Priority
	if e.Flags&store.FlagCounter != 0 {
		e.Refresh = 0
	}
	return e, nil
}

// SetMany stores all values with one TTL, in one round trip where the store can do that. It returns the
// keys that could not be stored, with the reasons.
func SetMany[V any](ctx context.Context, c *Cache, values map[string]V, opts ...CallOption) (failed []string, err error) {
	s, start := c.verbs, time.Now()
	call := c.opts.Policy.call(opts)
	var errs []error
	fail := func(key string, err error) {
		failed = append(failed, key)
		errs = append(errs, err)
	}
	var remove []string
	items, users := make([]store.Item, 0, len(values)), make(map[string]string, len(values))
	for key, v := range values {
		final, err := s.verbKey(ctx, key)
		if err != nil {
			fail(key, err)
			continue
		}
		if call.ttl < 0 {
			remove = append(remove, final)
			continue
		}
		e, err := verbEntry(c, v, call, true)
		if err != nil {
			fail(key, err)
			continue
		}
		users[final] = key
		items = append(items, store.Item{Key: final, Entry: e})
		s.flights.Forget(final)
	}
	if len(remove) > 0 {
		if _, err := s.Remove(ctx, remove...); err != nil {
			errs = append(errs, err)
		}
	}
	for final, err := range s.putMany(ctx, items) {
		fail(users[final], err)
	}
	err = errors.Join(errs...)
	s.reportMany(ctx, event.OpSet, len(values)-len(failed), len(values), start, err)
	return failed, err
}

// putMany stores the items and returns those that were not stored.
func (s *Space) putMany(ctx context.Context, items []store.Item) map[string]error {
	if len(items) == 0 {
		return nil
	}
	failed := map[string]error{}
	b, ok := s.store.(store.Batcher)
	if !ok {
		for _, it := range items {
			if err := s.Put(ctx, it.Key, it.Entry); err != nil {
				failed[it.Key] = err
			}
		}
		return failed
	}
	keep := items[:0:0]
	for _, it := range items {
		if len(it.Entry.Tags) > MaxTags {
			failed[it.Key] = s.Put(ctx, it.Key, it.Entry)
			continue
		}
		keep = append(keep, it)
	}
	keys, err := b.SetMany(ctx, keep)
	for _, k := range keys {
		failed[k] = fmt.Errorf("cache: set: %w", err)
	}
	switch {
	case err == nil:
	case errors.Is(err, store.ErrTooLarge):
		s.refused(ctx, s.name, s.layer, "too-large")
	default:
		s.storeFailed(ctx, event.OpSet, err)
	}
	return failed
}

// Add stores v under key if there is no fresh value, atomically, and reports whether it did. Its TTL is
// not jittered. A negative TTL stores nothing; the result then tells whether there was no value.
func Add[V any](ctx context.Context, c *Cache, key string, v V, opts ...CallOption) (bool, error) {
	s, start := c.verbs, time.Now()
	added, err := add(ctx, c, key, v, c.opts.Policy.call(opts))
	outcome := outcomeOf(err)
	if err == nil && !added {
		outcome = event.OutcomeMiss
	}
	s.Report(ctx, event.Call{Key: key, Op: event.OpAdd, Outcome: outcome, Took: time.Since(start)})
	return added, err
}

func add[V any](ctx context.Context, c *Cache, key string, v V, call call) (bool, error) {
	s := c.verbs
	adder, ok := c.store.(store.Adder)
	if !ok {
		return false, c.unsupported("add", "store.Adder")
	}
	final, err := s.verbKey(ctx, key)
	if err != nil {
		return false, err
	}
	if call.ttl < 0 {
		has, err := c.Has(ctx, key)
		return !has && err == nil, err
	}
	e, err := verbEntry(c, v, call, false)
	if err != nil {
		return false, err
	}
	added, err := adder.Add(ctx, final, e)
	switch {
	case err == nil && added:
		s.flights.Forget(final)
	case err == nil:
	case errors.Is(err, store.ErrTooLarge):
		s.refused(ctx, s.name, s.layer, "too-large")
		return false, fmt.Errorf("cache: add: %w", err)
	default:
		s.storeFailed(ctx, event.OpAdd, err)
		return false, fmt.Errorf("cache: add: %w", err)
	}
	return added, nil
}

// Delete removes the value under key and reports whether there was one. A load of the key that runs
// meanwhile is not stored.
func (c *Cache) Delete(ctx context.Context, key string) (bool, error) {
	n, err := c.DeleteMany(ctx, key)
	return n > 0, err
}

// DeleteMany removes the values under the keys and returns how many there were.
func (c *Cache) DeleteMany(ctx context.Context, keys ...string) (int, error) {
	s, start := c.verbs, time.Now()
	final, err := s.verbKeys(ctx, keys)
	if err != nil {
		return 0, err
	}
	n := 0
	if len(final) > 0 {
		n, err = s.Remove(ctx, final...)
	}
	s.reportMany(ctx, event.OpDelete, n, len(keys), start, err)
	return n, err
}

// Touch gives the value under key a new TTL, the policy's if ttl is 0, and reports whether there was one.
// A negative ttl removes the value. It compares and sets: a value that is written meanwhile keeps its own
// lifetime, and Touch then tries again with that one.
func (c *Cache) Touch(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	if ttl == 0 {
		ttl = c.opts.Policy.TTL
	}
	start := time.Now()
	ok, err := c.touch(ctx, key, ttl)
	outcome := outcomeOf(err)
	if err == nil && !ok {
		outcome = event.OutcomeMiss
	}
	c.verbs.Report(ctx, event.Call{Key: key, Op: event.OpTouch, Outcome: outcome, Took: time.Since(start)})
	return ok, err
}

// Persist lifts the TTL of the value under key and reports whether there was one.
func (c *Cache) Persist(ctx context.Context, key string) (bool, error) {
	return c.Touch(ctx, key, Forever)
}

// casAttempts bounds how often a compare-and-set is tried again when others keep writing the key.
const casAttempts = 16

var errContended = errors.New("the key is being written too often")

func (c *Cache) touch(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	toucher, ok := c.store.(store.Toucher)
	if !ok {
		return false, c.unsupported("touch", "store.Toucher")
	}
	for range casAttempts {
		e, final, err := c.verbs.entryOf(ctx, key)
		if errors.Is(err, ErrMiss) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		now := time.Now().UnixMilli()
		times := store.Times{Created: e.Created, Fresh: now, Gone: now}
		if ttl > 0 {
			times = lifetime(now, ttl, 0, 0)
			times.Created = e.Created
		}
		done, err := toucher.Touch(ctx, final, e, times)
		if err != nil {
			c.storeFailed(ctx, event.OpTouch, err)
			return false, fmt.Errorf("cache: touch: %w", err)
		}
		if done {
			return true, nil
		}
	}
	return false, fmt.Errorf("cache: touch: %w", errContended)
}
