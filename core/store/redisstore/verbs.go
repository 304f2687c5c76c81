package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/strata-cache/strata/core/codec"
	"github.com/strata-cache/strata/core/store"
)

// Delete is one script for every 1,000 keys, on a Cluster or Ring one for each key, 1,000 in a pipeline.
// It ends the leases on the keys, and counts by this process's clock. With an error the count is what is known to have been there.
func (s *Store) Delete(ctx context.Context, keys ...string) (int, error) {
	if len(keys) == 0 && s.closed.Load() {
		return 0, errClosed
	}
	return s.delete(ctx, "delete", keys)
}

func (s *Store) delete(ctx context.Context, op string, keys []string) (n int, err error) {
	var errs distinct
	for batch := range slices.Chunk(keys, batchSize) {
		now := time.Now().UnixMilli()
		err := s.do(ctx, op, func(ctx context.Context) error {
			for _, cmd := range s.run(ctx, deleteScript, s.deletions(batch, now)) {
				some, err := cmd.Int()
				if err != nil {
					errs.add(err)
				}
				n += some
			}
			return errs.join()
		})
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// deletions are the runs of deleteScript for the keys: one, or on many slots one for each.
func (s *Store) deletions(keys []string, now int64) []call {
	args := []any{now, s.channels()}
	if s.single {
		names := make([]string, 0, 3*len(keys))
		for _, k := range keys {
			names = append(names, s.guarded(k)...)
		}
		return []call{{names, args}}
	}
	calls := make([]call, len(keys))
	for i, k := range keys {
		calls[i] = call{s.guarded(k), args}
	}
	return calls
}

// Add is one script, in which the comparison with Fresh is made by this process's clock. What stands in the
// way is sent back: where it is damaged, a second script replaces it.
func (s *Store) Add(ctx context.Context, key string, e *store.Entry) (bool, error) {
	f, refused := s.formOf(key, e, time.Now().UnixMilli())
	stored, err := s.addForm(ctx, "add", key, f)
	if stored && refused != nil {
		return false, fmt.Errorf("redisstore: add: %w", refused)
	}
	return stored, err
}

func (s *Store) addForm(ctx context.Context, op, key string, f form) (stored bool, err error) {
	var there any
	err = s.do(ctx, op, func(ctx context.Context) (err error) {
		there, err = addScript.Run(ctx, s.client, []string{s.name(key)}, time.Now().UnixMilli(), f.data, f.px).Result()
		return err
	})
	if err != nil {
		return false, err
	}
	if data, blocked := there.(string); blocked {
		return s.replaceCorrupt(ctx, op, key, data, f)
	}
	return true, nil
}

// replaceCorrupt stores f under key if data, which was there a moment ago, still is and is no entry of ours,
// and reports whether it did. Comparing keeps it from replacing what somebody else has stored meanwhile.
func (s *Store) replaceCorrupt(ctx context.Context, op, key, data string, f form) (replaced bool, err error) {
	if _, err := entryOf(key, data, time.Now().UnixMilli()); !errors.Is(err, store.ErrCorrupt) {
		return false, nil
	}
	err = s.do(ctx, op, func(ctx context.Context) (err error) {
		replaced, err = replaceScript.Run(ctx, s.client, []string{s.name(key)}, data, f.data, f.px).Bool()
		return err
	})
	return replaced, err
}

// Touch is one script that compares the frame's header, which holds the checksum of all the rest, and
// replaces it: the value is not sent. Of a counter it compares the digits and sets the expiry.
func (s *Store) Touch(ctx context.Context, key string, seen *store.Entry, t store.Times) (bool, error) {
	now := time.Now().UnixMilli()
	var old, replacement []byte
	if seen.Flags&store.FlagCounter != 0 {
		old = seen.Value
	} else if h, err := codec.Header(key, seen); err == nil {
		old, replacement = h, codec.Retime(h, t)
	}
	if len(old) == 0 || seen.IsGone(now) { // it cannot be there
		return false, s.do(ctx, "touch", func(context.Context) error { return nil })
	}
	touched := false
	err := s.do(ctx, "touch", func(ctx context.Context) (err error) {
		touched, err = touchScript.Run(ctx, s.client, []string{s.name(key)}, old, replacement, expiry(&t, now)).Bool()
		return err
	})
	return touched, err
}
