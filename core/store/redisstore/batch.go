package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/strata-cache/strata/core/store"
)

// batchSize is how many keys share a round trip: enough to make its cost small, few enough for the
// server not to keep others waiting.
const batchSize = 1000

// GetMany is one MGET, on a Cluster or Ring one pipeline of GETs, for every 1,000 keys, and one more
// round trip where there are counters among them. Elements that were read before an error are valid.
// MGET shows what is no string as missing: that is a miss without an error.
func (s *Store) GetMany(ctx context.Context, keys []string) ([]*store.Entry, error) {
	if len(keys) == 0 && s.closed.Load() {
		return nil, errClosed
	}
	entries := make([]*store.Entry, len(keys))
	var errs distinct
	at := 0
	for batch := range slices.Chunk(keys, batchSize) {
		if err := s.getBatch(ctx, batch, entries[at:at+len(batch)], &errs); err != nil {
			return entries, err
		}
		at += len(batch)
	}
	return entries, errs.join()
}

// getBatch fills entries. It returns an error that ends the whole call, and adds others to errs.
func (s *Store) getBatch(ctx context.Context, keys []string, entries []*store.Entry, errs *distinct) error {
	var data []reply
	err := s.do(ctx, "get many", func(ctx context.Context) (err error) {
		data, err = s.read(ctx, s.names(keys))
		return err
	})
	if err != nil {
		return err
	}
	now := time.Now().UnixMilli()
	var counters []int
	for i, d := range data {
		switch {
		case errors.Is(d.err, redis.Nil):
		case d.err != nil:
			errs.add(s.failure(ctx, "get many", d.err))
		case isInteger(d.data):
			counters = append(counters, i)
		default:
			entries[i], err = entryOf(keys[i], d.data, now)
			if errors.Is(err, store.ErrCorrupt) {
				errs.add(fmt.Errorf("redisstore: get many: %w", err))
			}
		}
	}
	if len(counters) == 0 {
		return nil
	}
	return s.getCounters(ctx, keys, counters, entries, errs)
}

// reply is what one key of a batch holds; redis.Nil for nothing.
type reply struct {
	data string
	err  error
}

// read returns what the names hold, or the error of a round trip that did not take place.
func (s *Store) read(ctx context.Context, names []string) ([]reply, error) {
	replies := make([]reply, len(names))
	if s.single {
		values, err := s.client.MGet(ctx, names...).Result()
		if err != nil {
			return nil, err
		}
		for i, v := range values {
			if data, ok := v.(string); ok {
				replies[i].data = data
			} else {
				replies[i].err = redis.Nil
			}
		}
		return replies, nil
	}
	cmds := make([]*redis.StringCmd, len(names))
	s.pipeline(ctx, func(p redis.Pipeliner) {
		for i, n := range names {
			cmds[i] = p.Get(ctx, n)
		}
	})
	for i, cmd := range cmds {
		replies[i].data, replies[i].err = cmd.Result()
	}
	return replies, nil
}

// SetMany is one pipeline for every 1,000 items. It is not atomic: of two items with one key the later
// one stays. Once no server answers, the remaining batches fail without being sent.
func (s *Store) SetMany(ctx context.Context, items []store.Item) (failed []string, err error) {
	if len(items) == 0 && s.closed.Load() {
		return nil, errClosed
	}
	var errs distinct
	answered := true
	for batch := range slices.Chunk(items, batchSize) {
		if !answered {
			for _, it := range batch {
				failed = append(failed, it.Key)
			}
			continue
		}
		var results []error
		results, answered = s.setBatch(ctx, batch)
		for i, err := range results {
			if err != nil {
				failed = append(failed, batch[i].Key)
				errs.add(err)
			}
		}
	}
	return failed, errs.join()
}

// setBatch returns one error per item, and whether any server has answered.
func (s *Store) setBatch(ctx context.Context, items []store.Item) (errs []error, answered bool) {
	now := time.Now().UnixMilli()
	forms := make([]form, len(items))
	refused := make([]error, len(items))
	for i, it := range items {
		forms[i], refused[i] = s.formOf(it.Key, it.Entry, now)
	}
	errs = make([]error, len(items))
	err := s.do(ctx, "set many", func(ctx context.Context) error {
		cmds := make([]redis.Cmder, len(items))
		s.pipeline(ctx, func(p redis.Pipeliner) {
			for i, it := range items {
				cmds[i] = put(ctx, p, s.name(it.Key), forms[i])
			}
		})
		for i, cmd := range cmds {
			errs[i] = cmd.Err()
			answered = answered || errs[i] == nil || isReply(errs[i])
		}
		return nil
	})
	for i := range errs {
		switch {
		case err != nil:
			errs[i] = err
		case errs[i] != nil:
			errs[i] = s.failure(ctx, "set many", errs[i])
		}
		if refused[i] != nil {
			errs[i] = errors.Join(fmt.Errorf("redisstore: set many: %w", refused[i]), errs[i])
		}
	}
	return errs, answered
}
