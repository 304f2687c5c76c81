package stats_test

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/stats"
)

// pass lets time go by in a bubble of synctest.
func pass(d time.Duration) { <-time.After(d) }

func TestTraceHoldsTheEventsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newRecorder(t, stats.Options{}).Observer()
		ctx, trace := stats.WithTrace(context.Background())
		if stats.FromContext(ctx) != trace {
			t.Fatal("the context does not carry the trace")
		}
		inner, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Hour)
		defer cancel()
		down := errors.New("down")

		o.Call(ctx, event.Call{Cache: "c", Kind: "user", Outcome: event.OutcomeHit, Age: time.Minute})
		pass(time.Millisecond)
		o.StoreError(ctx, event.StoreError{Cache: "c", Op: event.OpGet, Err: down})
		pass(20 * time.Millisecond)
		o.Load(inner, event.Load{Cache: "c", Kind: "user", Key: "7", Took: 20 * time.Millisecond, Result: event.LoadError, Err: down})
		o.Refused(inner, event.Refused{Cache: "c", Kind: "user", Reason: "tags"})
		pass(time.Millisecond)
		o.Call(ctx, event.Call{Cache: "c", Kind: "user", Key: "7", Outcome: event.OutcomeMiss, Took: 22 * time.Millisecond})

		o.Call(ctx, event.Call{Cache: "c", Kind: "user", Outcome: event.OutcomeHit, Tier: 2})
		o.Refresh(ctx, event.Refresh{Cache: "c", Kind: "user", Key: "7", State: event.RefreshQueued})
		o.Refresh(inner, event.Refresh{
			Cache: "c", Kind: "user", Key: "7", State: event.RefreshFailed, Took: time.Millisecond, Err: down,
		})
		o.Log(event.Log{Cache: "c", State: event.LogBlind, Err: down}) // none of these is the request's
		o.Filter(event.Filter{Name: "ids", State: event.FilterOpen, Err: down})
		o.Breaker(event.Breaker{Cache: "c", Open: true})

		const ms = time.Millisecond
		want := []stats.Step{
			{Event: "call", Cache: "c", Kind: "user", Outcome: event.OutcomeHit, Age: time.Minute},
			{At: 1 * ms, Event: "store-error", Cache: "c", Err: down},
			{At: 21 * ms, Event: "load", Cache: "c", Kind: "user", Key: "7", Result: event.LoadError, Took: 20 * ms, Err: down},
			{At: 21 * ms, Event: "refused", Cache: "c", Kind: "user", Reason: "tags"},
			{At: 22 * ms, Event: "call", Cache: "c", Kind: "user", Key: "7", Outcome: event.OutcomeMiss, Took: 22 * ms},
			{At: 22 * ms, Event: "call", Cache: "c", Kind: "user", Outcome: event.OutcomeHit, Tier: 2},
			{At: 22 * ms, Event: "refresh", Cache: "c", Kind: "user", Key: "7"},
			{
				At: 22 * ms, Event: "refresh", Cache: "c", Kind: "user", Key: "7", Refresh: event.RefreshFailed,
				Took: ms, Err: down,
			},
		}
		if got := trace.Steps(); !reflect.DeepEqual(got, want) {
			t.Errorf("got\n%+v\nwant\n%+v", got, want)
		}
		sum := stats.Summary{
			Hits: 2, L2Hits: 1, Misses: 1, Loads: 1, LoadErrors: 1, StoreErrors: 1, Refreshes: 1,
			CacheTime: 2 * ms, LoadTime: 20 * ms,
		}
		if got := trace.Finish(); got != sum {
			t.Errorf("summary\n%+v\nwant\n%+v", got, sum)
		}

		o.Call(ctx, event.Call{Outcome: event.OutcomeHit})
		o.Load(inner, event.Load{Took: time.Second})
		o.Bypass(inner, event.Bypass{})
		if got := trace.Finish(); got != sum || len(trace.Steps()) != len(want) {
			t.Errorf("late events were not dropped: %+v", got)
		}
	})
}

