package tiered_test

import (
	"context"
	"errors"
	"testing"

	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/memstore"
)

var errChaos = errors.New("chaos: connection refused")

// chaos is a store that fails where decide says so: before it has done anything, or after it has done all.
type chaos struct {
	*memstore.Store
	decide func(op string) fault
	ops    func(op string, keys ...string) // is called before each operation; may be nil
	done   func(op string)                 // is called behind each operation; may be nil
}

type fault uint8

const (
	fine fault = iota
	before
	after
)

func newChaos(tb testing.TB) *chaos { return &chaos{Store: memory(tb)} }

func run[T any](c *chaos, op string, keys []string, f func() (T, error)) (T, error) {
	if c.ops != nil {
		c.ops(op, keys...)
	}
	var zero T
	what := fine
	if c.decide != nil {
		what = c.decide(op)
	}
	if what == before {
		return zero, errChaos
	}
	v, err := f()
	if c.done != nil {
		c.done(op)
	}
	if what == after && err == nil {
		return zero, errChaos
	}
	return v, err
}

func run0(c *chaos, op string, keys []string, f func() error) error {
	_, err := run(c, op, keys, func() (struct{}, error) { return struct{}{}, f() })
	return err
}

func (c *chaos) Get(ctx context.Context, key string) (*store.Entry, error) {
	return run(c, "get", []string{key}, func() (*store.Entry, error) { return c.Store.Get(ctx, key) })
}

func (c *chaos) Set(ctx context.Context, key string, e *store.Entry) error {
	return run0(c, "set", []string{key}, func() error { return c.Store.Set(ctx, key, e) })
}

func (c *chaos) Delete(ctx context.Context, keys ...string) (int, error) {
	return run(c, "delete", keys, func() (int, error) { return c.Store.Delete(ctx, keys...) })
}

func (c *chaos) Clear(ctx context.Context, prefix string) error {
	return run0(c, "clear", nil, func() error { return c.Store.Clear(ctx, prefix) })
}

func (c *chaos) GetMany(ctx context.Context, keys []string) ([]*store.Entry, error) {
	return run(c, "get many", keys, func() ([]*store.Entry, error) { return c.Store.GetMany(ctx, keys) })
}

func (c *chaos) SetMany(ctx context.Context, items []store.Item) (failed []string, err error) {
	for _, it := range items {
		if e := c.Set(ctx, it.Key, it.Entry); e != nil {
			failed, err = append(failed, it.Key), errors.Join(err, e)
		}
	}
	return failed, err
}

func (c *chaos) Add(ctx context.Context, key string, e *store.Entry) (bool, error) {
	return run(c, "add", []string{key}, func() (bool, error) { return c.Store.Add(ctx, key, e) })
}

func (c *chaos) Touch(ctx context.Context, key string, seen *store.Entry, t store.Times) (bool, error) {
	return run(c, "touch", []string{key}, func() (bool, error) { return c.Store.Touch(ctx, key, seen, t) })
}

func (c *chaos) Incr(ctx context.Context, key string, delta int64, create *store.Entry) (int64, error) {
	return run(c, "incr", []string{key}, func() (int64, error) { return c.Store.Incr(ctx, key, delta, create) })
}
