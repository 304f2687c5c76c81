package cachetest

import (
	"context"
	"iter"
	"slices"

	"github.com/strata-cache/strata/core/store"
)

// Capability offers what the inner store has; a Remote no store.Borrower and no store.Sizer.
func (c *Chaos) Capability(target any) bool {
	switch t := target.(type) {
	case *store.Batcher:
		return offer(c, t, func(in store.Batcher) store.Batcher { return batcher{c, in} })
	case *store.Adder:
		return offer(c, t, func(in store.Adder) store.Adder { return adder{c, in} })
	case *store.Toucher:
		return offer(c, t, func(in store.Toucher) store.Toucher { return toucher{c, in} })
	case *store.Counter:
		return offer(c, t, func(in store.Counter) store.Counter { return counter{c, in} })
	case *store.Scanner:
		return offer(c, t, func(in store.Scanner) store.Scanner { return scanner{c, in} })
	case *store.Borrower:
		return !c.remote && offer(c, t, func(in store.Borrower) store.Borrower { return borrower{c, in} })
	case *store.Pinger:
		return offer(c, t, func(in store.Pinger) store.Pinger { return pinger{c, in} })
	case *store.Sizer:
		return !c.remote && offer(c, t, func(in store.Sizer) store.Sizer { return in })
	case *store.Fronted:
		return offer(c, t, func(in store.Fronted) store.Fronted { return fronted{in, c} })
	case *store.Leaser:
		return offer(c, t, func(in store.Leaser) store.Leaser { return leaser{c, in} })
	case *store.Locker:
		return offer(c, t, func(in store.Locker) store.Locker { return locker{c, in} })
	case *store.Log:
		return offer(c, t, func(in store.Log) store.Log { return log{c, in} })
	case *store.Bitmaps:
		return offer(c, t, func(in store.Bitmaps) store.Bitmaps { return bitmaps{c, in} })
	default:
		return false
	}
}

func offer[C any](c *Chaos, target *C, wrap func(C) C) bool {
	in, ok := store.As[C](c.inner)
	if ok {
		*target = wrap(in)
	}
	return ok
}

type batcher struct {
	c  *Chaos
	in store.Batcher
}

func (b batcher) GetMany(ctx context.Context, keys []string) ([]*store.Entry, error) {
	v, err := b.c.begin(ctx, OpGet, keys...)
	if err != nil {
		return nil, err
	}
	entries, err := b.in.GetMany(ctx, keys)
	return v.entries(keys, entries, err)
}

func (b batcher) SetMany(ctx context.Context, items []store.Item) ([]string, error) {
	keys := keysOf(items)
	v, err := b.c.begin(ctx, OpSet, keys...)
	if err != nil {
		return keys, err
	}
	return b.in.SetMany(ctx, v.kept(items))
}

func keysOf(items []store.Item) []string {
	keys := make([]string, len(items))
	for i, it := range items {
		keys[i] = it.Key
	}
	return keys
}

// kept returns the items that are not dropped.
func (v verdict) kept(items []store.Item) []store.Item {
	return slices.DeleteFunc(slices.Clone(items), func(it store.Item) bool { return v.drop(it.Key) })
}

type adder struct {
	c  *Chaos
	in store.Adder
}

func (a adder) Add(ctx context.Context, key string, e *store.Entry) (bool, error) {
	v, err := a.c.begin(ctx, OpAdd, key)
	if err != nil || v.drop(key) {
		return err == nil, err
	}
	return a.in.Add(ctx, key, e)
}

type toucher struct {
	c  *Chaos
	in store.Toucher
}

func (t toucher) Touch(ctx context.Context, key string, seen *store.Entry, tm store.Times) (bool, error) {
	v, err := t.c.begin(ctx, OpTouch, key)
	if err != nil || v.drop(key) {
		return err == nil, err
	}
	return t.in.Touch(ctx, key, seen, tm)
}

type counter struct {
	c  *Chaos
	in store.Counter
}

// Incr cannot be dropped: it has an answer that depends on what was done.
func (n counter) Incr(ctx context.Context, key string, delta int64, create *store.Entry) (int64, error) {
	if _, err := n.c.begin(ctx, OpIncr, key); err != nil {
		return 0, err
	}
	return n.in.Incr(ctx, key, delta, create)
}

type scanner struct {
	c  *Chaos
	in store.Scanner
}

func (s scanner) Scan(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		v, err := s.c.begin(ctx, OpScan, prefix)
		if err != nil {
			yield("", err)
			return
		}
		for k, err := range s.in.Scan(ctx, prefix) {
			if err == nil && v.drop(k) {
				continue
			}
			if !yield(k, err) {
				return
			}
		}
	}
}

type borrower struct {
	c  *Chaos
	in store.Borrower
}

func (b borrower) GetBorrowed(key []byte) *store.Entry {
	e := b.in.GetBorrowed(key)
	v := b.c.met(OpGet, []string{string(key)})
	for i := range v {
		if f := &v[i]; f.Hang || f.Err != nil || f.Delay > 0 || f.Until != nil || f.plain() {
			return nil
		}
	}
	e, _ = v.entry(string(key), e)
	return e
}

type pinger struct {
	c  *Chaos
	in store.Pinger
}

func (p pinger) Ping(ctx context.Context) error {
	if _, err := p.c.begin(ctx, OpPing); err != nil {
		return err
	}
	return p.in.Ping(ctx)
}

// fronted leaves what is about the first tier alone as it is.
type fronted struct {
	store.Fronted
	c *Chaos
}

func (f fronted) GetValid(ctx context.Context, key string, valid store.Validator) (*store.Entry, int, error) {
	v, err := f.c.begin(ctx, OpGet, key)
	if err != nil {
		return nil, 0, err
	}
	e, tier, err := f.Fronted.GetValid(ctx, key, valid)
	if err != nil {
		return nil, 0, err
	}
	e, err = v.entry(key, e)
	return e, tier, err
}

func (f fronted) GetManyValid(ctx context.Context, keys []string, valid store.Validator) ([]*store.Entry, error) {
	v, err := f.c.begin(ctx, OpGet, keys...)
	if err != nil {
		return nil, err
	}
	entries, err := f.Fronted.GetManyValid(ctx, keys, valid)
	return v.entries(keys, entries, err)
}
