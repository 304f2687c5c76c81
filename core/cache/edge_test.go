package cache_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
)

func TestRefreshAfterIsRecorded(t *testing.T) {
	c := open(t, memory(t), steady())
	must(t, cache.Set(ctx, c, "set", "v", cache.TTL(time.Minute), cache.RefreshAfter(50*time.Second)))
	_, err := cache.Fetch(ctx, c, "fetch", func(context.Context) (string, error) { return "v", nil }, cache.TTL(time.Minute), cache.RefreshAfter(50*time.Second))
	must(t, err)
	k := cache.Must(cache.NewKind(c, "k", cache.KindOptions[int, string]{}))
	must(t, k.Set(ctx, 1, "v", cache.TTL(time.Minute), cache.RefreshAfter(50*time.Second)))
	for _, key := range []string{":1::set", ":1::fetch", ":1:k:1"} {
		e, err := c.Store().Get(ctx, key)
		must(t, err)
		if e.Refresh-e.Created != 50_000 || e.Fresh-e.Created != 60_000 {
			t.Errorf("%s: %+v", key, e.Times)
		}
	}
	must(t, cache.Set(ctx, c, "n", 1, cache.RefreshAfter(time.Second)))
	if e := stored(t, c, "n"); e.Refresh != 0 || e.Fresh != e.Gone || len(e.Tags) != 0 {
		t.Errorf("a counter: %+v", e)
	}
	must(t, cache.Set(ctx, c, "n", 1, cache.Tags("t")))
	wantErr[int64](t, cache.ErrNotInteger)(c.Incr(ctx, "n", 1))
	want(t, 1)(cache.Get[int](ctx, c, "n"))
}

func TestScansThatFail(t *testing.T) {
	st := &remote{Store: memory(t), before: failing}
	c := open(t, st, steady())
	for _, err := range c.Keys(ctx, "*") {
		if !errors.Is(err, errDown) {
			t.Errorf("keys: %v", err)
		}
	}
	for _, err := range c.Keys(ctx, "[") {
		if err == nil {
			t.Error("a bad pattern was accepted")
		}
	}
	wantErr[int](t, errDown)(c.DeletePattern(ctx, "*"))
	if err := c.Clear(ctx); !errors.Is(err, errDown) {
		t.Errorf("clear: %v", err)
	}
	st.set(nil)
	must(t, cache.Set(ctx, c, "a", 1))
	must(t, cache.Set(ctx, c, "b", 1))
	for _, err := range c.Keys(ctx, "*") {
		must(t, err)
		break
	}
	st.set(func(_ context.Context, op string, _ ...string) error {
		if op == "delete" {
			return errDown
		}
		return nil
	})
	wantErr[int](t, errDown)(c.DeletePattern(ctx, "*"))
	failed, err := cache.SetMany(ctx, c, map[string]int{"b": 1, "a": 1}, cache.TTL(-1))
	if !equal(failed, "a", "b") || !errors.Is(err, errDown) {
		t.Errorf("set many: %q, %v", failed, err)
	}
}

// TestContention lets a key change under every compare-and-set.
func TestContention(t *testing.T) {
	mem := memory(t)
	st := &remote{Store: mem}
	c := open(t, st, steady())
	busy := true
	st.set(func(_ context.Context, op string, keys ...string) error {
		if op == "touch" && busy {
			return mem.Set(ctx, keys[0], &store.Entry{Value: []byte("1"), Flags: store.FlagCounter})
		}
		return nil
	})
	must(t, cache.Set(ctx, c, "k", 1))
	if ok, err := c.Touch(ctx, "k", time.Minute); ok || err == nil {
		t.Errorf("touch: %v, %v", ok, err)
	}
	if v, err := c.BumpVersion(ctx, "k", 1); v != 1 || err == nil {
		t.Errorf("bump: %v, %v", v, err)
	}
	busy = false
	want(t, true)(c.Touch(ctx, "k", time.Minute))
}

func TestWritersWhoCannotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &remote{Store: memory(t)}
		opts := steady()
		opts.StoreTimeout = time.Minute
		c := open(t, st, opts)
		must(t, cache.Set(ctx, c.WithVersion(2), "k", 1))
		st.set(func(ctx context.Context, op string, keys ...string) error {
			if op == "set" && keys[0] == ":1::k" {
				return pause(ctx, 10*time.Second)
			}
			return nil
		})
		go func() { _, _ = cache.Fetch(ctx, c, "k", func(context.Context) (int, error) { return 1, nil }) }()
		synctest.Wait()
		for name, f := range map[string]func(context.Context) error{
			"set":      func(ctx context.Context) error { return cache.Set(ctx, c, "k", 1) },
			"set many": func(ctx context.Context) error { _, err := cache.SetMany(ctx, c, map[string]int{"k": 1}); return err },
			"add":      func(ctx context.Context) error { _, err := cache.Add(ctx, c, "k", 1); return err },
			"delete":   func(ctx context.Context) error { _, err := c.Delete(ctx, "k"); return err },
			"incr":     func(ctx context.Context) error { _, err := c.IncrOrInit(ctx, "k", 1); return err },
			"bump":     func(ctx context.Context) error { _, err := c.WithVersion(2).BumpVersion(ctx, "k", -1); return err },
			"clear":    func(ctx context.Context) error { return c.Clear(ctx) },
		} {
			short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
			start := time.Now()
			if err := f(short); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 50*time.Millisecond {
				t.Errorf("%s: %v after %v", name, err, time.Since(start))
			}
			cancel()
		}
		sleep(time.Minute)
		st.set(nil)
		want(t, false)(c.Has(ctx, "k")) // the load took its value back
		want(t, 1)(cache.Fetch(ctx, c, "k", func(context.Context) (int, error) { return 1, nil }))
		want(t, true)(c.Has(ctx, "k")) // and nothing is held any more
	})
}

