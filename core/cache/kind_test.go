package cache_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/guard/keyrule"
	"github.com/strata-cache/strata/core/store"
)

type (
	userID  int64
	slug    string
	pair    struct{ A, B int }
	small   uint8
	address uintptr
)

// storedKey returns the only key in the store.
func storedKey(t *testing.T, c *cache.Cache) string {
	t.Helper()
	var found []string
	for k, err := range c.Store().(store.Scanner).Scan(ctx, "") {
		must(t, err)
		found = append(found, k)
	}
	if len(found) != 1 {
		t.Fatalf("the store has %q", found)
	}
	return found[0]
}

func keyOf[K comparable](id K, opts cache.KindOptions[K, int]) func(*testing.T) string {
	return func(t *testing.T) string {
		t.Helper()
		c := open(t, memory(t), cache.Options{Prefix: "p"})
		k := cache.Must(cache.NewKind(c, "k", opts))
		must(t, k.Set(ctx, id, 1))
		want(t, 1)(k.Get(ctx, id))
		return storedKey(t, c)
	}
}

func TestKindKeys(t *testing.T) {
	tests := []struct {
		name string
		key  func(*testing.T) string
		want string
	}{
		{"int", keyOf(-5, cache.KindOptions[int, int]{}), "p:1:k:-5"},
		{"named int64", keyOf(userID(1<<62), cache.KindOptions[userID, int]{}), "p:1:k:4611686018427387904"},
		{"uint8", keyOf(small(255), cache.KindOptions[small, int]{}), "p:1:k:255"},
		{"uintptr", keyOf(address(7), cache.KindOptions[address, int]{}), "p:1:k:7"},
		{"int8", keyOf(int8(-128), cache.KindOptions[int8, int]{}), "p:1:k:-128"},
		{"int16", keyOf(int16(-1), cache.KindOptions[int16, int]{}), "p:1:k:-1"},
		{"int32", keyOf(int32(-1), cache.KindOptions[int32, int]{}), "p:1:k:-1"},
		{"uint", keyOf(uint(1), cache.KindOptions[uint, int]{}), "p:1:k:1"},
		{"uint16", keyOf(uint16(1), cache.KindOptions[uint16, int]{}), "p:1:k:1"},
		{"uint32", keyOf(uint32(1), cache.KindOptions[uint32, int]{}), "p:1:k:1"},
		{"uint64", keyOf(uint64(1<<63), cache.KindOptions[uint64, int]{}), "p:1:k:9223372036854775808"},
		{"named string", keyOf(slug("a:b"), cache.KindOptions[slug, int]{}), "p:1:k:a:b"},
		{"of its own", keyOf(pair{1, 2}, cache.KindOptions[pair, int]{
			Key: func(p pair) string { return fmt.Sprintf("%d-%d", p.A, p.B) },
		}), "p:1:k:1-2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.key(t); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	hashed := keyOf(strings.Repeat("x", 300), cache.KindOptions[string, int]{})(t)
	if !strings.HasPrefix(hashed, "p:1:k:#") || len(hashed) != len("p:1:k:#")+32 {
		t.Errorf("a long key became %q", hashed)
	}
}

func TestKindOptionsAreChecked(t *testing.T) {
	c := open(t, memory(t), cache.Options{})
	kind := func(name string, opts cache.KindOptions[int, int]) error {
		_, err := cache.NewKind(c, name, opts)
		return err
	}
	must(t, kind("good", cache.KindOptions[int, int]{}))
	for name, err := range map[string]error{
		"a name that is taken":     kind("good", cache.KindOptions[int, int]{}),
		"no name":                  kind("", cache.KindOptions[int, int]{}),
		"a name with a colon":      kind("a:b", cache.KindOptions[int, int]{}),
		"a long name":              kind(strings.Repeat("n", 41), cache.KindOptions[int, int]{}),
		"jitter above 1":           kind("a", cache.KindOptions[int, int]{Policy: cache.Policy{Jitter: 1.1}}),
		"an unknown priority":      kind("a", cache.KindOptions[int, int]{Policy: cache.Policy{Priority: 9}}),
		"a short key limit":        kind("a", cache.KindOptions[int, int]{KeyRule: &keyrule.Rule{MaxLen: 10}}),
		"a limit without any room": kind(strings.Repeat("n", 40), cache.KindOptions[int, int]{KeyRule: &keyrule.Rule{MaxLen: 64}}),
	} {
		if err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if _, err := cache.NewKind(c, "a", cache.KindOptions[pair, int]{}); err == nil || !strings.Contains(err.Error(), "KindOptions.Key") {
		t.Errorf("a struct as id: %v", err)
	}
	if _, err := cache.NewKind[int, int](nil, "a", cache.KindOptions[int, int]{}); err == nil {
		t.Error("a kind without a cache was accepted")
	}
	// A failed attempt does not take the name; and each version has its own.
	must(t, kind("a", cache.KindOptions[int, int]{}))
	_, err := cache.NewKind(c.WithVersion(2), "a", cache.KindOptions[int, int]{})
	must(t, err)
}

func TestKindsAreApart(t *testing.T) {
	c := open(t, memory(t), steady())
	kind := func(c *cache.Cache, name string) *cache.Kind[int, string] {
		return cache.Must(cache.NewKind(c, name, cache.KindOptions[int, string]{}))
	}
	a, b, a2 := kind(c, "a"), kind(c, "b"), kind(c.WithVersion(2), "a")
	must(t, a.Set(ctx, 1, "a"))
	must(t, b.Set(ctx, 1, "b"))
	must(t, a2.Set(ctx, 1, "a2"))
	must(t, cache.Set(ctx, c, "a:1", "verb"))
	want(t, "a")(a.Get(ctx, 1))
	if got := keys(t, c, "*"); !slices.Equal(got, []string{"a:1"}) {
		t.Errorf("the verbs see %q", got)
	}
	must(t, a.Clear(ctx))
	wantErr[string](t, cache.ErrMiss)(a.Get(ctx, 1))
	want(t, "b")(b.Get(ctx, 1))
	want(t, "a2")(a2.Get(ctx, 1))
	want(t, "verb")(cache.Get[string](ctx, c, "a:1"))
	must(t, c.Clear(ctx))
	wantErr[string](t, cache.ErrMiss)(b.Get(ctx, 1))
	want(t, "a2")(a2.Get(ctx, 1))
}

func TestKindVerbs(t *testing.T) {
	everyStore(t, func(t *testing.T, st store.Store) {
		c := open(t, st, steady())
		var loads atomic.Int32
		k := cache.Must(cache.NewKind(c, "k", cache.KindOptions[int, string]{
			Load: func(_ context.Context, id int) (string, error) {
				loads.Add(1)
				if id < 0 {
					return "", cache.ErrNotFound
				}
				return fmt.Sprint(id), nil
			},
			Tags: func(id int, v string) []string { return []string{"t" + v, "all"} },
		}))
		if k.Name() != "k" {
			t.Errorf("name %q", k.Name())
		}
		wantErr[string](t, cache.ErrMiss)(k.Peek(ctx, 1))
		want(t, "1")(k.Get(ctx, 1))
		want(t, "1")(k.Get(ctx, 1))
		want(t, "1")(k.Peek(ctx, 1))
		wantErr[string](t, cache.ErrNotFound)(k.Get(ctx, -1))
		wantErr[string](t, cache.ErrNotFound)(k.Get(ctx, -1))
		wantErr[string](t, cache.ErrNotFound)(k.Peek(ctx, -1))
		if loads.Load() != 2 {
			t.Errorf("%d loads", loads.Load())
		}
		e, err := st.Get(ctx, ":1:k:1")
		if err != nil || !equal(e.Tags, "all", "t1") {
			t.Errorf("tags %q, %v", e.Tags, err)
		}
		must(t, k.Set(ctx, 1, "set", cache.Tags("mine")))
		want(t, "set")(k.Get(ctx, 1))
		if e, err = st.Get(ctx, ":1:k:1"); err != nil || !equal(e.Tags, "all", "mine", "tset") {
			t.Errorf("tags %q, %v", e.Tags, err)
		}
		want(t, "other")(k.Fetch(ctx, 2, func(context.Context, int) (string, error) { return "other", nil }, cache.TTL(time.Hour)))
		want(t, "other")(k.Get(ctx, 2))
		want(t, 2)(k.Delete(ctx, 1, 2, 3))
		want(t, 0)(k.Delete(ctx))
		want(t, "1")(k.Get(ctx, 1))
		must(t, k.Set(ctx, 1, "x", cache.TTL(-1)))
		wantErr[string](t, cache.ErrMiss)(k.Peek(ctx, 1))
	})
}

func TestKindPolicyIsLaidOverTheCaches(t *testing.T) {
	c := open(t, memory(t), cache.Options{Policy: cache.Policy{TTL: time.Hour, Jitter: -1, NegativeTTL: -1, Priority: cache.Low}})
	ttl := func(name string, p cache.Policy) (time.Duration, store.Priority) {
		k := cache.Must(cache.NewKind(c, name, cache.KindOptions[int, string]{Policy: p}))
		must(t, k.Set(ctx, 1, "v"))
		e, err := c.Store().Get(ctx, ":1:"+name+":1")
		must(t, err)
		return time.Duration(e.Fresh-e.Created) * time.Millisecond, e.Priority
	}
	tests := []struct {
		name     string
		policy   cache.Policy
		ttl      time.Duration
		priority store.Priority
	}{
		{"inherited", cache.Policy{}, time.Hour, cache.Low},
		{"ttl", cache.Policy{TTL: time.Minute}, time.Minute, cache.Low},
		{"priority", cache.Policy{Priority: cache.Important}, 30 * time.Minute, cache.Important},
		{"both", cache.Policy{Priority: cache.Critical, TTL: time.Second}, time.Second, cache.Critical},
	}
	for _, tt := range tests {
		if d, p := ttl(tt.name, tt.policy); d != tt.ttl || p != tt.priority {
			t.Errorf("%s: %v, %v; want %v, %v", tt.name, d, p, tt.ttl, tt.priority)
		}
	}
	for p, wanted := range map[store.Priority]time.Duration{
		store.PriorityDefault: 5 * time.Minute, cache.Low: 5 * time.Minute, cache.Normal: 10 * time.Minute,
		cache.Important: 30 * time.Minute, cache.Critical: time.Hour,
	} {
		if got := open(t, memory(t), cache.Options{Policy: cache.Policy{Priority: p}}).Policy().TTL; got != wanted {
			t.Errorf("%v: TTL %v", p, got)
		}
	}
}

func TestKindRejectsKeys(t *testing.T) {
	var rec recorder
	c := open(t, memory(t), cache.Options{Observer: rec.observer()})
	odd := errors.New("odd")
	k := cache.Must(cache.NewKind(c, "k", cache.KindOptions[int, int]{
		Load:     func(context.Context, int) (int, error) { t.Error("the loader ran"); return 0, nil },
		LoadMany: func(context.Context, []int) (map[int]int, error) { t.Error("the loader ran"); return nil, nil },
		KeyRule: &keyrule.Rule{Schema: func(key string) error {
			if (key[len(key)-1]-'0')%2 == 1 {
				return odd
			}
			return nil
		}},
	}))
	wantErr[int](t, odd)(k.Get(ctx, 1))
	wantErr[int](t, cache.ErrRejected)(k.Get(ctx, 1))
	wantErr[map[int]int](t, cache.ErrRejected)(k.GetMany(ctx, []int{2, 1}))
	wantErr[int](t, cache.ErrRejected)(k.Delete(ctx, 1))
	if err := k.Set(ctx, 1, 1); !errors.Is(err, cache.ErrRejected) {
		t.Errorf("set: %v", err)
	}
	must(t, k.Set(ctx, 2, 2))
	want(t, 2)(k.Get(ctx, 2))
	if rec.rejected != 5 || rec.calls[0].Outcome != event.OutcomeRejected {
		t.Errorf("%d events, first call %+v", rec.rejected, rec.calls[0])
	}
}

func TestGetMany(t *testing.T) {
	for _, many := range []bool{false, true} {
		t.Run(fmt.Sprintf("LoadMany %v", many), func(t *testing.T) {
			everyStore(t, func(t *testing.T, st store.Store) {
				var mu sync.Mutex
				loaded := map[int]int{}
				load := func(_ context.Context, id int) (string, error) {
					mu.Lock()
					defer mu.Unlock()
					loaded[id]++
					switch {
					case id < 0:
						return "", cache.ErrNotFound
					case id == 13:
						return "", errLoad
					}
					return fmt.Sprint(id), nil
				}
				opts := cache.KindOptions[int, string]{Load: load}
				if many {
					opts.LoadMany = func(ctx context.Context, ids []int) (map[int]string, error) {
						m := map[int]string{}
						for _, id := range ids {
							v, err := load(ctx, id)
							if errors.Is(err, errLoad) {
								return nil, err
							}
							if err == nil {
								m[id] = v
							}
						}
						return m, nil
					}
				}
				c := open(t, st, steady())
				k := cache.Must(cache.NewKind(c, "k", opts))
				must(t, k.Set(ctx, 1, "set"))
				for range 2 {
					got, err := k.GetMany(ctx, []int{1, 2, 3, 2, -1})
					if err != nil || !maps.Equal(got, map[int]string{1: "set", 2: "2", 3: "3"}) {
						t.Errorf("got %v, %v", got, err)
					}
				}
				if !maps.Equal(loaded, map[int]int{2: 1, 3: 1, -1: 1}) {
					t.Errorf("loads: %v", loaded)
				}
				got, err := k.GetMany(ctx, nil)
				if len(got) != 0 || err != nil {
					t.Errorf("none: %v, %v", got, err)
				}
				got, err = k.GetMany(ctx, []int{1, 13})
				if !errors.Is(err, errLoad) || got[1] != "set" {
					t.Errorf("got %v, %v", got, err)
				}
				want(t, "7")(k.Get(ctx, 7))
			})
		})
	}
}

func TestGetManyWithoutALoader(t *testing.T) {
	c := open(t, memory(t), steady())
	k := cache.Must(cache.NewKind(c, "k", cache.KindOptions[int, int]{}))
	must(t, k.Set(ctx, 1, 1))
	got, err := k.GetMany(ctx, []int{1, 2})
	if err != nil || !maps.Equal(got, map[int]int{1: 1}) {
		t.Errorf("got %v, %v", got, err)
	}
	wantErr[int](t, cache.ErrMiss)(k.Get(ctx, 2))
}

func TestLoadManyServesGet(t *testing.T) {
	c := open(t, memory(t), steady())
	k := cache.Must(cache.NewKind(c, "k", cache.KindOptions[int, int]{
		LoadMany: func(_ context.Context, ids []int) (map[int]int, error) {
			if ids[0] == 0 {
				return nil, nil
			}
			return map[int]int{ids[0]: ids[0]}, nil
		},
	}))
	want(t, 3)(k.Get(ctx, 3))
	wantErr[int](t, cache.ErrNotFound)(k.Get(ctx, 0))
}

func TestGetManyIsCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &remote{Store: memory(t)}
		c := open(t, st, steady())
		var mu sync.Mutex
		loaded := map[int]int{}
		batches := 0
		k := cache.Must(cache.NewKind(c, "k", cache.KindOptions[int, int]{
			LoadMany: func(ctx context.Context, ids []int) (map[int]int, error) {
				m := map[int]int{}
				mu.Lock()
				batches++
				for _, id := range ids {
					loaded[id]++
					m[id] = id
				}
				mu.Unlock()
				return m, pause(ctx, time.Second)
			},
		}))
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				ids := []int{i % 10, (i + 1) % 10, (i + 2) % 10}
				got, err := k.GetMany(ctx, ids)
				if err != nil || len(got) != 3 || got[ids[1]] != ids[1] {
					t.Errorf("got %v, %v", got, err)
				}
			})
			wg.Go(func() { want(t, i%10)(k.Get(ctx, i%10)) })
		}
		wg.Wait()
		for id, n := range loaded {
			if n != 1 {
				t.Errorf("id %d was loaded %d times", id, n)
			}
		}
		if len(loaded) != 10 {
			t.Errorf("loaded %v in %d batches", loaded, batches)
		}
		if sets := st.count("set") + st.count("setmany"); sets > batches {
			t.Errorf("%d writes for %d batches", sets, batches)
		}
	})
}

func TestGetManyFollowerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, memory(t), steady())
		var runs atomic.Int32
		k := cache.Must(cache.NewKind(c, "k", cache.KindOptions[int, int]{
			LoadMany: func(ctx context.Context, ids []int) (map[int]int, error) {
				runs.Add(1)
				return map[int]int{1: 1, 2: 2}, pause(ctx, time.Second)
			},
		}))
		leader, cancel := context.WithCancel(ctx)
		go func() { _, _ = k.GetMany(leader, []int{1, 2}) }()
		synctest.Wait()
		short, stop := context.WithTimeout(ctx, 50*time.Millisecond)
		defer stop()
		start := time.Now()
		wantErr[map[int]int](t, context.DeadlineExceeded)(k.GetMany(short, []int{1, 2}))
		if took := time.Since(start); took != 50*time.Millisecond {
			t.Errorf("left after %v", took)
		}
		go func() { want(t, 2)(k.Get(ctx, 2)) }()
		synctest.Wait()
		cancel() // one id of the batch is still wanted
		sleep(2 * time.Second)
		want(t, 2)(k.Peek(ctx, 2))
		if runs.Load() != 1 {
			t.Errorf("%d loads", runs.Load())
		}
	})
}

func TestGetManyFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec recorder
		opts := steady()
		opts.Policy.TTL, opts.Policy.StaleFor = time.Second, time.Hour
		opts.Policy.HardTimeout = 10 * time.Second
		opts.Observer = rec.observer()
		c := open(t, memory(t), opts)
		fail := func(context.Context) error { return nil }
		k := cache.Must(cache.NewKind(c, "k", cache.KindOptions[int, string]{
			LoadMany: func(ctx context.Context, ids []int) (map[int]string, error) {
				m := map[int]string{}
				for _, id := range ids {
					m[id] = "v"
				}
				return m, fail(ctx)
			},
		}))
		_, err := k.GetMany(ctx, []int{1, 2})
		must(t, err)
		sleep(2 * time.Second) // 1 and 2 are stale from here on, 3 is missing
		var panicked *cache.PanicError
		tests := []struct {
			name string
			fail func(context.Context) error
			is   func(error) bool
		}{
			{"an error", func(context.Context) error { return errLoad }, func(err error) bool { return err == errLoad }},
			{"a panic", func(context.Context) error { panic("boom") }, func(err error) bool { return errors.As(err, &panicked) && panicked.Value == "boom" }},
			{"goexit", func(context.Context) error { runtime.Goexit(); return nil }, func(err error) bool { return errors.As(err, &panicked) && panicked.Value == nil }},
			{"timeout", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }},
			{"deaf timeout", func(context.Context) error { sleep(time.Minute); return nil }, func(err error) bool { return errors.Is(err, cache.ErrTimeout) }},
		}
		for _, tt := range tests {
			fail = tt.fail
			got, err := k.GetMany(ctx, []int{1, 2, 3})
			if !maps.Equal(got, map[int]string{1: "v", 2: "v"}) || !tt.is(err) {
				t.Errorf("%s: got %v, %v", tt.name, got, err)
			}
			sleep(2 * time.Minute)
		}
		rec.mu.Lock()
		defer rec.mu.Unlock()
		results := make([]event.LoadResult, 0, len(rec.loads))
		for _, l := range rec.loads[1:] {
			results = append(results, l.Result)
		}
		if !slices.Equal(results, []event.LoadResult{event.LoadError, event.LoadPanic, event.LoadPanic, event.LoadTimeout, event.LoadOK}) {
			t.Errorf("results %v", results)
		}
	})
}

