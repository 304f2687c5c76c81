package cache_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
)

func TestFailingStore(t *testing.T) {
	tests := []struct {
		name   string
		before func(context.Context, string, ...string) error
		target error
		took   time.Duration
	}{
		{"it fails", failing, errDown, 0},
		{"it hangs", hanging, context.DeadlineExceeded, cache.DefaultStoreTimeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var rec recorder
				var log bytes.Buffer
				st := &remote{Store: memory(t)}
				opts := steady()
				opts.Observer, opts.Logger = rec.observer(), slog.New(slog.NewTextHandler(&log, nil))
				c := open(t, st, opts)
				k := cache.Must(cache.NewKind(c, "k", cache.KindOptions[int, int]{
					Load: func(_ context.Context, id int) (int, error) { return id * 2, nil },
				}))
				many := cache.Must(cache.NewKind(c, "many", cache.KindOptions[int, int]{
					LoadMany: func(_ context.Context, ids []int) (map[int]int, error) {
						m := map[int]int{}
						for _, id := range ids {
							m[id] = id * 2
						}
						return m, nil
					},
				}))
				must(t, cache.Set(ctx, c, "there", 1))
				st.set(tt.before)

				timed := func(name string, f func()) {
					t.Helper()
					start := time.Now()
					f()
					if took := time.Since(start); took != tt.took {
						t.Errorf("%s took %v, want %v", name, took, tt.took)
					}
				}
				timed("get", func() { wantErr[int](t, cache.ErrMiss)(cache.Get[int](ctx, c, "there")) })
				timed("fetch", func() {
					want(t, 5)(cache.Fetch(ctx, c, "there", func(context.Context) (int, error) { return 5, nil }))
				})
				timed("fetch with an error", func() {
					wantErr[int](t, errLoad)(cache.Fetch(ctx, c, "there", func(context.Context) (int, error) { return 0, errLoad }))
				})
				timed("kind", func() { want(t, 4)(k.Get(ctx, 2)) })
				timed("get many", func() {
					if got, err := cache.GetMany[int](ctx, c, "there"); len(got) != 0 || err != nil {
						t.Errorf("got %v, %v", got, err)
					}
				})
				timed("kind many", func() {
					if got, err := k.GetMany(ctx, []int{1, 2, 3}); err != nil || got[3] != 6 {
						t.Errorf("got %v, %v", got, err)
					}
				})
				timed("load many", func() {
					if got, err := many.GetMany(ctx, []int{1, 2, 3}); err != nil || got[3] != 6 {
						t.Errorf("got %v, %v", got, err)
					}
				})
				for name, f := range map[string]func() error{
					"set":      func() error { return cache.Set(ctx, c, "k", 1) },
					"set many": func() error { _, err := cache.SetMany(ctx, c, map[string]int{"k": 1}); return err },
					"add":      func() error { _, err := cache.Add(ctx, c, "k", 1); return err },
					"delete":   func() error { _, err := c.Delete(ctx, "k"); return err },
					"has":      func() error { _, err := c.Has(ctx, "k"); return err },
					"ttl":      func() error { _, err := c.TTL(ctx, "k"); return err },
					"touch":    func() error { _, err := c.Touch(ctx, "k", time.Minute); return err },
					"incr":     func() error { _, err := c.Incr(ctx, "k", 1); return err },
					"bump":     func() error { _, err := c.BumpVersion(ctx, "k", 1); return err },
					"kind set": func() error { return k.Set(ctx, 1, 1) },
				} {
					timed(name, func() {
						if err := f(); !errors.Is(err, tt.target) {
							t.Errorf("%s: got %v", name, err)
						}
					})
				}
				lines := strings.Count(log.String(), "\n")
				if lines != 1 {
					t.Errorf("%d lines of log:\n%s", lines, &log)
				}
				sleep(time.Minute)
				_, _ = cache.Get[int](ctx, c, "there")
				if got := strings.Count(log.String(), "\n"); got != 2 || !strings.Contains(log.String(), "suppressed=") {
					t.Errorf("%d lines a minute later:\n%s", got, &log)
				}
				if len(rec.errs) < 15 || !errors.Is(rec.errs[0].Err, tt.target) || rec.errs[0].Op != event.OpGet || rec.errs[0].Cache != "default" {
					t.Errorf("%d events: %+v", len(rec.errs), rec.errs[0])
				}
				st.set(nil)
				want(t, 1)(cache.Get[int](ctx, c, "there"))
			})
		})
	}
}

func TestHungStoreIsAskedOnceACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec recorder
		st := &remote{Store: memory(t), before: hanging}
		opts := steady()
		opts.Observer = rec.observer()
		c := open(t, st, opts)
		want(t, 5)(cache.Fetch(ctx, c, "k", func(context.Context) (int, error) { return 5, nil }))
		if st.count("get") != 1 || st.count("set") != 0 || rec.reasons()["store-hung"] != 1 {
			t.Errorf("asked: %v, refused: %v", st.counts, rec.reasons())
		}
	})
}

func TestCallersDeadlineIsNoFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec recorder
		opts := steady()
		opts.Observer = rec.observer()
		c := open(t, &remote{Store: memory(t), before: hanging}, opts)
		short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		defer cancel()
		start := time.Now()
		wantErr[int](t, context.DeadlineExceeded)(cache.Fetch(short, c, "k", func(context.Context) (int, error) { return 5, nil }))
		if took := time.Since(start); took != 10*time.Millisecond || len(rec.errs) != 0 {
			t.Errorf("took %v, events %v", took, rec.errs)
		}
	})
}

func TestStoreTimeoutIsConfigurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := steady()
		opts.StoreTimeout = time.Second
		c := open(t, &remote{Store: memory(t), before: hanging}, opts)
		start := time.Now()
		want(t, 5)(cache.Fetch(ctx, c, "k", func(context.Context) (int, error) { return 5, nil }))
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v", took)
		}
		opts.StoreTimeout = -1
		c = open(t, &remote{Store: memory(t), before: hanging}, opts)
		long, cancel := context.WithTimeout(ctx, time.Hour)
		defer cancel()
		start = time.Now()
		wantErr[int](t, cache.ErrMiss)(cache.Get[int](long, c, "k"))
		if took := time.Since(start); took != time.Hour {
			t.Errorf("took %v", took)
		}
	})
}

func TestCorruptEntries(t *testing.T) {
	final := "app:1::k"
	good := func() *store.Entry {
		// What Set would have written, with another value.
		c := open(t, memory(t), cache.Options{})
		must(t, cache.Set(ctx, c, "k", user{1, "a"}))
		return stored(t, c, "k")
	}
	damaged := func(change func(*store.Entry)) *store.Entry {
		old := good()
		e := old.WithTimes(old.Times)
		change(e)
		return e
	}
	tests := map[string]*store.Entry{
		"truncated":       damaged(func(e *store.Entry) { e.Value = e.Value[:3] }),
		"empty":           damaged(func(e *store.Entry) { e.Value = nil }),
		"foreign":         {Value: []byte("<html>")},
		"another schema":  damaged(func(e *store.Entry) { e.Schema++ }),
		"a counter":       damaged(func(e *store.Entry) { e.Flags, e.Value = store.FlagCounter, []byte("12") }),
		"nil for a value": damaged(func(e *store.Entry) { e.Flags, e.Value = store.FlagNil, nil }),
	}
	for name, e := range tests {
		t.Run(name, func(t *testing.T) {
			everyStore(t, func(t *testing.T, st store.Store) {
				var rec recorder
				opts := steady()
				opts.Prefix, opts.Observer = "app", rec.observer()
				c := open(t, st, opts)
				must(t, st.Set(ctx, final, e.WithTimes(e.Times)))
				wantErr[user](t, cache.ErrMiss)(cache.Get[user](ctx, c, "k"))
				if len(rec.corrupt) != 1 {
					t.Errorf("events: %+v", rec.corrupt)
				}
				want(t, user{2, "b"})(cache.Fetch(ctx, c, "k", func(context.Context) (user, error) { return user{2, "b"}, nil }))
				want(t, user{2, "b"})(cache.Get[user](ctx, c, "k"))
				if len(rec.corrupt) != 2 {
					t.Errorf("events: %+v", rec.corrupt)
				}
			})
		})
	}
	t.Run("the store says so", func(t *testing.T) {
		var rec recorder
		opts := steady()
		opts.Observer = rec.observer()
		st := &remote{Store: memory(t)}
		c := open(t, st, opts)
		st.set(func(_ context.Context, op string, _ ...string) error {
			if strings.HasPrefix(op, "get") {
				return store.ErrCorrupt
			}
			return nil
		})
		want(t, 1)(cache.Fetch(ctx, c, "k", func(context.Context) (int, error) { return 1, nil }))
		want(t, false)(c.Has(ctx, "k"))
		if got, err := cache.GetMany[int](ctx, c, "k"); len(got) != 0 || err != nil {
			t.Errorf("got %v, %v", got, err)
		}
		if len(rec.corrupt) != 3 || len(rec.errs) != 0 {
			t.Errorf("corrupt %v, errors %v", rec.corrupt, rec.errs)
		}
	})
}

