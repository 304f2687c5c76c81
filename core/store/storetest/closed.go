package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/strata-cache/strata/core/store"
)

func closeCases() []testCase[store.Store] {
	return []testCase[store.Store]{
		{"twice is once", func(b box, s store.Store) {
			b.set("k", entry("v"))
			for range 3 {
				if err := s.Close(); err != nil {
					b.t.Errorf("Close: %v", err)
				}
			}
		}},
		{"concurrently is once", func(b box, s store.Store) {
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					if err := s.Close(); err != nil {
						b.t.Errorf("Close: %v", err)
					}
				})
			}
			wg.Wait()
		}},
		{"every operation is ErrClosed afterwards", func(b box, s store.Store) {
			b.set("k", entry("v"))
			seen := b.get("k")
			if err := s.Close(); err != nil {
				b.t.Fatalf("Close: %v", err)
			}
			wantClosed(b, seen)
		}},
		{"while operations run, none panics or hangs", func(b box, s store.Store) {
			start := make(chan struct{})
			var wg sync.WaitGroup
			for g := range 4 {
				wg.Go(func() {
					<-start
					for i := range 200 {
						k := fmt.Sprint(g, ":", i%10)
						for _, op := range operations(s, nil) {
							// Whatever a store says while it closes, it must say something.
							_ = op.run(b.ctx, k)
						}
					}
				})
			}
			close(start)
			for range 20 {
				b.set("k", entry("v"))
			}
			if err := s.Close(); err != nil {
				b.t.Errorf("Close: %v", err)
			}
			wg.Wait()
			wantClosed(b, nil)
		}},
	}
}

// wantClosed checks every operation of a closed store. seen is an entry that was read before, or nil.
func wantClosed(b box, seen *store.Entry) {
	b.t.Helper()
	for _, op := range operations(b.s, seen) {
		if err := op.run(b.ctx, "k"); !errors.Is(err, store.ErrClosed) {
			b.t.Errorf("%s on a closed store: %v, want store.ErrClosed", op.name, err)
		}
	}
	if s, ok := store.As[store.Borrower](b.s); ok {
		if e := s.GetBorrowed([]byte("k")); e != nil {
			b.t.Errorf("GetBorrowed on a closed store: %q, want nil", e.Value)
		}
	}
	if s, ok := store.As[store.Batcher](b.s); ok {
		items := []store.Item{{Key: "a", Entry: entry("a")}, {Key: "b", Entry: entry("b")}}
		if failed, err := s.SetMany(b.ctx, items); err == nil || len(failed) != 2 {
			b.t.Errorf("SetMany on a closed store: %v, %v, want both keys to fail", failed, err)
		}
	}
}

type operation struct {
	name string
	run  func(ctx context.Context, key string) error
}

// operations are all operations of s, those of its capabilities included, that return an error.
func operations(s store.Store, seen *store.Entry) []operation {
	ops := []operation{
		{"Get", func(ctx context.Context, key string) error { _, err := s.Get(ctx, key); return err }},
		{"Set", func(ctx context.Context, key string) error { return s.Set(ctx, key, entry("v")) }},
		{"Delete", func(ctx context.Context, key string) error { _, err := s.Delete(ctx, key); return err }},
		{"Clear", func(ctx context.Context, key string) error { return s.Clear(ctx, key) }},
	}
	if c, ok := store.As[store.Batcher](s); ok {
		ops = append(ops,
			operation{"GetMany", func(ctx context.Context, key string) error {
				_, err := c.GetMany(ctx, []string{key, "other"})
				return err
			}},
			operation{"SetMany", func(ctx context.Context, key string) error {
				_, err := c.SetMany(ctx, []store.Item{{Key: key, Entry: entry("v")}})
				return err
			}})
	}
	if c, ok := store.As[store.Adder](s); ok {
		ops = append(ops, operation{"Add", func(ctx context.Context, key string) error {
			_, err := c.Add(ctx, key, entry("v"))
			return err
		}})
	}
	if c, ok := store.As[store.Toucher](s); ok {
		if seen == nil {
			seen = entry("v")
		}
		ops = append(ops, operation{"Touch", func(ctx context.Context, key string) error {
			_, err := c.Touch(ctx, key, seen, lasting(nowMs()))
			return err
		}})
	}
	if c, ok := store.As[store.Counter](s); ok {
		ops = append(ops, operation{"Incr", func(ctx context.Context, key string) error {
			_, err := c.Incr(ctx, key, 1, counter("0", inAnHour()))
			return err
		}})
	}
	if c, ok := store.As[store.Scanner](s); ok {
		ops = append(ops, operation{"Scan", func(ctx context.Context, key string) error {
			for _, err := range c.Scan(ctx, "") {
				if err != nil {
					return err
				}
			}
			return nil
		}})
	}
	if c, ok := store.As[store.Pinger](s); ok {
		ops = append(ops, operation{"Ping", func(ctx context.Context, _ string) error { return c.Ping(ctx) }})
	}
	return ops
}
