package cache

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
)

// Incr adds delta to the integer under key, atomically, and returns the sum. The TTL does not change.
// ErrMiss where there is nothing, ErrNotInteger where there is something else, ErrOverflow where the sum
// does not fit; the value is then unchanged. Counters are what Set, Add and SetMany make of an integer and
// what IncrOrInit makes; what a load returned is none. What was built from a
// counter does not end when it counts.
func (c *Cache) Incr(ctx context.Context, key string, delta int64) (int64, error) {
	return c.incr(ctx, key, delta, nil)
}

// Decr is Incr by -delta. The result may be negative.
func (c *Cache) Decr(ctx context.Context, key string, delta int64) (int64, error) {
	if delta == math.MinInt64 {
		return 0, fmt.Errorf("cache: decr: %w", ErrOverflow)
	}
	return c.incr(ctx, key, -delta, nil)
}

// IncrOrInit is Incr, but a missing counter starts at 0, with the TTL of the policy or the call. The TTL
// of an existing counter does not change, and none is jittered.
func (c *Cache) IncrOrInit(ctx context.Context, key string, delta int64, opts ...CallOption) (int64, error) {
	call := c.opts.Policy.call(opts)
	if call.ttl < 0 {
		return 0, errors.New("cache: incr: a counter needs a positive TTL")
	}
	return c.incr(ctx, key, delta, &store.Entry{
		Value:    strconv.AppendInt(nil, 0, 10),
		Times:    lifetime(c.clock.milli(), call.ttl, 0, 0),
		Flags:    store.FlagCounter,
		Priority: c.opts.Policy.Priority,
	})
}

func (c *Cache) incr(ctx context.Context, key string, delta int64, create *store.Entry) (n int64, err error) {
	start := time.Now()
	defer func() {
		outcome := outcomeOf(err)
		if errors.Is(err, ErrMiss) {
			outcome = event.OutcomeMiss
		}
		c.verbs.Report(ctx, event.Call{Key: key, Op: event.OpIncr, Outcome: outcome, Took: time.Since(start)})
	}()
	s := c.verbs
	counter, ok := store.As[store.Counter](c.store)
	if !ok {
		return 0, c.unsupported("incr", "store.Counter")
	}
	final, err := s.verbKey(ctx, key)
	if err != nil {
		return 0, err
	}
	if err := c.hold(ctx, final); err != nil {
		return 0, fmt.Errorf("cache: incr: %w", err)
	}
	defer c.release(final)
	for range casAttempts {
		op, done := s.op(ctx, 1)
		n, err = counter.Incr(op, final, delta, create)
		done()
		if !errors.Is(err, store.ErrNotInteger) {
			break
		}
		if create == nil && s.void(ctx, final) != nil {
			err = ErrMiss
			break
		}
		if create == nil || !s.dropVoid(ctx, final) {
			break
		}
	}
	switch {
	case err == nil:
		s.negatives.Delete(final)
		return n, nil
	case errors.Is(err, store.ErrMiss), errors.Is(err, store.ErrNotInteger), errors.Is(err, store.ErrOverflow):
	default:
		c.storeFailed(ctx, event.OpIncr, err)
	}
	return 0, fmt.Errorf("cache: incr: %w", err)
}
