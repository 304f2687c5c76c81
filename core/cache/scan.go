package cache

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
)

// Keys yields the keys of the untyped verbs, in this version, that match the pattern, in no order. In a
// pattern '*' stands for any bytes, '?' for one, '[a-c]' and '[^a-c]' for one of a set, and '\' takes the
// next byte literally. Keys that were hashed appear as "#" and a digest. A key that is written or removed
// meanwhile may be missing, appear, or appear twice. After an error the sequence ends.
func (c *Cache) Keys(ctx context.Context, pattern string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		scanner, ok := store.As[store.Scanner](c.store)
		if !ok {
			yield("", c.unsupported("keys", "store.Scanner"))
			return
		}
		glob, err := compileGlob(pattern)
		if err != nil {
			yield("", err)
			return
		}
		for key, err := range scanner.Scan(ctx, c.verbs.prefix+glob.prefix) {
			if err != nil {
				c.storeFailed(ctx, event.OpScan, err)
				yield("", fmt.Errorf("cache: keys: %w", err))
				return
			}
			if user := strings.TrimPrefix(key, c.verbs.prefix); glob.match(user) && !yield(user, nil) {
				return
			}
		}
	}
}

// deleteBatch is how many keys DeletePattern removes in one call of the store.
const deleteBatch = 500

// DeletePattern removes the values whose keys match the pattern, as Keys understands it, and returns how
// many it removed. Loads of such keys that run meanwhile are not stored.
func (c *Cache) DeletePattern(ctx context.Context, pattern string) (removed int, err error) {
	glob, err := compileGlob(pattern)
	if err != nil {
		return 0, err
	}
	start, seen := time.Now(), 0
	defer func() { c.verbs.reportMany(ctx, event.OpDelete, removed, seen, start, err) }()
	ours := func(key string) bool {
		user, ok := strings.CutPrefix(key, c.verbs.prefix)
		return ok && glob.match(user)
	}
	c.flights.ForgetFunc(ours)
	removed = c.negatives.DeleteFunc(ours)
	seen = removed
	var batch []string
	flush := func() error {
		n, err := c.verbs.Remove(ctx, batch...)
		removed += n
		batch = batch[:0]
		return err
	}
	for key, err := range c.Keys(ctx, pattern) {
		if err != nil {
			return removed, err
		}
		seen++
		if batch = append(batch, c.verbs.prefix+key); len(batch) == deleteBatch {
			if err := flush(); err != nil {
				return removed, err
			}
		}
	}
	if len(batch) == 0 {
		return removed, nil
	}
	return removed, flush()
}
