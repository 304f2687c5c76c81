package cache

import (
	"context"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
)

// Touch gives the entry under the final key other instants, if it still is the one that the caller has
// seen, and reports whether it did. A store that cannot compare and set does nothing.
func (s *Space) Touch(ctx context.Context, key string, seen *store.Entry, t store.Times) bool {
	toucher, ok := store.As[store.Toucher](s.store)
	if !ok {
		return false
	}
	op, cancel := s.op(ctx, 1)
	defer cancel()
	done, err := toucher.Touch(op, key, seen, t)
	if err != nil {
		s.storeFailed(ctx, event.OpTouch, err)
	}
	return done
}
