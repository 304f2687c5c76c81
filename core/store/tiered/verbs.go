package tiered

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/strata-cache/strata/core/store"
)

// unsupported is the answer of a method that store.As does not offer.
func unsupported(what string) error {
	return fmt.Errorf("tiered: %s: no tier behind the first can: %w", what, errors.ErrUnsupported)
}

// Add leaves the decision to the first tier behind L1 that is a store.Adder, for counters to the one that
// counts; a fresh entry further below counts as well. L1 is not asked: it may be behind. Where a tier fails
// afterwards the entry is removed again and the error returned.
func (s *Store) Add(ctx context.Context, key string, e *store.Entry) (bool, error) {
	if err := s.check(); err != nil {
		return false, err
	}
	at := s.adder
	if e.Flags&store.FlagCounter != 0 && s.counter > 0 {
		at = s.counter
	}
	if at == 0 || s.tiers[at].adder == nil {
		return false, unsupported("add")
	}
	w := s.enter(key)
	defer w.done()
	added, err := false, w.settle(ctx)
	if err == nil {
		added, err = s.add(ctx, at, key, e)
	}
	switch {
	case err != nil || added && !s.keeps(0, e):
		w.drop(key)
	case added:
		_ = w.put(key, s.tiers[0].cap(e, nowMs())) // it is stored below
	}
	return added, err
}

func (s *Store) add(ctx context.Context, at int, key string, e *store.Entry) (bool, error) {
	if there, err := s.freshBelow(ctx, at, key); there || err != nil {
		return false, err
	}
	copies := s.copies(e)
	if added, err := s.tiers[at].adder.Add(ctx, key, copies[at]); err != nil {
		return false, s.tiers[at].fail("add", err)
	} else if !added {
		return false, nil
	}
	for i := s.last(); i > 0; i-- {
		if i == at {
			continue
		}
		var err error
		if i > at {
			err = s.setOne(ctx, i, key, copies[i])
		} else if _, err = s.tiers[i].Store.Delete(ctx, key); err != nil {
			err = s.tiers[i].fail("delete", err)
		}
		if err != nil {
			return false, errors.Join(err, s.removeBelow(ctx, []string{key}))
		}
	}
	return true, nil
}

// freshBelow reports whether a tier below at has a fresh entry.
func (s *Store) freshBelow(ctx context.Context, at int, key string) (bool, error) {
	now := nowMs()
	for i := at + 1; i < len(s.tiers); i++ {
		e, err := s.tiers[i].Store.Get(ctx, key)
		switch {
		case err == nil && s.keeps(i, e) && e.IsFresh(now):
			return true, nil
		case err != nil && !errors.Is(err, store.ErrMiss) && !errors.Is(err, store.ErrCorrupt):
			return false, s.tiers[i].fail("get", err)
		}
	}
	return false, nil
}

// Touch leaves the decision to the first tier behind L1 that is a store.Toucher. seen may be a copy that a
// MaxTTL has shortened. L1 forgets the key in any case: it has other instants now, or what was seen in it was
// not what is below.
func (s *Store) Touch(ctx context.Context, key string, seen *store.Entry, t store.Times) (bool, error) {
	if err := s.check(); err != nil {
		return false, err
	}
	at := s.toucher
	if at == 0 {
		return false, unsupported("touch")
	}
	w := s.enter(key)
	defer w.done()
	defer w.drop(key)
	if err := w.settle(ctx); err != nil {
		return false, err
	}
	if ok, err := s.touchIn(ctx, at, key, seen, t); !ok || err != nil {
		return false, err
	}
	var errs []error
	for i := s.last(); i > 0; i-- {
		if i == at {
			continue
		}
		followed := false
		if i > at && s.tiers[i].toucher != nil {
			followed, _ = s.touchIn(ctx, i, key, seen, t) // where it failed, so does what follows
		}
		if followed {
			continue
		}
		if _, err := s.tiers[i].Store.Delete(ctx, key); err != nil {
			errs = append(errs, s.tiers[i].fail("delete", err))
		}
	}
	return true, errors.Join(errs...)
}