func TestSchemaChange(t *testing.T) {
	type v1 struct{ A int }
	type v2 struct{ A, B int }
	everyStore(t, func(t *testing.T, st store.Store) {
		var rec recorder
		opts := steady()
		opts.Observer, opts.KeepStore = rec.observer(), true
		c1, c2 := open(t, st, opts), open(t, st, opts)
		old := cache.Must(cache.NewKind(c1, "x", cache.KindOptions[int, v1]{}))
		must(t, old.Set(ctx, 1, v1{5}))
		want(t, v1{5})(old.Get(ctx, 1))
		renewed := cache.Must(cache.NewKind(c2, "x", cache.KindOptions[int, v2]{
			Load: func(context.Context, int) (v2, error) { return v2{5, 6}, nil },
		}))
		want(t, v2{5, 6})(renewed.Get(ctx, 1))
		if len(rec.corrupt) != 1 || rec.corrupt[0].Kind != "x" || !errors.Is(rec.corrupt[0].Err, store.ErrCorrupt) {
			t.Errorf("events: %+v", rec.corrupt)
		}
		want(t, v2{5, 6})(renewed.Peek(ctx, 1))
		wantErr[v1](t, cache.ErrMiss)(old.Get(ctx, 1))
		t.Cleanup(func() { must(t, st.Close()) })
	})
}

func TestUnencodableResultIsStillAnswered(t *testing.T) {
	var rec recorder
	opts := steady()
	opts.Observer = rec.observer()
	c := open(t, memory(t), opts)
	var runs atomic.Int32
	for range 2 {
		got, err := cache.Fetch(ctx, c, "k", loader(&runs, 0, func() int { return 1 }, nil))
		if err != nil || got() != 1 {
			t.Errorf("got %v", err)
		}
	}
	if runs.Load() != 2 || rec.reasons()["encode"] != 2 {
		t.Errorf("%d loads, refused %v", runs.Load(), rec.reasons())
	}
}

func TestTooLarge(t *testing.T) {
	var rec recorder
	opts := steady()
	opts.Observer = rec.observer()
	c := open(t, memory(t), opts)
	big := strings.Repeat("x", 9<<20)
	must(t, cache.Set(ctx, c, "k", "old"))
	if err := cache.Set(ctx, c, "k", big); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	want(t, false)(c.Has(ctx, "k"))
	want(t, big)(cache.Fetch(ctx, c, "k", func(context.Context) (string, error) { return big, nil }))
	if rec.reasons()["too-large"] != 2 || len(rec.errs) != 0 {
		t.Errorf("refused %v, errors %v", rec.reasons(), rec.errs)
	}
}
