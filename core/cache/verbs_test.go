package cache_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/nullstore"
)

type user struct {
	ID   int
	Name string
}

func TestVerbs(t *testing.T) {
	type env struct {
		*testing.T
		c *cache.Cache
	}
	tests := []struct {
		name string
		run  func(t env)
	}{
		{"get of nothing is a miss", func(t env) {
			wantErr[user](t, cache.ErrMiss)(cache.Get[user](ctx, t.c, "k"))
		}},
		{"get or falls back", func(t env) {
			if got := cache.GetOr(ctx, t.c, "k", 7); got != 7 {
				t.Errorf("got %d", got)
			}
			must(t, cache.Set(ctx, t.c, "k", 8))
			if got := cache.GetOr(ctx, t.c, "k", 7); got != 8 {
				t.Errorf("got %d", got)
			}
		}},
		{"set and get", func(t env) {
			must(t, cache.Set(ctx, t.c, "k", user{1, "a"}))
			want(t, user{1, "a"})(cache.Get[user](ctx, t.c, "k"))
			must(t, cache.Set(ctx, t.c, "k", user{2, "b"}))
			want(t, user{2, "b"})(cache.Get[user](ctx, t.c, "k"))
		}},
		{"a stored nil is a hit", func(t env) {
			must(t, cache.Set[*user](ctx, t.c, "k", nil))
			want[*user](t, nil)(cache.Get[*user](ctx, t.c, "k"))
			want(t, true)(t.c.Has(ctx, "k"))
			if got := cache.GetOr(ctx, t.c, "k", &user{}); got != nil {
				t.Errorf("got the fallback for a stored nil")
			}
			must(t, cache.Set[any](ctx, t.c, "any", nil))
			want[any](t, nil)(cache.Get[any](ctx, t.c, "any"))
		}},
		{"a stored nil is no zero value of another type", func(t env) {
			must(t, cache.Set[*user](ctx, t.c, "k", nil))
			wantErr[user](t, cache.ErrMiss)(cache.Get[user](ctx, t.c, "k"))
		}},
		{"nil and empty bytes differ", func(t env) {
			must(t, cache.Set(ctx, t.c, "nil", []byte(nil)))
			must(t, cache.Set(ctx, t.c, "empty", []byte{}))
			if v, err := cache.Get[[]byte](ctx, t.c, "nil"); v != nil || err != nil {
				t.Errorf("nil: got %v, %v", v, err)
			}
			if v, err := cache.Get[[]byte](ctx, t.c, "empty"); v == nil || err != nil {
				t.Errorf("empty: got %v, %v", v, err)
			}
		}},
		{"another type is a miss", func(t env) {
			must(t, cache.Set(ctx, t.c, "k", user{1, "a"}))
			wantErr[string](t, cache.ErrMiss)(cache.Get[string](ctx, t.c, "k"))
			want(t, true)(t.c.Has(ctx, "k"))
		}},
		{"what cannot be encoded is an error and keeps the old value", func(t env) {
			must(t, cache.Set(ctx, t.c, "k", 1))
			if err := cache.Set(ctx, t.c, "k", make(chan int)); err == nil {
				t.Error("a channel was stored")
			}
			want(t, 1)(cache.Get[int](ctx, t.c, "k"))
		}},
		{"add stores once", func(t env) {
			want(t, true)(cache.Add(ctx, t.c, "k", 1))
			want(t, false)(cache.Add(ctx, t.c, "k", 2))
			want(t, 1)(cache.Get[int](ctx, t.c, "k"))
		}},
		{"add with a negative TTL stores nothing and keeps what is there", func(t env) {
			want(t, true)(cache.Add(ctx, t.c, "k", 1, cache.TTL(-1)))
			want(t, false)(t.c.Has(ctx, "k"))
			must(t, cache.Set(ctx, t.c, "k", 2))
			want(t, false)(cache.Add(ctx, t.c, "k", 3, cache.TTL(-1)))
			want(t, 2)(cache.Get[int](ctx, t.c, "k"))
		}},
		{"a negative TTL removes", func(t env) {
			must(t, cache.Set(ctx, t.c, "k", 1))
			must(t, cache.Set(ctx, t.c, "k", 2, cache.TTL(-time.Second)))
			want(t, false)(t.c.Has(ctx, "k"))
			must(t, cache.Set(ctx, t.c, "a", 1))
			failed, err := cache.SetMany(ctx, t.c, map[string]int{"a": 1, "b": 2}, cache.TTL(-1))
			if failed != nil || err != nil {
				t.Errorf("got %v, %v", failed, err)
			}
			want(t, false)(t.c.Has(ctx, "a"))
		}},
		{"many", func(t env) {
			values := map[string]user{"a": {1, "a"}, "b": {2, "b"}}
			if failed, err := cache.SetMany(ctx, t.c, values); failed != nil || err != nil {
				t.Errorf("set: %v, %v", failed, err)
			}
			must(t, cache.Set(ctx, t.c, "other", "a string"))
			got, err := cache.GetMany[user](ctx, t.c, "a", "b", "a", "none", "other")
			if err != nil || !maps.Equal(got, values) {
				t.Errorf("got %v, %v", got, err)
			}
		}},
		{"many of none", func(t env) {
			if got, err := cache.GetMany[user](ctx, t.c); len(got) != 0 || got == nil || err != nil {
				t.Errorf("get: %v, %v", got, err)
			}
			if failed, err := cache.SetMany(ctx, t.c, map[string]int{}); failed != nil || err != nil {
				t.Errorf("set: %v, %v", failed, err)
			}
			want(t, 0)(t.c.DeleteMany(ctx))
		}},
		{"many with nil", func(t env) {
			_, err := cache.SetMany(ctx, t.c, map[string]*user{"a": nil, "b": {2, "b"}})
			must(t, err)
			got, err := cache.GetMany[*user](ctx, t.c, "a", "b", "c")
			if v, ok := got["a"]; err != nil || len(got) != 2 || !ok || v != nil {
				t.Errorf("got %v, %v", got, err)
			}
		}},
		{"set many returns what failed, in order", func(t env) {
			failed, err := cache.SetMany(ctx, t.c, map[string]any{"x": make(chan int), "": 1, "ok": "v", "y": func() {}})
			if !slices.Equal(failed, []string{"", "x", "y"}) || !errors.Is(err, cache.ErrRejected) {
				t.Errorf("got %q, %v", failed, err)
			}
			want[any](t, "v")(cache.Get[any](ctx, t.c, "ok"))
		}},
		{"delete", func(t env) {
			want(t, false)(t.c.Delete(ctx, "k"))
			must(t, cache.Set(ctx, t.c, "k", 1))
			want(t, true)(t.c.Delete(ctx, "k"))
			want(t, false)(t.c.Delete(ctx, "k"))
			must(t, cache.Set(ctx, t.c, "a", 1))
			must(t, cache.Set(ctx, t.c, "b", 1))
			want(t, 2)(t.c.DeleteMany(ctx, "a", "b", "c"))
		}},
		{"touch and persist of nothing", func(t env) {
			want(t, false)(t.c.Touch(ctx, "k", time.Minute))
			want(t, false)(t.c.Persist(ctx, "k"))
			wantErr[time.Duration](t, cache.ErrMiss)(t.c.TTL(ctx, "k"))
		}},
		{"a negative touch removes", func(t env) {
			must(t, cache.Set(ctx, t.c, "k", 1))
			want(t, true)(t.c.Touch(ctx, "k", -1))
			want(t, false)(t.c.Has(ctx, "k"))
		}},
		{"counters", func(t env) {
			wantErr[int64](t, cache.ErrMiss)(t.c.Incr(ctx, "n", 1))
			wantErr[int64](t, cache.ErrMiss)(t.c.Decr(ctx, "n", 1))
			must(t, cache.Set(ctx, t.c, "n", 10))
			want[int64](t, 15)(t.c.Incr(ctx, "n", 5))
			want[int64](t, -5)(t.c.Decr(ctx, "n", 20))
			want(t, -5)(cache.Get[int](ctx, t.c, "n"))
			want[int8](t, -5)(cache.Get[int8](ctx, t.c, "n"))
			wantErr[uint](t, cache.ErrMiss)(cache.Get[uint](ctx, t.c, "n"))
			want[int64](t, -5)(t.c.Incr(ctx, "n", 0))
		}},
		{"counters that are none", func(t env) {
			must(t, cache.Set(ctx, t.c, "s", "x"))
			wantErr[int64](t, cache.ErrNotInteger)(t.c.Incr(ctx, "s", 1))
			want(t, "x")(cache.Get[string](ctx, t.c, "s"))
			must(t, cache.Set[*user](ctx, t.c, "nil", nil))
			wantErr[int64](t, cache.ErrNotInteger)(t.c.Incr(ctx, "nil", 1))
			must(t, cache.Set(ctx, t.c, "bool", true))
			wantErr[int64](t, cache.ErrNotInteger)(t.c.Incr(ctx, "bool", 1))
		}},
		{"counters overflow", func(t env) {
			must(t, cache.Set[int64](ctx, t.c, "n", 1<<63-1))
			wantErr[int64](t, cache.ErrOverflow)(t.c.Incr(ctx, "n", 1))
			want[int64](t, 1<<63-1)(cache.Get[int64](ctx, t.c, "n"))
			wantErr[int64](t, cache.ErrOverflow)(t.c.Decr(ctx, "n", -1<<63))
			must(t, cache.Set[uint64](ctx, t.c, "u", 1<<63))
			want[uint64](t, 1<<63)(cache.Get[uint64](ctx, t.c, "u"))
			wantErr[int64](t, cache.ErrNotInteger)(t.c.Incr(ctx, "u", 1))
		}},
		{"a counter that starts by itself", func(t env) {
			want[int64](t, 3)(t.c.IncrOrInit(ctx, "n", 3, cache.TTL(time.Hour)))
			want[int64](t, 5)(t.c.IncrOrInit(ctx, "n", 2, cache.TTL(time.Minute)))
			if ttl, err := t.c.TTL(ctx, "n"); err != nil || ttl < 59*time.Minute {
				t.Errorf("TTL %v, %v", ttl, err)
			}
			if _, err := t.c.IncrOrInit(ctx, "m", 1, cache.TTL(-1)); err == nil {
				t.Error("a counter without a lifetime")
			}
		}},
		{"bump version", func(t env) {
			wantErr[int](t, cache.ErrMiss)(t.c.BumpVersion(ctx, "k", 1))
			must(t, cache.Set(ctx, t.c, "k", user{1, "a"}))
			want(t, 3)(t.c.BumpVersion(ctx, "k", 2))
			want(t, false)(t.c.Has(ctx, "k"))
			v3 := t.c.WithVersion(3)
			want(t, user{1, "a"})(cache.Get[user](ctx, v3, "k"))
			want(t, 3)(v3.BumpVersion(ctx, "k", 0))
			want(t, true)(v3.Has(ctx, "k"))
			want(t, 1)(v3.BumpVersion(ctx, "k", -2))
			want(t, user{1, "a"})(cache.Get[user](ctx, t.c, "k"))
			if v, err := t.c.BumpVersion(ctx, "k", -2); err == nil || v != 1 {
				t.Errorf("got %d, %v for a negative version", v, err)
			}
		}},
		{"bump version of a counter and of nil", func(t env) {
			must(t, cache.Set(ctx, t.c, "n", 4))
			want(t, 2)(t.c.BumpVersion(ctx, "n", 1))
			want[int64](t, 5)(t.c.WithVersion(2).Incr(ctx, "n", 1))
			must(t, cache.Set[*user](ctx, t.c, "nil", nil))
			want(t, 2)(t.c.BumpVersion(ctx, "nil", 1))
			want(t, true)(t.c.WithVersion(2).Has(ctx, "nil"))
		}},
		{"clear takes this version's values only", func(t env) {
			must(t, cache.Set(ctx, t.c, "k", 1))
			must(t, cache.Set(ctx, t.c.WithVersion(2), "k", 2))
			must(t, t.c.Clear(ctx))
			want(t, false)(t.c.Has(ctx, "k"))
			want(t, 2)(cache.Get[int](ctx, t.c.WithVersion(2), "k"))
		}},
		{"keys and delete pattern", func(t env) {
			for _, k := range []string{"user:1", "user:2", "user:30", "team:1", "*"} {
				must(t, cache.Set(ctx, t.c, k, 1))
			}
			must(t, cache.Set(ctx, t.c.WithVersion(2), "user:9", 1))
			for pattern, wanted := range map[string][]string{
				"user:?":      {"user:1", "user:2"},
				"*:1":         {"team:1", "user:1"},
				"user:[2-3]*": {"user:2", "user:30"},
				`\*`:          {"*"},
				"nobody":      nil,
				"*":           {"*", "team:1", "user:1", "user:2", "user:30"},
			} {
				if got := keys(t, t.c, pattern); !slices.Equal(got, wanted) {
					t.Errorf("%q: got %q, want %q", pattern, got, wanted)
				}
			}
			want(t, 3)(t.c.DeletePattern(ctx, "user:*"))
			want(t, 0)(t.c.DeletePattern(ctx, "user:*"))
			if got := keys(t, t.c, "*"); !slices.Equal(got, []string{"*", "team:1"}) {
				t.Errorf("left: %q", got)
			}
			want(t, true)(t.c.WithVersion(2).Has(ctx, "user:9"))
			if _, err := t.c.DeletePattern(ctx, "[a"); err == nil {
				t.Error("a bad pattern was accepted")
			}
		}},
		{"delete pattern in batches", func(t env) {
			values := map[string]int{}
			for i := range 1203 {
				values[strconv.Itoa(i)] = i
			}
			_, err := cache.SetMany(ctx, t.c, values)
			must(t, err)
			want(t, 1203)(t.c.DeletePattern(ctx, "*"))
		}},
		{"fetch loads once and remembers nil", func(t env) {
			loads := 0
			load := func(ctx context.Context) (*user, error) { loads++; return nil, nil }
			for range 3 {
				want[*user](t, nil)(cache.Fetch(ctx, t.c, "k", load))
			}
			if loads != 1 {
				t.Errorf("%d loads", loads)
			}
		}},
	}
	everyStore(t, func(t *testing.T, st store.Store) {
		c := open(t, st, steady())
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				must(t, c.Store().Clear(ctx, ""))
				tt.run(env{t, c})
			})
		}
	})
}