// bomb is a type whose methods panic.
type bomb struct{ Fuse []int }

func (bomb) Clone() bomb { panic("clone") }

func TestUserCodeThatPanicsInGetMany(t *testing.T) {
	c := open(t, memory(t), steady())
	k := cache.Must(cache.NewKind(c, "k", cache.KindOptions[int, int]{
		LoadMany: func(context.Context, []int) (map[int]int, error) { return map[int]int{1: 1, 2: 2}, nil },
		Tags:     func(int, int) []string { panic("tags") },
	}))
	var p *cache.PanicError
	if _, err := k.GetMany(ctx, []int{1, 2}); !errors.As(err, &p) || p.Value != "tags" {
		t.Errorf("got %v", err)
	}
	b := cache.Must(cache.NewKind(c, "b", cache.KindOptions[int, bomb]{
		Load: func(context.Context, int) (bomb, error) { return bomb{}, nil },
	}))
	if _, err := b.GetMany(ctx, []int{1, 2}); !errors.As(err, &p) || p.Value != "clone" {
		t.Errorf("got %v", err)
	}
}

func TestGetManyRacesWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, &remote{Store: memory(t)}, steady())
		k := cache.Must(cache.NewKind(c, "k", cache.KindOptions[int, string]{
			LoadMany: func(ctx context.Context, ids []int) (map[int]string, error) {
				return map[int]string{1: "old", 2: "old", 3: "old"}, pause(ctx, time.Second)
			},
		}))
		done := make(chan struct{})
		go func() {
			defer close(done)
			got, err := k.GetMany(ctx, []int{1, 2, 3})
			if err != nil || len(got) != 3 {
				t.Errorf("got %v, %v", got, err)
			}
		}()
		synctest.Wait()
		must(t, k.Set(ctx, 1, "new"))
		_, err := k.Delete(ctx, 2)
		must(t, err)
		<-done
		want(t, "new")(k.Peek(ctx, 1))
		wantErr[string](t, cache.ErrMiss)(k.Peek(ctx, 2))
		want(t, "old")(k.Peek(ctx, 3))
	})
}
