package redisstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/strata-cache/strata/core/store"
)

// Incr is one script around INCRBY. It is not tried again after an error, whereupon it may have counted
// or not; a client of the caller's with MaxRetries may count twice.
func (s *Store) Incr(ctx context.Context, key string, delta int64, create *store.Entry) (int64, error) {
	first, f, onMiss := firstCount(delta, create)
	var reply any
	err := s.do(ctx, "incr", func(ctx context.Context) (err error) {
		reply, err = incrScript.Run(ctx, s.client, []string{s.name(key)}, delta, f.data, f.px).Result()
		return err
	})
	if err != nil {
		return 0, err
	}
	switch r := reply.(type) {
	case string:
		n, err := strconv.ParseInt(r, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("redisstore: incr: %w", store.ErrNotInteger)
		}
		return n, nil
	case int64:
		switch r {
		case incrMiss:
			return first, onMiss
		case incrOverflow:
			return 0, fmt.Errorf("redisstore: incr: %w", store.ErrOverflow)
		}
	case []any:
		if data, ok := r[0].(string); ok && len(r) == 1 {
			return s.countAnew(ctx, key, data, first, f, onMiss)
		}
	}
	return 0, fmt.Errorf("redisstore: incr: unexpected reply of type %T", reply)
}

// countAnew is Incr where data stands in the way: an entry that is no counter, or damage, which is a miss.
func (s *Store) countAnew(ctx context.Context, key, data string, first int64, f form, onMiss error) (int64, error) {
	_, err := entryOf(key, data, time.Now().UnixMilli())
	switch {
	case !errors.Is(err, store.ErrCorrupt):
		return 0, fmt.Errorf("redisstore: incr: %w", store.ErrNotInteger)
	case onMiss != nil || len(f.data) == 0: // nothing is to be stored
		return first, onMiss
	}
	replaced, err := s.replaceCorrupt(ctx, "incr", key, data, f)
	switch {
	case err != nil:
		return 0, err
	case !replaced:
		return 0, fmt.Errorf("redisstore: incr: %w", store.ErrNotInteger) // it has just been written by others
	}
	return first, nil
}

// firstCount is what a missing counter becomes: its form, without data where nothing is to be stored,
// and then what Incr returns.
func firstCount(delta int64, create *store.Entry) (n int64, f form, onMiss error) {
	if create == nil {
		return 0, form{}, store.ErrMiss
	}
	n, err := strconv.ParseInt(string(create.Value), 10, 64)
	switch {
	case create.Flags&store.FlagCounter == 0 || err != nil:
		return 0, form{}, fmt.Errorf("redisstore: incr: %w", store.ErrNotInteger)
	case delta > 0 && n > math.MaxInt64-delta || delta < 0 && n < math.MinInt64-delta:
		return 0, form{}, fmt.Errorf("redisstore: incr: %w", store.ErrOverflow)
	}
	n += delta
	px := expiry(&create.Times, time.Now().UnixMilli())
	if px == gone {
		return n, form{}, nil
	}
	return n, form{strconv.AppendInt(nil, n, 10), px}, nil
}

// getCounter reads again a key that held digits, together with its lifetime.
func (s *Store) getCounter(ctx context.Context, key string) (*store.Entry, error) {
	keys, entries := []string{key}, make([]*store.Entry, 1)
	var errs distinct
	if err := s.getCounters(ctx, keys, []int{0}, entries, &errs); err != nil {
		return nil, err
	}
	if err := errs.join(); err != nil {
		return nil, err
	}
	if entries[0] == nil {
		return nil, store.ErrMiss
	}
	return entries[0], nil
}

// getCounters reads again those keys that held digits, together with their lifetimes, and fills their
// entries.
func (s *Store) getCounters(ctx context.Context, keys []string, at []int, entries []*store.Entry, errs *distinct) error {
	calls := make([]call, len(at))
	for i, k := range at {
		calls[i].keys = []string{s.name(keys[k])}
	}
	// Taken before the server is asked, so that no counter seems to live longer than it does.
	now := time.Now().UnixMilli()
	return s.do(ctx, "get", func(ctx context.Context) error {
		for i, cmd := range s.run(ctx, readScript, calls) {
			e, err := counterOf(keys[at[i]], cmd, now)
			switch {
			case err == nil:
				entries[at[i]] = e
			case errors.Is(err, store.ErrMiss):
			case errors.Is(err, store.ErrCorrupt):
				errs.add(fmt.Errorf("redisstore: get: %w", err))
			default:
				return err
			}
		}
		return nil
	})
}

// counterOf returns the entry in the reply of readScript. What was a counter may have become something
// else meanwhile.
func counterOf(key string, cmd *redis.Cmd, now int64) (*store.Entry, error) {
	r, err := cmd.Slice()
	if redis.HasErrorPrefix(err, "WRONGTYPE") {
		return nil, errWrongType
	}
	if err != nil {
		return nil, err
	}
	if len(r) != 2 {
		return nil, fmt.Errorf("unexpected reply of length %d", len(r))
	}
	data, ok := r[0].(string)
	pttl, _ := r[1].(int64)
	if !ok {
		return nil, store.ErrMiss
	}
	return livingEntry(key, data, pttl, now)
}

// livingEntry is entryOf for what lives pttl milliseconds more, which the form of a counter does not say.
func livingEntry(key, data string, pttl, now int64) (*store.Entry, error) {
	e, err := entryOf(key, data, now)
	if err == nil && e.Flags&store.FlagCounter != 0 && pttl >= 0 {
		e.Gone = now + max(pttl, 1) // one in its last millisecond is still there
		e.Fresh = e.Gone
	}
	return e, err
}
