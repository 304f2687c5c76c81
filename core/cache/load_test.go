package cache_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
)

var errLoad = errors.New("the database is away")

// loader counts its runs. Each takes took, or ends with its context.
func loader[V any](runs *atomic.Int32, took time.Duration, v V, err error) func(context.Context) (V, error) {
	return func(ctx context.Context) (V, error) {
		runs.Add(1)
		if took > 0 {
			if e := pause(ctx, took); e != nil {
				return v, e
			}
		}
		return v, err
	}
}

func TestConcurrentFetches(t *testing.T) {
	everyStoreInBubble(t, func(t *testing.T, st store.Store) {
		var rec recorder
		opts := steady()
		opts.Observer = rec.observer()
		c := open(t, st, opts)
		var runs atomic.Int32
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				got, err := cache.Fetch(ctx, c, "k", loader(&runs, time.Second, []string{"a"}, nil))
				if err != nil || len(got) != 1 || got[0] != "a" {
					t.Errorf("got %v, %v", got, err)
					return
				}
				got[0] = "modified" // each has its own
			})
		}
		wg.Wait()
		if runs.Load() != 1 {
			t.Errorf("%d loads for 1000 callers", runs.Load())
		}
		if got, err := cache.Get[[]string](ctx, c, "k"); err != nil || got[0] != "a" {
			t.Errorf("stored: %v, %v", got, err)
		}
		coalesced := 0
		for _, call := range rec.calls {
			if call.Coalesced {
				coalesced++
			}
		}
		if coalesced != 999 || len(rec.loads) != 1 || rec.loads[0].Result != event.LoadOK || rec.loads[0].Took != time.Second {
			t.Errorf("%d coalesced calls, loads %+v", coalesced, rec.loads)
		}
	})
}

func TestFollowerLeavesAtItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, memory(t), steady())
		var runs atomic.Int32
		load := loader(&runs, time.Second, 1, nil)
		go func() { _, _ = cache.Fetch(ctx, c, "k", load) }()
		synctest.Wait()
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		start := time.Now()
		wantErr[int](t, context.DeadlineExceeded)(cache.Fetch(short, c, "k", load))
		if took := time.Since(start); took != 50*time.Millisecond {
			t.Errorf("left after %v", took)
		}
		sleep(time.Second)
		want(t, 1)(cache.Get[int](ctx, c, "k"))
		if runs.Load() != 1 {
			t.Errorf("%d loads", runs.Load())
		}
	})
}

func TestCancelledLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, memory(t), steady())
		var runs atomic.Int32
		load := loader(&runs, time.Second, 1, nil)
		lctx, cancel := context.WithCancel(ctx)
		go func() { wantErr[int](t, context.Canceled)(cache.Fetch(lctx, c, "k", load)) }()
		synctest.Wait()
		go func() { want(t, 1)(cache.Fetch(ctx, c, "k", load)) }()
		synctest.Wait()
		cancel()
		sleep(2 * time.Second)
		if runs.Load() != 1 {
			t.Errorf("%d loads", runs.Load())
		}
	})
}

func TestAbandonedLoadStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec recorder
		opts := steady()
		opts.Observer = rec.observer()
		c := open(t, memory(t), opts)
		short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		defer cancel()
		stopped := false
		_, _ = cache.Fetch(short, c, "k", func(ctx context.Context) (int, error) {
			<-ctx.Done()
			stopped = true
			return 0, ctx.Err()
		})
		synctest.Wait()
		if !stopped {
			t.Error("the loader still runs")
		}
		if rec.loads[0].Result != event.LoadCanceled {
			t.Errorf("the load is reported as %v", rec.loads[0].Result)
		}
	})
}

