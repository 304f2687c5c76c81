package cache

import (
	"context"
	"time"

	"github.com/strata-cache/strata/core/event"
)

// Delete removes the value under key and reports whether there was one; a remembered ErrNotFound counts.
// A load of the key that runs meanwhile is not stored.
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
