package cache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/guard/mirror"
	"github.com/strata-cache/strata/core/store"
)

// Add stores v under key if there is no fresh value, atomically, and reports whether it did. What a Fetch
// remembers as not found is no value. The TTL is not jittered. A negative TTL stores nothing; the result
// then tells whether there was no value.
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
	adder, ok := store.As[store.Adder](c.store)
	if !ok {
		return false, c.unsupported("add", "store.Adder")
	}
	if call.ttl < 0 {
		_, _, err := s.entryOf(ctx, key)
		if errors.Is(err, ErrMiss) {
			return true, nil
		}
		return false, err
	}
	final, err := s.verbKey(ctx, key)
	if err != nil {
		return false, err
	}
	e, err := verbEntry(c, v, call, false)
	if err != nil {
		return false, err
	}
	if err := s.hold(ctx, final); err != nil {
		return false, fmt.Errorf("cache: add: %w", err)
	}
	defer s.release(final)
	for range casAttempts {
		added, err := s.addOnce(ctx, adder, store.Item{Key: final, Entry: e})
		if err != nil {
			s.notStored(ctx, event.OpAdd, err)
			return false, fmt.Errorf("cache: add: %w", err)
		}
		if added || !s.dropVoid(ctx, final) {
			return added, nil
		}
	}
	return false, fmt.Errorf("cache: add: %w", errContended)
}

// addOnce is one attempt of add.
func (s *Space) addOnce(ctx context.Context, adder store.Adder, it store.Item) (added bool, err error) {
	it.Entry.Stamp = s.mirror.Applied()
	if s.log == nil {
		op, done := s.op(ctx, 1)
		added, err = adder.Add(op, it.Key, it.Entry)
		done()
		if added {
			s.changed(it.Key)
		}
		return added, err
	}
	a, err := s.append(ctx, store.Change{
		Add:   &it,
		Items: []store.Invalidation{{Kind: store.InvalidateKey, Name: it.Key, Token: it.Entry.Token()}},
	})
	if err == nil {
		err = a.Err
	}
	return a.Added, err
}

// void returns what is no value to those who write: what lies in the store under the final key and is a
// remembered ErrNotFound, or was invalidated. Nil: there is no such thing.
func (s *Space) void(ctx context.Context, final string) *store.Entry {
	op, done := s.op(ctx, 1)
	defer done()
	e, err := s.store.Get(op, final)
	if err != nil || e.Flags&store.FlagNegative == 0 && s.judge(final, e, s.local) == mirror.Valid {
		return nil
	}
	return e
}

// dropVoid removes what is no value and reports whether the key is worth another try.
func (s *Space) dropVoid(ctx context.Context, final string) bool {
	toucher, ok := store.As[store.Toucher](s.store)
	if !ok {
		return false
	}
	e := s.void(ctx, final)
	if e == nil {
		return false
	}
	op, done := s.op(ctx, 1)
	defer done()
	_, err := toucher.Touch(op, final, e, store.Times{Created: e.Created, Fresh: 1, Gone: 1})
	return err == nil
}
