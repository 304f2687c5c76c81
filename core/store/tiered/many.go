package tiered

import (
	"context"
	"errors"

	"github.com/strata-cache/strata/core/store"
)

// GetMany is GetManyValid of any entries.
func (s *Store) GetMany(ctx context.Context, keys []string) ([]*store.Entry, error) {
	return s.GetManyValid(ctx, keys, nil)
}

// GetManyValid asks each tier once, for the keys that no tier above has fresh. The entries that it returns
// are valid also beside an error, which says that a tier has failed and that a key was not found in the
// others. What is copied into a tier between the first and the last costs one operation each.
func (s *Store) GetManyValid(ctx context.Context, keys []string, valid store.Validator) ([]*store.Entry, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	now := nowMs()
	readings := make([]reading, len(keys))
	for i, k := range keys {
		readings[i] = reading{key: k, now: now}
	}
	errs := s.lookMany(ctx, readings, 0, valid)
	marks := make([]mark, len(keys))
	for i := range readings {
		if !readings[i].fresh {
			marks[i] = s.mark(keys[i])
		}
	}
	for i := 1; i < len(s.tiers); i++ {
		errs = append(errs, s.lookMany(ctx, readings, i, valid)...)
	}
	return s.collect(ctx, readings, marks, errs)
}

// lookMany is look for all that is not fresh yet.
func (s *Store) lookMany(ctx context.Context, readings []reading, i int, valid store.Validator) []tierError {
	var want []*reading
	var keys []string
	for j := range readings {
		if r := &readings[j]; !r.fresh {
			want, keys = append(want, r), append(keys, r.key)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	entries, err := s.tiers[i].getMany(ctx, keys)
	for j, r := range want {
		switch {
		case j < len(entries) && (err == nil || entries[j] != nil || errors.Is(err, store.ErrCorrupt)):
			s.consider(r, i, entries[j], nil, valid)
		default:
			s.consider(r, i, nil, err, valid)
		}
	}
	if err != nil {
		return []tierError{{i, s.tiers[i].fail("get", err)}}
	}
	return nil
}

// collect fills the tiers above and returns the entries.
func (s *Store) collect(ctx context.Context, readings []reading, marks []mark, errs []tierError) ([]*store.Entry, error) {
	entries, missing := make([]*store.Entry, len(readings)), false
	var failed [maxTiers]bool
	for i := range readings {
		r := &readings[i]
		if r.entry == nil {
			missing = true
			continue
		}
		for j := range r.at {
			if failed[j] {
				r.above[j] = failing // do not wait for it once more for each key
			}
		}
		entries[i] = s.fill(ctx, r, marks[i])
		for j := range r.at {
			failed[j] = failed[j] || r.above[j] == failing
		}
	}
	if missing && len(errs) > 0 {
		return entries, (&reading{errs: errs}).failure()
	}
	s.reportAll(errs)
	return entries, nil
}

// SetMany is Set of all items, in one batch for each tier.
func (s *Store) SetMany(ctx context.Context, items []store.Item) (failed []string, err error) {
	keys := keysOf(items)
	if err := s.check(); err != nil {
		return keys, err
	}
	if len(items) == 0 {
		return nil, nil
	}
	w := s.enter(keys...)
	defer w.done()
	if err := w.settle(ctx); err != nil {
		w.drop(keys...)
		return keys, err
	}
	b := newBatch(s, items)
	for i := s.last(); i > 0; i-- {
		b.write(ctx, i)
	}
	for j, it := range items {
		if b.failed[it.Key] || !s.keeps(0, it.Entry) {
			w.drop(it.Key)
			continue
		}
		_ = w.put(it.Key, b.copies[j][0]) // it is stored below
	}
	for _, k := range keys {
		if b.failed[k] {
			failed = append(failed, k)
		}
	}
	return failed, errors.Join(b.errs...)
}

// batch is a SetMany on its way up.
type batch struct {
	s      *Store
	items  []store.Item
	copies [][maxTiers]*store.Entry
	failed map[string]bool
	errs   []error
}

func newBatch(s *Store, items []store.Item) *batch {
	b := &batch{s: s, items: items, copies: make([][maxTiers]*store.Entry, len(items)), failed: map[string]bool{}}
	for i, it := range items {
		b.copies[i] = s.copies(it.Entry)
	}
	return b
}

// write stores in tier i what has not failed below it, and removes what is not kept there.
func (b *batch) write(ctx context.Context, i int) {
	t := &b.s.tiers[i]
	var items []store.Item
	var others []string
	for j, it := range b.items {
		switch {
		case b.failed[it.Key]:
		case b.s.keeps(i, it.Entry):
			items = append(items, store.Item{Key: it.Key, Entry: b.copies[j][i]})
		default:
			others = append(others, it.Key)
		}
	}
	if len(others) > 0 {
		if _, err := t.Store.Delete(ctx, others...); err != nil {
			b.fail(t.fail("delete", err), others)
		}
	}
	if len(items) == 0 {
		return
	}
	failed, err := t.setMany(ctx, items)
	if err == nil {
		return
	}
	b.fail(t.fail("set", err), failed)
	if errors.Is(err, store.ErrTooLarge) {
		b.errs = append(b.errs, b.s.removeBelow(ctx, failed))
	}
}

func (b *batch) fail(err error, keys []string) {
	b.errs = append(b.errs, err)
	for _, k := range keys {
		b.failed[k] = true
	}
}

func keysOf(items []store.Item) []string {
	keys := make([]string, len(items))
	for i, it := range items {
		keys[i] = it.Key
	}
	return keys
}

// getMany is GetMany of any store.
func (t *tier) getMany(ctx context.Context, keys []string) ([]*store.Entry, error) {
	if t.batcher != nil {
		return t.batcher.GetMany(ctx, keys)
	}
	entries := make([]*store.Entry, len(keys))
	var corrupt error
	for i, k := range keys {
		e, err := t.Store.Get(ctx, k)
		switch {
		case err == nil:
			entries[i] = e
		case errors.Is(err, store.ErrMiss):
		case errors.Is(err, store.ErrCorrupt):
			corrupt = errors.Join(corrupt, err)
		default:
			return entries[:i], errors.Join(corrupt, err)
		}
	}
	return entries, corrupt
}

// setMany is SetMany of any store.
func (t *tier) setMany(ctx context.Context, items []store.Item) (failed []string, err error) {
	if t.batcher != nil {
		return t.batcher.SetMany(ctx, items)
	}
	var errs []error
	for _, it := range items {
		if err := t.Store.Set(ctx, it.Key, it.Entry); err != nil {
			failed, errs = append(failed, it.Key), append(errs, err)
		}
	}
	return failed, errors.Join(errs...)
}