func keys(t testing.TB, c *cache.Cache, pattern string) (found []string) {
	t.Helper()
	for k, err := range c.Keys(ctx, pattern) {
		must(t, err)
		found = append(found, k)
	}
	slices.Sort(found)
	return found
}

func TestLifetimes(t *testing.T) {
	const slack = 20 * time.Millisecond // the coarse clocks of cache and store
	everyStoreInBubble(t, func(t *testing.T, st store.Store) {
		opts := steady()
		opts.Policy.TTL = time.Minute
		c := open(t, st, opts)
		lives := func(key string, d time.Duration) {
			t.Helper()
			if d == cache.Forever {
				sleep(20 * time.Hour)
				want(t, true)(c.Has(ctx, key))
				return
			}
			sleep(d - slack)
			want(t, 1)(cache.Get[int](ctx, c, key))
			want(t, true)(c.Has(ctx, key))
			sleep(2 * slack)
			wantErr[int](t, cache.ErrMiss)(cache.Get[int](ctx, c, key))
			want(t, false)(c.Has(ctx, key))
		}
		ttl := func(key string, wanted time.Duration) {
			t.Helper()
			want(t, wanted)(c.TTL(ctx, key))
		}

		must(t, cache.Set(ctx, c, "default", 1))
		ttl("default", time.Minute)
		lives("default", time.Minute)
		must(t, cache.Set(ctx, c, "zero", 1, cache.TTL(0)))
		lives("zero", time.Minute)
		must(t, cache.Set(ctx, c, "short", 1, cache.TTL(100*time.Millisecond)))
		lives("short", 100*time.Millisecond)
		must(t, cache.Set(ctx, c, "forever", 1, cache.TTL(cache.Forever)))
		ttl("forever", cache.Forever)
		lives("forever", cache.Forever)

		// add on an expired key
		want(t, true)(cache.Add(ctx, c, "add", 1, cache.TTL(time.Second)))
		sleep(time.Second + slack)
		want(t, true)(cache.Add(ctx, c, "add", 1, cache.TTL(time.Second)))
		lives("add", time.Second)

		// touch: given, default, forever; and not on the expired
		must(t, cache.Set(ctx, c, "touch", 1, cache.TTL(time.Second)))
		want(t, true)(c.Touch(ctx, "touch", time.Hour))
		ttl("touch", time.Hour)
		want(t, true)(c.Touch(ctx, "touch", 0))
		ttl("touch", time.Minute)
		want(t, true)(c.Persist(ctx, "touch"))
		ttl("touch", cache.Forever)
		want(t, true)(c.Touch(ctx, "touch", time.Second))
		lives("touch", time.Second)
		want(t, false)(c.Touch(ctx, "touch", time.Hour))
		want(t, false)(c.Has(ctx, "touch"))

		// counters and versions keep the TTL
		must(t, cache.Set(ctx, c, "n", 0, cache.TTL(10*time.Second)))
		sleep(4 * time.Second)
		want[int64](t, 1)(c.Incr(ctx, "n", 1))
		ttl("n", 6*time.Second)
		want[int64](t, 1)(c.IncrOrInit(ctx, "n", 0, cache.TTL(time.Hour)))
		ttl("n", 6*time.Second)
		want(t, 2)(c.BumpVersion(ctx, "n", 1))
		want(t, 6*time.Second)(c.WithVersion(2).TTL(ctx, "n"))
		want(t, 1)(c.WithVersion(2).BumpVersion(ctx, "n", -1))
		lives("n", 6*time.Second)

		// delete does not count the expired
		must(t, cache.Set(ctx, c, "gone", 1, cache.TTL(time.Second)))
		sleep(time.Second + slack)
		want(t, false)(c.Delete(ctx, "gone"))
	})
}

