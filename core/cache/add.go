package cache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/strata-cache/strata/core/event"
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
	adder, ok := c.store.(store.Adder)
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
		op, done := s.op(ctx, 1)
		added, err := adder.Add(op, final, e)
		done()
		if err != nil {
			s.notStored(ctx, event.OpAdd, err)
			return false, fmt.Errorf("cache: add: %w", err)
		}
		if added || !s.dropNegative(ctx, final) {
			return added, nil
		}
	}
	return false, fmt.Errorf("cache: add: %w", errContended)
}

// negative returns the remembered ErrNotFound under the final key, or nil. It is no value to those who
// write.
func (s *Space) negative(ctx context.Context, final string) *store.Entry {
	if e, _ := s.lookup(ctx, final); e != nil && e.Flags&store.FlagNegative != 0 {
		return e
	}
	return nil
}

// dropNegative removes a remembered ErrNotFound and reports whether the key is worth another try.
func (s *Space) dropNegative(ctx context.Context, final string) bool {
	toucher, ok := s.store.(store.Toucher)
	if !ok {
		return false
	}
	e := s.negative(ctx, final)
	if e == nil {
		return false
	}
	op, done := s.op(ctx, 1)
	defer done()
	_, err := toucher.Touch(op, final, e, store.Times{Created: e.Created, Fresh: 1, Gone: 1})
	return err == nil
}
