package redisstore

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/strata-cache/strata/core/store"
)

// appendInSteps is appendOnce where no single script can do it.
func (s *Store) appendInSteps(ctx context.Context, w *work) (a store.Appended, err error) {
	if w.beyond == "" && (len(w.Delete) > 0 || w.Add != nil) {
		// The script of the record looks again: this is so that nothing was done before.
		if err := s.checkEnd(ctx, w); err != nil {
			return a, err
		}
	}
	if a.Deleted, err = s.delete(ctx, "append", w.Delete); err != nil {
		return a, err
	}
	if w.Add != nil {
		if a.Added, err = s.addForm(ctx, "append", w.Add.Key, w.add); err != nil || !a.Added {
			return a, err
		}
		if err := s.unguardAdded(ctx, w); err != nil {
			return a, err
		}
	}
	if len(w.records) == 0 && len(w.Set) == 0 && (len(w.Delete) > 0 || w.Add != nil) {
		return a, nil
	}
	recorded, _, _, err := s.runAppend(ctx, []string{s.logKey()}, append(s.logArgs(w, 0, 0, 0), w.records...))
	if err != nil {
		return a, err
	}
	a.Records, a.Gap = recorded.Records, recorded.Gap
	s.fail(ctx, &a, w, s.storeForms(ctx, w))
	return a, nil
}

// checkEnd is ErrLogLost where the log ends before the caller's position.
func (s *Store) checkEnd(ctx context.Context, w *work) error {
	var reply any
	err := s.do(ctx, "append", func(ctx context.Context) (err error) {
		reply, err = s.client.Do(ctx, "xrevrange", s.logKey(), "+", w.after, "count", 1).Result()
		return err
	})
	if err != nil {
		return err
	}
	if list, _ := reply.([]any); len(list) == 0 && w.after != streamID(store.Position{}) {
		return fmt.Errorf("redisstore: append: %w", store.ErrLogLost)
	}
	return nil
}

// unguardAdded ends the lease on the key of an add that was stored.
func (s *Store) unguardAdded(ctx context.Context, w *work) error {
	return s.do(ctx, "append", func(ctx context.Context) error {
		return unguardScript.Run(ctx, s.client, s.guarded(w.Add.Key), w.add.data, s.channels()).Err()
	})
}

// storeForms carries out the sets, and returns one error for each. Once no server answers, the remaining ones
// fail without being sent.
func (s *Store) storeForms(ctx context.Context, w *work) (errs []error) {
	errs = make([]error, 0, len(w.Set))
	for len(errs) < len(w.Set) {
		at, size := len(errs), 0
		var calls []call
		for i := at; i < len(w.Set) && len(calls) < batchSize && (i == at || size+len(w.sets[i].data) <= maxScriptBytes); i++ {
			f := w.sets[i]
			size += len(f.data)
			calls = append(calls, call{s.guarded(w.Set[i].Key), []any{f.data, f.px, s.channels()}})
		}
		answered := false
		err := s.do(ctx, "append", func(ctx context.Context) error {
			for _, cmd := range s.run(ctx, storeScript, calls) {
				err := cmd.Err()
				answered = answered || err == nil || isReply(err)
				errs = append(errs, err)
			}
			return nil
		})
		for err != nil && len(errs) < at+len(calls) {
			errs = append(errs, err)
		}
		if !answered {
			err := errs[len(errs)-1]
			errs = append(errs, slices.Repeat([]error{err}, len(w.Set)-len(errs))...)
		}
	}
	return errs
}

// unguardScript: KEYS entry, lease, waiters; ARGV data, channels. It ends the lease on what was stored.
var unguardScript = redis.NewScript(luaWake + `
unguard(KEYS[2], KEYS[3], ARGV[2], KEYS[1], STORED, ARGV[1])
return 1`)
