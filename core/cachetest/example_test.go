package cachetest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/cachetest"
	"github.com/strata-cache/strata/core/store"
)

func ExampleNew() {
	_ = func(t *testing.T) {
		c := cachetest.New(t, cache.Options{Policy: cache.Policy{TTL: time.Minute}})
		names := cache.Must(cache.NewKind(c.Cache, "name", cache.KindOptions[int, string]{
			Load: func(context.Context, int) (string, error) { return "Ada", nil },
		}))
		_, _ = names.Get(t.Context(), 42)
		_, _ = names.Get(t.Context(), 42)
		c.Recorder.AssertLoads(t, "name", 1)
		c.Clock.Advance(time.Minute)
		_, _ = names.Get(t.Context(), 42)
		c.Recorder.AssertLoads(t, "name", 2)
	}
}

func ExampleOver() {
	_ = func(t *testing.T) {
		clock := cachetest.NewClock()
		chaos := cachetest.NewChaos(cachetest.NewStore(clock), cachetest.ChaosOptions{Clock: clock, Remote: true})
		c := cachetest.Over(t, chaos, clock, cache.Options{})
		chaos.Inject(cachetest.Fault{Hang: true}) // the server is frozen
		v, err := cache.Fetch(t.Context(), c.Cache, "k", func(context.Context) (int, error) { return 1, nil })
		if v != 1 || err != nil {
			t.Errorf("%d, %v", v, err)
		}
	}
}

func ExampleClock() {
	clock := cachetest.NewClock()
	s := cachetest.NewStore(clock)
	end := clock.Now().Add(time.Minute).UnixMilli()
	_ = s.Set(context.Background(), "k", &store.Entry{Times: store.Times{Fresh: end, Gone: end}})
	_, err := s.Get(context.Background(), "k")
	fmt.Println(err)
	clock.Advance(time.Minute)
	_, err = s.Get(context.Background(), "k")
	fmt.Println(err)
	// Output:
	// <nil>
	// store: miss
}

func ExampleChaos_Inject() {
	chaos := cachetest.NewChaos(cachetest.NewStore(nil), cachetest.ChaosOptions{})
	fault := chaos.Inject(cachetest.Fault{Op: cachetest.OpGet, Key: "user:*", Times: 1})
	for range 2 {
		_, err := chaos.Get(context.Background(), "user:42")
		fmt.Println(err)
	}
	fmt.Println(fault.Met())
	// Output:
	// cachetest: injected
	// store: miss
	// 1
}

func ExampleRecorder() {
	rec := cachetest.NewRecorder()
	c := cache.Must(cache.New(cachetest.NewStore(nil), cache.Options{Observer: rec.Observer()}))
	defer c.Close()
	for range 3 {
		_, _ = cache.Fetch(context.Background(), c, "k", func(context.Context) (int, error) { return 1, nil })
	}
	fmt.Println(rec.Misses(""), rec.Hits(""), rec.Loads(""))
	// Output: 1 2 1
}