// touchIn is Touch in one tier. What it compares with is seen, or what is there if seen is a shortened copy.
func (s *Store) touchIn(ctx context.Context, i int, key string, seen *store.Entry, times store.Times) (bool, error) {
	t := &s.tiers[i]
	if seen.Flags&store.FlagCounter == 0 {
		times = t.capTimes(times, nowMs())
	}
	ok, err := t.toucher.Touch(ctx, key, seen, times)
	if err != nil {
		return ok, t.fail("touch", err)
	}
	if ok || !s.shortens() {
		return ok, nil
	}
	there, err := t.Store.Get(ctx, key)
	switch {
	case errors.Is(err, store.ErrMiss), errors.Is(err, store.ErrCorrupt):
		return false, nil
	case err != nil:
		return false, t.fail("touch", err)
	case !shortened(seen, there) && !shortened(there, seen):
		return false, nil
	}
	if ok, err = t.toucher.Touch(ctx, key, there, times); err != nil {
		return ok, t.fail("touch", err)
	}
	return ok, nil
}

func (s *Store) shortens() bool {
	return slices.ContainsFunc(s.tiers, func(t tier) bool { return t.MaxTTL > 0 })
}

// shortened reports whether short is long as a tier with a MaxTTL keeps it.
func shortened(short, long *store.Entry) bool {
	t := long.Times
	if t != short.Times {
		if t.Gone != 0 && short.Gone >= t.Gone {
			return false
		}
		t.Gone = short.Gone
		if t.Fresh != 0 {
			t.Fresh = min(t.Fresh, short.Gone)
		}
	}
	return t == short.Times && short.Stamp == long.Stamp && short.Schema == long.Schema &&
		short.LoadCost == long.LoadCost && short.Priority == long.Priority && short.Flags == long.Flags &&
		slices.Equal(short.Tags, long.Tags) && slices.Equal(short.Deps, long.Deps) &&
		bytes.Equal(short.Value, long.Value)
}

// Incr counts in the first tier behind L1 that is a store.Counter; no tier above it keeps the key. An entry
// below it that is no counter is store.ErrNotInteger, unless that tier fails.
func (s *Store) Incr(ctx context.Context, key string, delta int64, create *store.Entry) (int64, error) {
	if err := s.check(); err != nil {
		return 0, err
	}
	at := s.counter
	if at == 0 {
		return 0, unsupported("incr")
	}
	w := s.enter(key)
	defer w.done()
	defer w.drop(key)
	if err := w.settle(ctx); err != nil {
		return 0, err
	}
	n, err := s.incr(ctx, at, key, delta, create)
	if err != nil {
		return 0, err
	}
	for i := at - 1; i > 0; i-- {
		if _, err := s.tiers[i].Store.Delete(ctx, key); err != nil {
			return 0, s.tiers[i].fail("delete", err)
		}
	}
	return n, nil
}

func (s *Store) incr(ctx context.Context, at int, key string, delta int64, create *store.Entry) (int64, error) {
	t := &s.tiers[at]
	if create != nil && at < s.last() {
		// What lies below would come to light again when the counter that is created ends.
		n, err := t.counter.Incr(ctx, key, delta, nil)
		switch {
		case err == nil:
			return n, nil
		case !errors.Is(err, store.ErrMiss):
			return 0, t.fail("incr", err)
		}
		there, err := s.freshBelow(ctx, at, key)
		if err != nil {
			s.report(at+1, "get", err)
		}
		if there {
			return 0, t.fail("incr", store.ErrNotInteger)
		}
	}
	n, err := t.counter.Incr(ctx, key, delta, create)
	if err != nil {
		return 0, t.fail("incr", err)
	}
	return n, nil
}

// Scan yields the keys of each tier behind L1, one tier after the other: a key that several have appears more
// than once.
func (s *Store) Scan(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := s.check(); err != nil {
			yield("", err)
			return
		}
		for i := 1; i < len(s.tiers); i++ {
			if s.tiers[i].scanner == nil {
				yield("", unsupported("scan"))
				return
			}
			for k, err := range s.tiers[i].scanner.Scan(ctx, prefix) {
				if err != nil {
					yield("", s.tiers[i].fail("scan", err))
					return
				}
				if !yield(k, nil) {
					return
				}
			}
		}
	}
}

// Ping asks the second tier.
func (s *Store) Ping(ctx context.Context) error {
	switch err := s.check(); {
	case err != nil:
		return err
	case s.pinger == nil:
		return unsupported("ping")
	}
	if err := s.pinger.Ping(ctx); err != nil {
		return s.tiers[1].fail("ping", err)
	}
	return nil
}

// Size is that of the first tier.
func (s *Store) Size() (entries int, bytes int64) {
	if s.sizer == nil {
		return 0, 0
	}
	return s.sizer.Size()
}
