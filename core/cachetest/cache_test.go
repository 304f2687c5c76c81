package cachetest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/cachetest"
	"github.com/strata-cache/strata/core/event"
)

// squares is a kind whose odd ids do not exist and whose id 0 fails.
func squares(t *testing.T, c *cachetest.Cache, p cache.Policy) *cache.Kind[int, int] {
	t.Helper()
	k, err := cache.NewKind(c.Cache, "square", cache.KindOptions[int, int]{
		Policy: p,
		Load: func(_ context.Context, id int) (int, error) {
			switch {
			case id == 0:
				return 0, errors.New("no zero")
			case id%2 == 1:
				return 0, cache.ErrNotFound
			}
			return id * id, nil
		},
	})
	must(t, err)
	return k
}

func TestNewGivesWhatATestNeeds(t *testing.T) {
	var calls int
	c := cachetest.New(t, cache.Options{Observer: &event.Observer{Call: func(context.Context, event.Call) { calls++ }}})
	k := squares(t, c, cache.Policy{TTL: time.Minute, RefreshAt: -1})
	get := func(id int) {
		t.Helper()
		if v, err := k.Get(ctx, id); err != nil || v != id*id {
			t.Errorf("%d, %v", v, err)
		}
	}
	get(2)
	get(2)
	c.Clock.Advance(time.Minute - time.Millisecond)
	get(2) // without jitter it lives to the millisecond
	c.Recorder.AssertLoads(t, "square", 1)
	c.Recorder.AssertHits(t, "square", 2)
	c.Recorder.AssertMisses(t, "square", 1)
	c.Clock.Advance(time.Millisecond)
	get(2)
	c.Recorder.AssertLoads(t, "square", 2)
	if calls != 4 {
		t.Errorf("the test's own observer has heard of %d calls", calls)
	}

	c.Recorder.Reset()
	_, _ = k.Get(ctx, 3)
	_, _ = k.Get(ctx, 3)
	_, _ = k.Get(ctx, 0)
	if got, err := k.GetMany(ctx, []int{2, 4}); err != nil || len(got) != 2 {
		t.Errorf("%v, %v", got, err)
	}
	must(t, cache.Set(ctx, c.Cache, "k", 1))
	_, _ = cache.Get[int](ctx, c.Cache, "k")
	r := c.Recorder
	r.AssertNoStoreErrors(t)
	r.AssertHits(t, "", 1)
	r.AssertMisses(t, "square", 3) // 3, 0 and 4
	r.AssertHits(t, "square", 1)
	for result, want := range map[event.LoadResult]int{event.LoadOK: 1, event.LoadNotFound: 1, event.LoadError: 1, event.LoadPanic: 0} {
		if n := r.LoadResults("square", result); n != want {
			t.Errorf("%v: %d loads, want %d", result, n, want)
		}
	}
	if n := r.Outcomes("square", event.OutcomeNegative); n != 1 {
		t.Errorf("%d negative hits", n)
	}
}

func TestAwaitSeesABackgroundRefresh(t *testing.T) {
	c := cachetest.New(t, cache.Options{})
	k := squares(t, c, cache.Policy{TTL: time.Minute, RefreshAt: 0.5})
	_, _ = k.Get(ctx, 2)
	c.Clock.Advance(40 * time.Second)
	_, _ = k.Get(ctx, 2)
	c.Recorder.Await(t, "refresh", func() bool { return c.Recorder.Refreshes("square") == 1 })
	c.Recorder.AssertLoads(t, "square", 2)
	c.Recorder.AssertHits(t, "square", 1)
}

// TestRefreshAtBelowOneHalfIsHonoured: a value is due from the part of its TTL that the policy names.
func TestRefreshAtBelowOneHalfIsHonoured(t *testing.T) {
	c := cachetest.New(t, cache.Options{})
	k := squares(t, c, cache.Policy{TTL: time.Minute, RefreshAt: 0.1})
	_, _ = k.Get(ctx, 2)
	c.Clock.Advance(7 * time.Second)
	_, _ = k.Get(ctx, 2)
	must(t, c.Close()) // which lets refreshes end
	c.Recorder.AssertLoads(t, "square", 2)
}

func TestAssertionsFail(t *testing.T) {
	c := cachetest.New(t, cache.Options{})
	v := &verdicts{TB: t}
	c.Recorder.AssertHits(v, "square", 1)
	c.Recorder.AssertMisses(v, "square", 2)
	c.Recorder.AssertLoads(v, "square", 3)
	for i, want := range []string{`"square" has 0 hits, want 1`, "0 misses, want 2", "0 loads, want 3"} {
		if i >= len(v.failures) || !strings.Contains(v.failures[i], want) {
			t.Errorf("%q, want %q", v.failures, want)
		}
	}
}
