package tiered

import (
	"context"
	"errors"

	"github.com/strata-cache/strata/core/store"
)

// Set stores e in all tiers, from the lowest up. Where a tier fails, those above it keep what they have and
// the error is returned; the first tier has then no entry under key. That the first tier does not take e is no
// error.
func (s *Store) Set(ctx context.Context, key string, e *store.Entry) error {
	if err := s.check(); err != nil {
		return err
	}
	w := s.enter(key)
	defer w.done()
	copies := s.copies(e)
	err := w.settle(ctx)
	for i := s.last(); i > 0 && err == nil; i-- {
		err = s.setOne(ctx, i, key, copies[i])
	}
	if err != nil || !s.keeps(0, e) {
		w.drop(key)
		return err
	}
	_ = w.put(key, copies[0]) // it is stored below
	return nil
}

// setOne stores e in tier i, or removes what is there where the tier does not keep such entries.
func (s *Store) setOne(ctx context.Context, i int, key string, e *store.Entry) error {
	t := &s.tiers[i]
	if !s.keeps(i, e) {
		if _, err := t.Store.Delete(ctx, key); err != nil {
			return t.fail("delete", err)
		}
		return nil
	}
	err := t.Store.Set(ctx, key, e)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrTooLarge):
		return errors.Join(t.fail("set", err), s.removeBelow(ctx, []string{key}))
	default:
		return t.fail("set", err)
	}
}

// removeBelow removes what one tier had to refuse for good from all behind the first: no older entry may
// outlive the write.
func (s *Store) removeBelow(ctx context.Context, keys []string) error {
	var errs []error
	for i := s.last(); i > 0; i-- {
		if _, err := s.tiers[i].Store.Delete(ctx, keys...); err != nil {
			errs = append(errs, s.tiers[i].fail("delete", err))
		}
	}
	return errors.Join(errs...)
}

// Delete removes the keys from all tiers, from the lowest up, so that nothing comes up again from below. All
// are tried, whatever fails. One tier says how many there were, since no entry must count twice: the one that
// keeps counters, or else the second.
func (s *Store) Delete(ctx context.Context, keys ...string) (int, error) {
	if err := s.check(); err != nil || len(keys) == 0 {
		return 0, err
	}
	w := s.enter(keys...)
	defer w.done()
	errs := []error{w.settle(ctx)}
	n := 0
	for i := s.last(); i > 0; i-- {
		found, err := s.tiers[i].Store.Delete(ctx, keys...)
		if err != nil {
			errs = append(errs, s.tiers[i].fail("delete", err))
		}
		if i == max(1, s.counter) {
			n = found
		}
	}
	w.drop(keys...)
	return n, errors.Join(errs...)
}

// Clear clears all tiers, from the lowest up. All are tried, whatever fails.
func (s *Store) Clear(ctx context.Context, prefix string) error {
	if err := s.check(); err != nil {
		return err
	}
	w := s.enterAll()
	defer w.done()
	errs := []error{w.settle(ctx)}
	for i := s.last(); i >= 0; i-- {
		at := ctx
		if i == 0 {
			at = always()
		}
		if err := s.tiers[i].Store.Clear(at, prefix); err != nil {
			errs = append(errs, s.tiers[i].fail("clear", err))
		}
	}
	return errors.Join(errs...)
}
