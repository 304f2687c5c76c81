package cache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
)

// BumpVersion moves the value under key to another version of the cache's keys, delta away, and returns
// that version; WithVersion sees it from then on, and this version does not. The TTL is kept. delta 0
// does nothing. ErrMiss where there is no value. On error the version is this one; the value may then be
// in both.
func (c *Cache) BumpVersion(ctx context.Context, key string, delta int) (version int, err error) {
	start := time.Now()
	version, err = c.bump(ctx, key, delta)
	outcome := outcomeOf(err)
	if errors.Is(err, ErrMiss) {
		outcome = event.OutcomeMiss
	}
	c.verbs.Report(ctx, event.Call{Key: key, Op: event.OpTouch, Outcome: outcome, Took: time.Since(start)})
	return version, err
}

func (c *Cache) bump(ctx context.Context, key string, delta int) (version int, err error) {
	version = c.version + delta
	if delta == 0 {
		_, _, err := c.verbs.entryOf(ctx, key)
		return version, err
	}
	if version < 0 {
		return c.version, fmt.Errorf("cache: bump version: %d is negative", version)
	}
	toucher, ok := store.As[store.Toucher](c.store)
	if !ok {
		return c.version, c.unsupported("bump version", "store.Toucher")
	}
	target, err := c.view(version).verbs.verbKey(ctx, key)
	if err != nil {
		return c.version, err
	}
	source, err := c.verbs.verbKey(ctx, key)
	if err != nil {
		return c.version, err
	}
	if err := c.hold(ctx, source, target); err != nil {
		return c.version, fmt.Errorf("cache: bump version: %w", err)
	}
	defer c.release(source, target)
	for range casAttempts {
		e, _, err := c.verbs.entryOf(ctx, key)
		if err != nil {
			return c.version, err
		}
		if _, err := c.verbs.put(ctx, []store.Item{{Key: target, Entry: e.WithTimes(e.Times)}}); err != nil {
			return c.version, fmt.Errorf("cache: bump version: %w", err)
		}
		// Removing by compare-and-set: a value written meanwhile must move too, or it would be lost.
		op, done := c.op(ctx, 1)
		removed, err := toucher.Touch(op, source, e, store.Times{Created: e.Created, Fresh: 1, Gone: 1})
		done()
		if err != nil {
			c.storeFailed(ctx, event.OpTouch, err)
			return c.version, fmt.Errorf("cache: bump version: %w", err)
		}
		if removed {
			return version, c.touched(ctx, source, -1)
		}
	}
	return c.version, fmt.Errorf("cache: bump version: %w", errContended)
}