func TestLoaderErrors(t *testing.T) {
	c := open(t, memory(t), steady())
	var runs atomic.Int32
	for range 2 {
		_, err := cache.Fetch(ctx, c, "k", loader(&runs, 0, 0, errLoad))
		if err != errLoad {
			t.Errorf("the loader's error came back as %v", err)
		}
	}
	if runs.Load() != 2 {
		t.Errorf("an error was remembered")
	}
}

func TestPanicAndGoexit(t *testing.T) {
	for name, crash := range map[string]func(){
		"panic":  func() { panic("boom") },
		"goexit": runtime.Goexit,
	} {
		for _, stale := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, stale value %v", name, stale), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var rec recorder
					opts := steady()
					opts.Observer = rec.observer()
					opts.Policy.StaleFor = time.Hour
					c := open(t, memory(t), opts)
					if stale {
						_, err := cache.Fetch(ctx, c, "k", func(context.Context) (int, error) { return 9, nil }, cache.TTL(time.Second))
						must(t, err)
						sleep(1100 * time.Millisecond)
					}
					var wg sync.WaitGroup
					for range 3 {
						wg.Go(func() {
							got, err := cache.Fetch(ctx, c, "k", func(ctx context.Context) (int, error) {
								_ = pause(ctx, time.Second)
								crash()
								return 1, nil
							}, cache.TTL(time.Second))
							var p *cache.PanicError
							switch {
							case stale && (err != nil || got != 9):
								t.Errorf("got %d, %v", got, err)
							case !stale && !errors.As(err, &p):
								t.Errorf("got %d, %v", got, err)
							}
						})
					}
					wg.Wait()
					last := rec.loads[len(rec.loads)-1]
					if last.Result != event.LoadPanic {
						t.Errorf("the load is reported as %+v", last)
					}
				})
			})
		}
	}
}

func TestNestedFetches(t *testing.T) {
	c := open(t, memory(t), steady())
	get := func(ctx context.Context, key string, load func(context.Context) (string, error)) (string, error) {
		return cache.Fetch(ctx, c, key, load)
	}
	plain := func(s string) func(context.Context) (string, error) {
		return func(context.Context) (string, error) { return s, nil }
	}
	t.Run("the same key", func(t *testing.T) {
		want(t, "inner+")(get(ctx, "a", func(ctx context.Context) (string, error) {
			v, err := get(ctx, "a", plain("inner"))
			return v + "+", err
		}))
		want(t, "inner+")(cache.Get[string](ctx, c, "a"))
	})
	t.Run("through another key", func(t *testing.T) {
		want(t, "x++")(get(ctx, "b", func(ctx context.Context) (string, error) {
			v, err := get(ctx, "c", func(ctx context.Context) (string, error) {
				v, err := get(ctx, "b", plain("x"))
				return v + "+", err
			})
			return v + "+", err
		}))
	})
	t.Run("two loads that want each other", func(t *testing.T) {
		var both sync.WaitGroup
		both.Add(2)
		cross := func(mine, other string) func(context.Context) (string, error) {
			return func(ctx context.Context) (string, error) {
				both.Done()
				both.Wait()
				return get(ctx, other, plain(mine))
			}
		}
		var wg sync.WaitGroup
		wg.Go(func() { _, err := get(ctx, "d", cross("d", "e")); must(t, err) })
		wg.Go(func() { _, err := get(ctx, "e", cross("e", "d")); must(t, err) })
		wg.Wait()
	})
	t.Run("inside a load of many", func(t *testing.T) {
		var kind *cache.Kind[int, string]
		kind = cache.Must(cache.NewKind(c, "nested", cache.KindOptions[int, string]{
			LoadMany: func(ctx context.Context, ids []int) (map[int]string, error) {
				if len(ids) == 1 {
					return map[int]string{ids[0]: "alone"}, nil
				}
				m := map[int]string{}
				for _, id := range ids {
					v, err := kind.Get(ctx, id) // which this very call is loading
					must(t, err)
					m[id] = v + "+"
				}
				return m, nil
			},
		}))
		got, err := kind.GetMany(ctx, []int{1, 2, 3})
		if err != nil || got[2] != "alone+" || len(got) != 3 {
			t.Errorf("got %v, %v", got, err)
		}
	})
}

func TestHardTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := steady()
		opts.Policy.HardTimeout = time.Second
		opts.Policy.StaleFor = time.Hour
		c := open(t, memory(t), opts)
		deaf := func(v int) func(context.Context) (int, error) {
			return func(context.Context) (int, error) { sleep(3 * time.Second); return v, nil }
		}
		start := time.Now()
		wantErr[int](t, cache.ErrTimeout)(cache.Fetch(ctx, c, "k", deaf(1)))
		if took := time.Since(start); took != time.Second {
			t.Errorf("released after %v", took)
		}
		// What comes too late is not stored: nobody has kept track of it.
		must(t, cache.Set(ctx, c, "k", "written meanwhile"))
		sleep(5 * time.Second)
		want(t, "written meanwhile")(cache.Get[string](ctx, c, "k"))

		// A stale value is there at the timeout too.
		want(t, 7)(cache.Fetch(ctx, c, "s", func(context.Context) (int, error) { return 7, nil }, cache.TTL(time.Second)))
		sleep(2 * time.Second)
		start = time.Now()
		want(t, 7)(cache.Fetch(ctx, c, "s", deaf(8)))
		if took := time.Since(start); took != time.Second {
			t.Errorf("the stale value took %v", took)
		}
		sleep(5 * time.Second)
	})
}

func TestLoading(t *testing.T) {
	type call struct {
		name  string
		load  func(ctx context.Context) (string, error)
		check func(t *testing.T, c *cache.Cache, e *store.Entry)
	}
	fresh := func(t *testing.T, e *store.Entry) time.Duration {
		t.Helper()
		if e == nil {
			t.Fatal("nothing is stored")
		}
		return time.Duration(e.Fresh-e.Created) * time.Millisecond
	}
	tests := []call{
		{"set TTL", func(ctx context.Context) (string, error) {
			cache.LoadFrom(ctx).SetTTL(time.Hour)
			return "v", nil
		}, func(t *testing.T, _ *cache.Cache, e *store.Entry) {
			if d := fresh(t, e); d != time.Hour {
				t.Errorf("TTL %v", d)
			}
		}},
		{"no store", func(ctx context.Context) (string, error) {
			cache.LoadFrom(ctx).NoStore()
			return "v", nil
		}, func(t *testing.T, _ *cache.Cache, e *store.Entry) {
			if e != nil {
				t.Error("it was stored")
			}
		}},
		{"negative TTL", func(ctx context.Context) (string, error) {
			cache.LoadFrom(ctx).SetTTL(-1)
			return "v", nil
		}, func(t *testing.T, _ *cache.Cache, e *store.Entry) {
			if e != nil {
				t.Error("it was stored")
			}
		}},
		{"tags", func(ctx context.Context) (string, error) {
			cache.LoadFrom(ctx).AddTags("b", "call")
			cache.LoadFrom(ctx).AddTags("a")
			return "v", nil
		}, func(t *testing.T, _ *cache.Cache, e *store.Entry) {
			if fresh(t, e); !equal(e.Tags, "a", "b", "call") {
				t.Errorf("tags %q", e.Tags)
			}
		}},
		{"nothing stale the first time", func(ctx context.Context) (string, error) {
			if v, ok := cache.Stale[string](cache.LoadFrom(ctx)); ok {
				return v, errors.New("there is a stale value")
			}
			return "v", nil
		}, func(t *testing.T, _ *cache.Cache, e *store.Entry) { fresh(t, e) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := open(t, memory(t), steady())
			want(t, "v")(cache.Fetch(ctx, c, "k", tt.load, cache.Tags("call")))
			tt.check(t, c, stored(t, c, "k"))
		})
	}
	cache.LoadFrom(ctx).NoStore() // outside a loader: nobody looks
}

