package cache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
)

// Touch gives the value under key a new TTL, the policy's if ttl is 0, and reports whether there was one.
// A negative ttl removes the value. It compares and sets: a value that is written meanwhile keeps its own
// lifetime, and Touch then tries again with that one. A refresh-after is lifted; what is kept of a value
// beyond its TTL (StaleFor) stays as long as it was.
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

// outlives returns how long e is kept past its TTL.
func outlives(e *store.Entry) time.Duration {
	switch {
	case e.Fresh == 0:
		return 0
	case e.Gone == 0:
		return Forever
	default:
		return time.Duration(e.Gone-e.Fresh) * time.Millisecond
	}
}

func (c *Cache) touch(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	toucher, ok := store.As[store.Toucher](c.store)
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
		now := c.clock.milli()
		times := store.Times{Created: e.Created, Fresh: now, Gone: now}
		if ttl > 0 {
			times = lifetime(now, ttl, 0, outlives(e))
			times.Created = e.Created
		}
		op, cancel := c.op(ctx, 1)
		done, err := toucher.Touch(op, final, e, times)
		cancel()
		if err != nil {
			c.storeFailed(ctx, event.OpTouch, err)
			return false, fmt.Errorf("cache: touch: %w", err)
		}
		if done {
			return true, c.touched(ctx, final, ttl)
		}
	}
	return false, fmt.Errorf("cache: touch: %w", errContended)
}

// touched tells those who have copies of the value that its lifetime has changed, or that it is gone.
func (c *Cache) touched(ctx context.Context, final string, ttl time.Duration) error {
	kind := store.DropKey
	if ttl < 0 {
		kind = store.InvalidateKey
	}
	if c.log == nil {
		if ttl < 0 {
			c.changed(final)
		}
		return nil
	}
	return c.invalidate(ctx, event.OpTouch, store.Change{Items: itemsOf(kind, []string{final})})
}
