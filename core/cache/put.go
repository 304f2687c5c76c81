package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/strata-cache/strata/core/codec"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
)

// Put stores e under the final key. An entry that is refused, because it has more than MaxTags tags or the
// store does not take it, removes what was there. A store that fails is reported, and the error returned.
func (s *Space) Put(ctx context.Context, key string, e *store.Entry) error {
	if badTags(e) {
		s.refused(ctx, s.name, s.layer, "tags")
		s.takeBack(ctx, key)
		return tooManyTags(e)
	}
	if !s.reachable() {
		return ErrUnreachable
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
	if !s.reachable() {
		if s.front != nil {
			s.front.DropFront(keys...)
		}
		return
	}
	op, done := s.op(ctx, len(keys))
	defer done()
	if _, err := s.store.Delete(op, keys...); err != nil {
		s.storeFailed(ctx, event.OpDelete, err)
	}
}

// takeBackLoaded removes what a load has stored although it was overtaken. Where stamps are judged it counts for
// nobody, and what lies in the shared store may be another one's by now.
func (s *Space) takeBackLoaded(ctx context.Context, keys ...string) {
	switch {
	case s.log == nil:
		s.takeBack(ctx, keys...)
	case s.front != nil:
		s.front.DropFront(keys...)
	}
}

// write stores e under the final key, in place of whatever is there and of what running loads return.
func (s *Space) write(ctx context.Context, key string, e *store.Entry) error {
	if err := s.hold(ctx, key); err != nil {
		return fmt.Errorf("cache: set: %w", err)
	}
	defer s.release(key)
	_, err := s.put(ctx, []store.Item{{Key: key, Entry: e}})
	if err != nil {
		return fmt.Errorf("cache: set: %w", err)
	}
	return nil
}

// put stores what a writer has made, in place of what is there, and tells those who have copies or depend on
// it. It returns the keys that were not stored. The keys are held.
func (s *Space) put(ctx context.Context, items []store.Item) (failed []string, err error) {
	stamp := s.mirror.Applied()
	keys := make([]string, len(items))
	for i, it := range items {
		it.Entry.Stamp = stamp
		keys[i] = it.Key
	}
	if s.log == nil {
		failed, err = s.putMany(ctx, items)
		s.changed(keys...)
		return failed, err
	}
	change := store.Change{Items: make([]store.Invalidation, 0, len(items)), Set: make([]store.Item, 0, len(items))}
	var errs []error
	for _, it := range items {
		inv := store.Invalidation{Kind: store.InvalidateKey, Name: it.Key}
		if badTags(it.Entry) {
			s.refused(ctx, s.name, s.layer, "tags")
			failed = append(failed, it.Key)
			errs = append(errs, tooManyTags(it.Entry))
			change.Delete = append(change.Delete, it.Key)
		} else {
			inv.Token = it.Entry.Token()
			change.Set = append(change.Set, it)
		}
		change.Items = append(change.Items, inv)
	}
	a, err := s.append(ctx, change)
	if err != nil {
		s.notStored(ctx, event.OpSet, err)
		return keys, errors.Join(append(errs, err)...)
	}
	if a.Err != nil {
		s.notStored(ctx, event.OpSet, a.Err)
		errs = append(errs, a.Err)
	}
	return append(failed, a.Failed...), errors.Join(errs...)
}

// badTags reports whether an entry has too many tags, or one that is too long.
func badTags(e *store.Entry) bool {
	return len(e.Tags) > MaxTags || slices.ContainsFunc(e.Tags, func(t string) bool { return len(t) > MaxTagLen })
}

func tooManyTags(e *store.Entry) error {
	if len(e.Tags) <= MaxTags {
		return fmt.Errorf("cache: a tag of more than %d bytes", MaxTagLen)
	}
	return fmt.Errorf("cache: %d tags, at most %d are allowed", len(e.Tags), MaxTags)
}

// Remove removes the final keys and returns how many were live. Loads of them that run meanwhile are not
// stored.
func (s *Space) Remove(ctx context.Context, keys ...string) (n int, err error) {
	if err := s.forget(ctx, keys...); err != nil {
		return 0, fmt.Errorf("cache: delete: %w", err)
	}
	for batch := range slices.Chunk(keys, changeBatch) {
		some, err := s.remove(ctx, batch)
		n += some
		if err != nil {
			s.storeFailed(ctx, event.OpDelete, err)
			return n, fmt.Errorf("cache: delete: %w", err)
		}
	}
	return n, nil
}

// changeBatch is how many keys one record of the log names at most.
const changeBatch = 1000

func (s *Space) remove(ctx context.Context, keys []string) (n int, err error) {
	for _, k := range keys {
		if s.negatives.Delete(k) {
			n++
		}
	}
	if s.log != nil {
		a, err := s.append(ctx, store.Change{Delete: keys, Items: itemsOf(store.InvalidateKey, keys)})
		return n + a.Deleted, err
	}
	if !s.reachable() {
		return n, ErrUnreachable
	}
	op, done := s.op(ctx, len(keys))
	some, err := s.store.Delete(op, keys...)
	done()
	s.changed(keys...)
	return n + some, err
}