func TestFlightOfASpace(t *testing.T) {
	c := open(t, memory(t), steady())
	s := cache.Must(c.NewSpace("page", event.LayerPage))
	key := s.Prefix() + "k"
	for _, written := range []bool{false, true} {
		f, _, leader, ok := s.Join(ctx, key, time.Second)
		if !leader || !ok {
			t.Fatal("not the leader")
		}
		if written {
			_, err := s.Remove(ctx, key)
			must(t, err)
		}
		stored := false
		if got := f.Commit(func() { stored = true }); got == written || stored == written || f.Forgotten() != written {
			t.Errorf("written %v: committed %v, %v, forgotten %v", written, got, stored, f.Forgotten())
		}
		f.Finish("v", nil)
	}
}

// TestLookAgain lets another caller load and store what is missing, between a caller's look-up and its own
// load.
func TestLookAgain(t *testing.T) {
	st := &remote{Store: memory(t)}
	c := open(t, st, steady())
	loads := map[int]int{}
	k := cache.Must(cache.NewKind(c, "k", cache.KindOptions[int, string]{
		LoadMany: func(_ context.Context, ids []int) (map[int]string, error) {
			m := map[int]string{}
			for _, id := range ids {
				loads[id]++
				if id > 0 {
					m[id] = "v"
				}
			}
			return m, nil
		},
	}))
	other := func(ids ...int) {
		st.then(func(string, ...string) {
			for _, id := range ids {
				_, _ = k.GetMany(ctx, []int{id}) // Get would join the look-up that this one is in
			}
		})
	}
	other(1)
	want(t, "v")(k.Get(ctx, 1))
	other(-1)
	wantErr[string](t, cache.ErrNotFound)(k.Get(ctx, -1))
	other(2, -2)
	got, err := k.GetMany(ctx, []int{2, 3, -2})
	if err != nil || len(got) != 2 {
		t.Errorf("got %v, %v", got, err)
	}
	other(4, 5)
	got, err = k.GetMany(ctx, []int{4, 5})
	if err != nil || len(got) != 2 {
		t.Errorf("got %v, %v", got, err)
	}
	for id, n := range loads {
		if n != 1 {
			t.Errorf("%d was loaded %d times", id, n)
		}
	}
}

func TestStoreThatHangsDuringALoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &remote{Store: memory(t)}
		opts := steady()
		opts.Policy.TTL, opts.Policy.StaleFor = time.Second, time.Hour
		c := open(t, st, opts)
		fail := false
		k := cache.Must(cache.NewKind(c, "k", cache.KindOptions[int, int]{
			LoadMany: func(_ context.Context, ids []int) (map[int]int, error) {
				m := map[int]int{}
				for _, id := range ids {
					m[id] = id
				}
				if fail {
					st.set(hanging)
					return nil, errLoad
				}
				return m, nil
			},
		}))
		ids := []int{1, 2, 3, 4}
		_, err := k.GetMany(ctx, ids)
		must(t, err)
		sleep(2 * time.Second)
		fail = true
		start := time.Now()
		wantErr[map[int]int](t, errLoad)(k.GetMany(ctx, ids))
		if took := time.Since(start); took != cache.DefaultStoreTimeout {
			t.Errorf("it took %v", took)
		}
	})
}

func TestKindExpires(t *testing.T) {
	everyStoreInBubble(t, func(t *testing.T, st store.Store) {
		c := open(t, st, steady())
		loads := 0
		k := cache.Must(cache.NewKind(c, "k", cache.KindOptions[int, int]{
			Policy: cache.Policy{TTL: time.Second, StaleFor: time.Hour},
			Load:   func(context.Context, int) (int, error) { loads++; return loads, nil },
		}))
		for i := range 3 {
			for range 3 {
				want(t, i+1)(k.Get(ctx, 1))
			}
			sleep(time.Second + 20*time.Millisecond)
			wantErr[int](t, cache.ErrMiss)(k.Peek(ctx, 1))
		}
	})
}

func TestWriterWhoCannotWaitForABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &remote{Store: memory(t)}
		c := open(t, st, steady())
		st.set(func(ctx context.Context, op string, _ ...string) error {
			if op == "setmany" {
				return pause(ctx, 40*time.Millisecond)
			}
			return nil
		})
		k := cache.Must(cache.NewKind(c, "k", cache.KindOptions[int, int]{
			LoadMany: func(context.Context, []int) (map[int]int, error) { return map[int]int{1: 1, 2: 2}, nil },
		}))
		go func() { _, _ = k.GetMany(ctx, []int{1, 2}) }()
		synctest.Wait()
		short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		defer cancel()
		wantErr[int](t, context.DeadlineExceeded)(k.Delete(short, 1))
		sleep(time.Second)
		wantErr[int](t, cache.ErrMiss)(k.Peek(ctx, 1))
		want(t, 2)(k.Peek(ctx, 2))
	})
}
