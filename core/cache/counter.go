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
// does not fit; the value is then unchanged.
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
		Times:    lifetime(time.Now().UnixMilli(), call.ttl, 0, 0),
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
	counter, ok := c.store.(store.Counter)
	if !ok {
		return 0, c.unsupported("incr", "store.Counter")
	}
	final, err := c.verbs.verbKey(ctx, key)
	if err != nil {
		return 0, err
	}
	n, err = counter.Incr(ctx, final, delta, create)
	switch {
	case err == nil:
		c.flights.Forget(final)
		return n, nil
	case errors.Is(err, store.ErrMiss), errors.Is(err, store.ErrNotInteger), errors.Is(err, store.ErrOverflow):
	default:
		c.storeFailed(ctx, event.OpIncr, err)
	}
	return 0, fmt.Errorf("cache: incr: %w", err)
}

// BumpVersion moves the value under key to another version of the cache's keys, delta away, and returns
// that version; WithVersion sees it from then on, and this version does not. The TTL is kept. delta 0
// does nothing. ErrMiss where there is no value.
func (c *Cache) BumpVersion(ctx context.Context, key string, delta int) (version int, err error) {
	version = c.version + delta
	if delta == 0 {
		_, _, err := c.verbs.entryOf(ctx, key)
		return version, err
	}
	if version < 0 {
		return c.version, fmt.Errorf("cache: bump version: %d is negative", version)
	}
	toucher, ok := c.store.(store.Toucher)
	if !ok {
		return c.version, c.unsupported("bump version", "store.Toucher")
	}
	target, err := c.view(version).verbs.verbKey(ctx, key)
	if err != nil {
		return c.version, err
	}
	for range casAttempts {
		e, final, err := c.verbs.entryOf(ctx, key)
		if err != nil {
			return c.version, err
		}
		c.flights.Forget(target)
		if err := c.verbs.Put(ctx, target, e.WithTimes(e.Times)); err != nil {
			return c.version, fmt.Errorf("cache: bump version: %w", err)
		}
		// Removing by compare-and-set: a value written meanwhile must move too, or it would be lost.
		c.flights.Forget(final)
		removed, err := toucher.Touch(ctx, final, e, store.Times{Created: e.Created, Fresh: 1, Gone: 1})
		if err != nil {
			c.storeFailed(ctx, event.OpTouch, err)
			return c.version, fmt.Errorf("cache: bump version: %w", err)
		}
		if removed {
			return version, nil
		}
	}
	return c.version, fmt.Errorf("cache: bump version: %w", errContended)
}