func TestTraceCountsKinds(t *testing.T) {
	o := newRecorder(t, stats.Options{}).Observer()
	ctx, trace := stats.WithTrace(context.Background())
	for outcome := range event.Outcome(10) { // one of them unknown
		for range outcome + 1 {
			o.Call(ctx, event.Call{Outcome: outcome})
		}
	}
	o.Call(ctx, event.Call{Hits: 10, Misses: 20})
	o.Call(ctx, event.Call{Op: event.OpSet, Hits: 10})
	o.Call(ctx, event.Call{Op: event.OpIncr, Outcome: event.OutcomeMiss})
	o.Call(ctx, event.Call{Outcome: event.OutcomeMiss, Coalesced: true})
	for result := range event.LoadResult(7) {
		o.Load(ctx, event.Load{Result: result})
	}
	for tier := range 5 {
		o.Call(ctx, event.Call{Outcome: event.OutcomeHit, Tier: tier})
	}
	o.Call(ctx, event.Call{Hits: 2, Misses: 1, Tier: 2})
	o.Call(ctx, event.Call{Outcome: event.OutcomeNegative, Tier: 1})
	for state := range event.RefreshState(6) {
		o.Refresh(ctx, event.Refresh{State: state})
	}
	o.Bypass(ctx, event.Bypass{})
	got := trace.Summary()
	want := stats.Summary{
		Hits: 1 + 2 + 10 + 5 + 2, Negative: 3 + 1, Stale: 4, Misses: 5 + 20 + 1 + 1, Rejected: 6, Errors: 7 + 10,
		Filtered: 8, Fallback: 9, L1Hits: 1, L2Hits: 1 + 2, L3Hits: 2, Coalesced: 1, Writes: 2, Loads: 6, LoadErrors: 4,
		Overload: 1, Refreshes: 1, Bypassed: 1,
	}
	if got != want {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

func TestTraceTimesAreWallTime(t *testing.T) {
	const ms = time.Millisecond
	call := func(o *event.Observer, ctx context.Context, took time.Duration, coalesced bool) {
		o.Call(ctx, event.Call{Outcome: event.OutcomeMiss, Took: took, Coalesced: coalesced})
	}
	load := func(o *event.Observer, ctx context.Context, took time.Duration) { o.Load(ctx, event.Load{Took: took}) }
	for _, tc := range []struct {
		name        string
		run         func(o *event.Observer, ctx context.Context)
		cache, load time.Duration
	}{
		{"nothing", func(*event.Observer, context.Context) {}, 0, 0},
		{"two calls apart", func(o *event.Observer, ctx context.Context) {
			pass(2 * ms)
			call(o, ctx, 2*ms, false)
			pass(5 * ms)
			call(o, ctx, 2*ms, false)
		}, 4 * ms, 0},
		{"two calls at once", func(o *event.Observer, ctx context.Context) {
			pass(3 * ms)
			call(o, ctx, 3*ms, false)
			call(o, ctx, 2*ms, false)
			pass(1 * ms)
			call(o, ctx, 2*ms, false)
		}, 4 * ms, 0},
		{"a load in a call", func(o *event.Observer, ctx context.Context) {
			pass(11 * ms)
			load(o, ctx, 10*ms)
			pass(1 * ms)
			call(o, ctx, 12*ms, false)
		}, 2 * ms, 10 * ms},
		{"a load in a call that was not timed", func(o *event.Observer, ctx context.Context) {
			pass(11 * ms)
			load(o, ctx, 10*ms)
			call(o, ctx, 0, false)
		}, 0, 10 * ms},
		{"a load in a call in a load", func(o *event.Observer, ctx context.Context) {
			pass(10 * ms)
			load(o, ctx, 5*ms)
			call(o, ctx, 6*ms, false)
			pass(10 * ms)
			load(o, ctx, 18*ms)
			call(o, ctx, 20*ms, false)
		}, 2 * ms, 18 * ms},
		{"loads at once", func(o *event.Observer, ctx context.Context) {
			pass(10 * ms)
			load(o, ctx, 10*ms)
			load(o, ctx, 10*ms)
		}, 0, 10 * ms},
		{"a load that was refused after a wait", func(o *event.Observer, ctx context.Context) {
			pass(10 * ms)
			o.Load(ctx, event.Load{Took: 10 * ms, Result: event.LoadOverload})
		}, 10 * ms, 0},
		{"a refresh behind the request", func(o *event.Observer, ctx context.Context) {
			pass(10 * ms)
			o.Refresh(ctx, event.Refresh{Took: 10 * ms, State: event.RefreshDone})
		}, 0, 0},
		{"waiting for another request's load", func(o *event.Observer, ctx context.Context) {
			pass(10 * ms)
			call(o, ctx, 10*ms, true)
		}, 0, 10 * ms},
		{"a call that began before the trace", func(o *event.Observer, ctx context.Context) {
			pass(1 * ms)
			call(o, ctx, time.Hour, false)
		}, 1 * ms, 0},
		{"more gaps than are kept", func(o *event.Observer, ctx context.Context) {
			for range 100 {
				pass(2 * ms)
				call(o, ctx, ms, false)
			}
		}, 100 * ms, 0},
		{"a call over more gaps than are kept", func(o *event.Observer, ctx context.Context) {
			for range 100 {
				pass(2 * ms)
				call(o, ctx, ms, false)
			}
			call(o, ctx, 200*ms, false)
			// The first 36 calls are closed; the gaps after them are filled.
		}, 36*ms + 200*ms - 72*ms, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, trace := stats.WithTrace(context.Background())
				tc.run(newRecorder(t, stats.Options{}).Observer(), ctx)
				if s := trace.Finish(); s.CacheTime != tc.cache || s.LoadTime != tc.load {
					t.Errorf("cache %v, load %v; want %v, %v", s.CacheTime, s.LoadTime, tc.cache, tc.load)
				}
			})
		})
	}
}

