package cache

import (
	"context"
	"errors"
	"fmt"

	"github.com/strata-cache/strata/core/codec"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
)

// Put stores e under the final key. An entry that is refused, because it has more than MaxTags tags or the
// store does not take it, removes what was there. A store that fails is reported, and the error returned.
func (s *Space) Put(ctx context.Context, key string, e *store.Entry) error {
	if len(e.Tags) > MaxTags {
		s.refused(ctx, s.name, s.layer, "tags")
		s.takeBack(ctx, key)
		return fmt.Errorf("cache: %d tags, at most %d are allowed", len(e.Tags), MaxTags)
	}
	op, done := s.op(ctx, 1)
	err := s.store.Set(op, key, e)
	done()
	s.notStored(ctx, event.OpSet, err, key)
	return err
}

// notStored reports the error of a write, if any.
func (s *Space) notStored(ctx context.Context, op event.Op, err error, keys ...string) {
	switch {
	case err == nil:
	case errors.Is(err, store.ErrTooLarge):
		s.refused(ctx, s.name, s.layer, "too-large")
	case errors.Is(err, codec.ErrUnencodable):
		s.refused(ctx, s.name, s.layer, "encode")
		s.takeBack(ctx, keys...)
	default:
		s.storeFailed(ctx, op, err)
	}
}

// takeBack removes what must not stay, and tells nobody but the observer if it cannot.
func (s *Space) takeBack(ctx context.Context, keys ...string) {
	op, done := s.op(ctx, len(keys))
	defer done()
	if _, err := s.store.Delete(op, keys...); err != nil {
		s.storeFailed(ctx, event.OpDelete, err)
	}
}

// write stores e under the final key, in place of whatever is there and of what running loads return.
func (s *Space) write(ctx context.Context, key string, e *store.Entry) error {
	if err := s.hold(ctx, key); err != nil {
		return fmt.Errorf("cache: set: %w", err)
	}
	defer s.release(key)
	if err := s.Put(ctx, key, e); err != nil {
		return fmt.Errorf("cache: set: %w", err)
	}
	return nil
}

// Remove removes the final keys and returns how many were live. Loads of them that run meanwhile are not
// stored.
func (s *Space) Remove(ctx context.Context, keys ...string) (n int, err error) {
	if err := s.forget(ctx, keys...); err != nil {
		return 0, fmt.Errorf("cache: delete: %w", err)
	}
	op, done := s.op(ctx, len(keys))
	n, err = s.store.Delete(op, keys...)
	done()
	if err != nil {
		s.storeFailed(ctx, event.OpDelete, err)
		return n, fmt.Errorf("cache: delete: %w", err)
	}
	return n, nil
}