func equal(got []string, wanted ...string) bool {
	if len(got) != len(wanted) {
		return false
	}
	for i := range got {
		if got[i] != wanted[i] {
			return false
		}
	}
	return true
}

// stored returns what is in the store for a key of the verbs.
func stored(t testing.TB, c *cache.Cache, key string) *store.Entry {
	t.Helper()
	final, err := c.Key(key)
	must(t, err)
	e, err := c.Store().Get(ctx, final)
	if err != nil && !errors.Is(err, store.ErrMiss) {
		t.Fatal(err)
	}
	return e
}

func TestNotModified(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, memory(t), steady())
		load := func(ctx context.Context) ([]string, error) {
			if v, ok := cache.Stale[[]string](cache.LoadFrom(ctx)); ok {
				if len(v) != 1 || v[0] != "v" {
					t.Errorf("the stale value is %q", v)
				}
				if _, ok := cache.Stale[int](cache.LoadFrom(ctx)); ok {
					t.Error("it is of another type too")
				}
				return nil, cache.ErrNotModified
			}
			cache.LoadFrom(ctx).AddTags("once")
			return []string{"v"}, nil
		}
		get := func() {
			t.Helper()
			got, err := cache.Fetch(ctx, c, "k", load, cache.TTL(time.Second), cache.Tags("always"))
			if err != nil || !equal(got, "v") {
				t.Errorf("got %q, %v", got, err)
			}
		}
		get()
		first := stored(t, c, "k")
		sleep(1500 * time.Millisecond)
		get()
		e := stored(t, c, "k")
		if e == first || e.Created == first.Created || !e.IsFresh(time.Now().UnixMilli()) {
			t.Errorf("the value was not stored anew: %+v", e)
		}
		if !equal(e.Tags, "always", "once") {
			t.Errorf("tags %q", e.Tags)
		}
		// Without a stale value it is an error like any other.
		wantErr[int](t, cache.ErrNotModified)(cache.Fetch(ctx, c, "other", func(context.Context) (int, error) {
			return 0, cache.ErrNotModified
		}))
	})
}

func TestNotModifiedOfNil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, memory(t), steady())
		load := func(ctx context.Context) (any, error) {
			if v, ok := cache.Stale[any](cache.LoadFrom(ctx)); ok {
				return v, cache.ErrNotModified
			}
			return nil, nil
		}
		want[any](t, nil)(cache.Fetch(ctx, c, "k", load, cache.TTL(time.Second)))
		sleep(1500 * time.Millisecond)
		want[any](t, nil)(cache.Fetch(ctx, c, "k", load))
		want(t, true)(c.Has(ctx, "k"))
	})
}

func TestTooManyTags(t *testing.T) {
	var rec recorder
	opts := steady()
	opts.Observer = rec.observer()
	c := open(t, memory(t), opts)
	must(t, cache.Set(ctx, c, "k", "old"))
	tags := make([]string, cache.MaxTags+1)
	for i := range tags {
		tags[i] = string(rune('a'+i%26)) + string(rune('a'+i/26))
	}
	if err := cache.Set(ctx, c, "k", "new", cache.Tags(tags...)); err == nil {
		t.Error("it was stored")
	}
	want(t, false)(c.Has(ctx, "k"))
	want(t, "new")(cache.Fetch(ctx, c, "k", func(context.Context) (string, error) { return "new", nil }, cache.Tags(tags...)))
	want(t, false)(c.Has(ctx, "k"))
	failed, err := cache.SetMany(ctx, c, map[string]string{"a": "1", "b": "2"}, cache.Tags(tags...))
	if len(failed) != 2 || err == nil {
		t.Errorf("many: %v, %v", failed, err)
	}
	if got := rec.reasons()["tags"]; got != 4 {
		t.Errorf("%d refusals", got)
	}
}
