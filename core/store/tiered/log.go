package tiered

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/strata-cache/strata/core/store"
)

// logTier is the log of one tier, for all of them.
type logTier struct {
	store.Log
	s  *Store
	at int
}

// Append carries out c in all tiers. The tiers below lose the keys before the log's own does, so that nothing
// old comes up from there once it is clean; they are given what is stored only when it is recorded and stored
// in the log's tier, so that they never have what that one refused. The first tier follows at the end. Where
// the log's tier fails, the first one forgets all keys of c: this process is clean in any case.
//
// A tier below that could not be cleaned is an error only where the record does not name the key: what is
// invalidated there by the record is not valid for any reader.
func (l *logTier) Append(ctx context.Context, c store.Change, after store.Position) (store.Appended, error) {
	s := l.s
	if err := s.check(); err != nil {
		return store.Appended{}, err
	}
	sets := c.Set
	if c.Add != nil {
		sets = append(slices.Clip(sets), *c.Add)
	}
	w := s.enter(append(keysOf(sets), c.Delete...)...)
	defer w.done()
	if err := w.settle(ctx); err != nil {
		l.forget(w, &c)
		return store.Appended{}, err
	}
	cleanErr := l.clean(ctx, &c)
	b := newBatch(s, sets)
	a, err := l.append(ctx, c, b, after)
	if err != nil {
		l.forget(w, &c)
		return a, errors.Join(err, cleanErr)
	}
	w.drop(c.Delete...)
	for _, k := range a.Failed {
		b.failed[k] = true
	}
	if c.Add != nil && !a.Added {
		b.items = b.items[:len(c.Set)]
	}
	return a, errors.Join(cleanErr, l.follow(ctx, w, b))
}

// append is the inner Append, of the entries as its tier keeps them. A fresh entry below stands in the way of
// an Add like one in the log's tier: what remains of the change is then what it deletes.
func (l *logTier) append(ctx context.Context, c store.Change, b *batch, after store.Position) (store.Appended, error) {
	if c.Add != nil {
		there, err := l.s.freshBelow(ctx, l.at, c.Add.Key)
		if err != nil {
			return store.Appended{}, err
		}
		if there && len(c.Delete) == 0 {
			return store.Appended{}, nil
		}
		if there {
			return l.Log.Append(ctx, store.Change{Delete: c.Delete}, after)
		}
		c.Add = &store.Item{Key: c.Add.Key, Entry: b.copies[len(c.Set)][l.at]}
	}
	if len(c.Set) > 0 {
		set := make([]store.Item, len(c.Set))
		for i, it := range c.Set {
			set[i] = store.Item{Key: it.Key, Entry: b.copies[i][l.at]}
		}
		c.Set = set
	}
	return l.Log.Append(ctx, c, after)
}

// clean removes from the tiers below what is deleted and what is replaced.
func (l *logTier) clean(ctx context.Context, c *store.Change) error {
	keys := slices.Concat(c.Delete, keysOf(c.Set))
	if len(keys) == 0 {
		return nil
	}
	var errs []error
	for i := l.s.last(); i > l.at; i-- {
		t := &l.s.tiers[i]
		if _, err := t.Store.Delete(ctx, keys...); err != nil {
			if err = t.fail("delete", err); named(keys, c.Items) {
				l.s.report(i, "delete", err)
			} else {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// named reports whether each key is invalidated by an item.
func named(keys []string, items []store.Invalidation) bool {
	for _, k := range keys {
		if !slices.ContainsFunc(items, func(it store.Invalidation) bool {
			switch it.Kind {
			case store.InvalidateKey, store.HoldKey:
				return it.Name == k
			case store.InvalidatePrefix:
				return strings.HasPrefix(k, it.Name)
			default:
				return false
			}
		}) {
			return false
		}
	}
	return true
}

// follow gives the other tiers what the log's has stored, the first one at the end. That a tier below fails
// costs durability only: it has nothing older any more.
func (l *logTier) follow(ctx context.Context, w *write, b *batch) error {
	s := l.s
	var errs []error
	for i := s.last(); i > 0; i-- {
		t := &s.tiers[i]
		var items []store.Item
		for j, it := range b.items {
			if !b.failed[it.Key] && (i < l.at || s.keeps(i, it.Entry)) {
				items = append(items, store.Item{Key: it.Key, Entry: b.copies[j][i]})
			}
		}
		if i == l.at || len(items) == 0 {
			continue
		}
		if i > l.at {
			if _, err := t.setMany(ctx, items); err != nil {
				s.report(i, "set", t.fail("set", err))
			}
			continue
		}
		if _, err := t.Store.Delete(ctx, keysOf(items)...); err != nil {
			errs = append(errs, t.fail("delete", err))
		}
	}
	for j, it := range b.items {
		if b.failed[it.Key] || !s.keeps(0, it.Entry) {
			w.drop(it.Key)
			continue
		}
		_ = w.put(it.Key, b.copies[j][0]) // it is stored below
	}
	return errors.Join(errs...)
}

func (l *logTier) forget(w *write, c *store.Change) {
	w.drop(c.Delete...)
	w.drop(keysOf(c.Set)...)
	if c.Add != nil {
		w.drop(c.Add.Key)
	}
}