// everyStoreInBubble is everyStore with fake time.
func everyStoreInBubble(t *testing.T, test func(t *testing.T, st store.Store)) {
	t.Run("in process", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { test(t, memory(t)) })
	})
	t.Run("remote", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { test(t, &remote{Store: memory(t)}) })
	})
}

func TestMissingCapabilities(t *testing.T) {
	c := open(t, bare{memory(t)}, steady())
	must(t, cache.Set(ctx, c, "k", 1))
	must(t, cache.Set(ctx, c, "s", "v"))
	unsupported := func(name string, err error) {
		t.Helper()
		if !errors.Is(err, cache.ErrUnsupported) || !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	_, err := cache.Add(ctx, c, "k", 1)
	unsupported("add", err)
	_, err = c.Touch(ctx, "k", time.Minute)
	unsupported("touch", err)
	_, err = c.Incr(ctx, "k", 1)
	unsupported("incr", err)
	_, err = c.BumpVersion(ctx, "k", 1)
	unsupported("bump", err)
	_, err = c.DeletePattern(ctx, "*")
	unsupported("delete pattern", err)
	for _, err := range c.Keys(ctx, "*") {
		unsupported("keys", err)
	}
	got, err := cache.GetMany[string](ctx, c, "s", "none")
	if err != nil || len(got) != 1 || got["s"] != "v" {
		t.Errorf("many without a Batcher: %v, %v", got, err)
	}
	failed, err := cache.SetMany(ctx, c, map[string]string{"a": "1", "b": "2"})
	if failed != nil || err != nil {
		t.Errorf("set many without a Batcher: %v, %v", failed, err)
	}
	want(t, "2")(cache.Get[string](ctx, c, "b"))
	must(t, c.Ping(ctx))
}

func TestNullStore(t *testing.T) {
	c := open(t, nullstore.New(), steady())
	must(t, cache.Set(ctx, c, "k", 1))
	wantErr[int](t, cache.ErrMiss)(cache.Get[int](ctx, c, "k"))
	loads := 0
	for range 2 {
		want(t, 5)(cache.Fetch(ctx, c, "k", func(context.Context) (int, error) { loads++; return 5, nil }))
	}
	if loads != 2 {
		t.Errorf("%d loads", loads)
	}
	want(t, true)(cache.Add(ctx, c, "k", 1))
	must(t, c.Clear(ctx))
}

func TestClosedCache(t *testing.T) {
	c := cache.Must(cache.New(memory(t), steady()))
	must(t, cache.Set(ctx, c, "k", 1))
	must(t, c.Close())
	must(t, c.Close())
	want(t, 5)(cache.Fetch(ctx, c, "k", func(context.Context) (int, error) { return 5, nil }))
	wantErr[int](t, cache.ErrMiss)(cache.Get[int](ctx, c, "k"))
	if err := cache.Set(ctx, c, "k", 1); !errors.Is(err, store.ErrClosed) {
		t.Errorf("set: %v", err)
	}

	st := memory(t)
	kept := cache.Must(cache.New(st, cache.Options{KeepStore: true}))
	must(t, kept.Close())
	must(t, st.Ping(ctx))
	must(t, st.Close())
}