func TestTraceIsBounded(t *testing.T) {
	o := newRecorder(t, stats.Options{}).Observer()
	ctx, trace := stats.WithTrace(context.Background())
	for range stats.MaxSteps + 10 {
		o.Call(ctx, hit("k"))
	}
	s := trace.Summary()
	if s.Hits != stats.MaxSteps+10 || s.Dropped != 10 || len(trace.Steps()) != stats.MaxSteps {
		t.Errorf("%d steps, %+v", len(trace.Steps()), s)
	}
}

func TestTraceFinishesWhileEventsArrive(t *testing.T) {
	o := newRecorder(t, stats.Options{}).Observer()
	ctx, trace := stats.WithTrace(context.Background())
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				o.Call(ctx, hit("k"))
				o.Load(ctx, event.Load{Took: 1})
				o.Bypass(ctx, event.Bypass{})
			}
		})
	}
	for trace.Summary().Hits < 100 { // some are there when it finishes
	}
	sum, steps := trace.Finish(), trace.Steps()
	wg.Wait()
	if again := trace.Summary(); again != sum || !reflect.DeepEqual(trace.Steps(), steps) {
		t.Errorf("the trace changed after it was finished:\n%+v\n%+v", sum, again)
	}
}

func TestInnerTraceTakesTheEvents(t *testing.T) {
	o := newRecorder(t, stats.Options{}).Observer()
	outer, a := stats.WithTrace(context.Background())
	inner, b := stats.WithTrace(outer)
	o.Call(inner, hit("k"))
	if a.Summary().Hits != 0 || b.Summary().Hits != 1 {
		t.Errorf("outer %+v, inner %+v", a.Summary(), b.Summary())
	}
}

func TestNoTraces(t *testing.T) {
	ctx, trace := stats.WithTrace(context.Background())
	r := newRecorder(t, stats.Options{NoTraces: true})
	r.Observer().Call(ctx, hit("k"))
	r.Observer().Bypass(ctx, event.Bypass{})
	if s := trace.Summary(); s != (stats.Summary{}) {
		t.Errorf("%+v", s)
	}
	if r.Snapshot().Total().Lookups.Hits != 1 {
		t.Error("not counted")
	}
}

func TestNilTrace(t *testing.T) {
	trace := stats.FromContext(context.Background())
	if trace != nil || trace.Steps() != nil || trace.Summary() != (stats.Summary{}) || trace.Finish() != (stats.Summary{}) {
		t.Error("a nil trace is not empty")
	}
}

func TestServerTiming(t *testing.T) {
	for _, tc := range []struct {
		name string
		sum  stats.Summary
		want string
	}{
		{"nothing", stats.Summary{}, ``},
		{"untimed hit", stats.Summary{Hits: 1}, `cache;desc="1 hit"`},
		{"hit of the first tier", stats.Summary{Hits: 1, L1Hits: 1}, `cache;desc="1 hit"`},
		{
			"hits, a miss and its load",
			stats.Summary{Hits: 3, Misses: 1, Loads: 1, CacheTime: 1200 * time.Microsecond, LoadTime: 20100 * time.Microsecond},
			`cache;desc="3 hits, 1 miss";dur=1.2, load;desc="1 load";dur=20.1`,
		},
		{"below a microsecond", stats.Summary{Hits: 2, CacheTime: 300}, `cache;desc="2 hits"`},
		{
			"everything",
			stats.Summary{
				Hits: 3, L1Hits: 1, L2Hits: 1, L3Hits: 1, Negative: 2, Stale: 1, Misses: 2, Errors: 2, Rejected: 1,
				Filtered: 1, Fallback: 2, Coalesced: 1, Writes: 1, Loads: 2, LoadErrors: 1, Overload: 1, Refreshes: 2,
				StoreErrors: 1, Bypassed: 1, CacheTime: time.Second, LoadTime: 1234567,
			},
			`cache;desc="3 hits, 1 from L2, 1 from L3, 2 negative hits, 1 stale hit, 2 misses, 2 errors, 1 rejected, ` +
				`1 filtered, 2 fallbacks, 1 write, 1 bypass, 1 store error";dur=1000, ` +
				`load;desc="2 loads, 1 failed, 1 shared, 1 refused, 2 refreshes";dur=1.235`,
		},
		{"only a load", stats.Summary{Loads: 1, LoadTime: time.Millisecond}, `load;desc="1 load";dur=1`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.sum.ServerTiming(); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}
