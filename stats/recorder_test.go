package stats_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/stats"
)

func newRecorder(t testing.TB, opts stats.Options) *stats.Recorder {
	t.Helper()
	r, err := stats.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func hit(kind string) event.Call {
	return event.Call{Cache: "default", Kind: kind, Op: event.OpGet, Outcome: event.OutcomeHit}
}

func TestEveryEventIsCounted(t *testing.T) {
	r := newRecorder(t, stats.Options{})
	o, ctx := r.Observer(), context.Background()
	for outcome := range event.Outcome(11) { // two of them unknown
		for range outcome + 1 {
			o.Call(ctx, event.Call{Cache: "c", Kind: "k", Outcome: outcome})
		}
	}
	o.Call(ctx, event.Call{Cache: "c", Kind: "k", Hits: 5, Misses: 2, Outcome: event.OutcomeMiss, Took: time.Second})
	o.Call(ctx, event.Call{Cache: "c", Kind: "k", Outcome: event.OutcomeMiss, Coalesced: true})
	for tier, n := range map[int]int{-1: 1, 1: 1, 2: 2, 3: 4, 4: 8} {
		for range n {
			o.Call(ctx, event.Call{Cache: "c", Kind: "k", Outcome: event.OutcomeHit, Tier: tier})
		}
	}
	o.Call(ctx, event.Call{Cache: "c", Kind: "k", Outcome: event.OutcomeNegative, Tier: 2})
	o.Call(ctx, event.Call{Cache: "c", Kind: "k", Hits: 16, Misses: 1, Outcome: event.OutcomeHit, Tier: 2})
	for op := event.OpSet; op < 13; op++ { // two of them unknown
		o.Call(ctx, event.Call{Cache: "c", Kind: "k", Op: op})
		o.Call(ctx, event.Call{Cache: "c", Kind: "k", Op: op, Outcome: event.OutcomeMiss})
		o.Call(ctx, event.Call{Cache: "c", Kind: "k", Op: op, Outcome: event.OutcomeError})
		o.Call(ctx, event.Call{Cache: "c", Kind: "k", Op: op, Outcome: event.OutcomeRejected})
	}
	o.Call(ctx, event.Call{Cache: "c", Kind: "k", Op: event.OpDelete, Hits: 3, Misses: 4})
	o.Call(ctx, event.Call{Cache: "c", Kind: "k", Op: event.OpSet, Hits: 3, Misses: 4, Outcome: event.OutcomeError})
	for result := range event.LoadResult(9) { // two of them unknown
		o.Load(ctx, event.Load{Cache: "c", Kind: "k", Result: result, Took: time.Millisecond})
	}

	s := r.Snapshot()
	if len(s.Series) != 1 {
		t.Fatalf("series: %+v", s.Series)
	}
	got, once := s.Series[0].Counts, stats.Write{Done: 1, NoOp: 1, Failed: 2}
	want := stats.Counts{
		Lookups: stats.Lookups{
			Hits: 1 + 2 + 5 + 16 + 16, Negative: 3 + 1, Stale: 4, Misses: 5 + 2 + 1 + 1, Rejected: 6, Errors: 7,
			Filtered: 8, Fallback: 9, Unknown: 10 + 11, Tiers: stats.Tiers{L1: 1, L2: 2 + 16, L3: 4 + 8}, Coalesced: 1,
		},
		Writes: stats.Writes{
			Set: stats.Write{Done: 1 + 3, NoOp: 1, Failed: 2 + 4}, Add: once,
			Delete: stats.Write{Done: 1 + 3, NoOp: 1 + 4, Failed: 2},
			Touch:  once, Incr: once, Clear: once, Scan: once, Invalidate: once, Update: once, Lock: once,
			Unknown: stats.Write{Done: 2, NoOp: 2, Failed: 4},
		},
		Loads: stats.Loads{
			OK: 1, NotFound: 1, Error: 1, Panic: 1, Timeout: 1, Canceled: 1, Unknown: 2, Overload: 1,
			Time: 8 * time.Millisecond,
		},
	}
	if got != want {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	if got.Loads.Total() != 8 || got.Loads.Mean() != time.Millisecond {
		t.Errorf("loads: %d, %v", got.Loads.Total(), got.Loads.Mean())
	}
	if rate, want := got.Lookups.HitRate(), 48.0/(48+9+7+9+21); rate != want {
		t.Errorf("hit rate %v, want %v", rate, want)
	}
	if rate := (stats.Lookups{}).HitRate(); rate != 0 {
		t.Errorf("hit rate of nothing: %v", rate)
	}
}

func TestRareEventsAreCountedByTheirLabels(t *testing.T) {
	r := newRecorder(t, stats.Options{})
	feedRareEvents(r.Observer())
	want := []stats.Tally{
		{Event: "breaker", Cache: "c", State: "closed", Count: 1},
		{Event: "breaker", Cache: "c", State: "open", Count: 2},
		{Event: "bypass", Cache: "c", Reason: "cookie", Count: 1},
		{Event: "bypass", Cache: "c", Reason: "method", Count: 1},
		{Event: "corrupt", Cache: "c", Kind: "k", Count: 1},
		{Event: "evict", Store: "memory", Priority: "low", Count: 2, Bytes: 300},
		{Event: "filter", Filter: "ids", State: "checked", Count: 1},
		{Event: "filter", Filter: "ids", State: "ready", Count: 2},
		{Event: "log", Cache: "c", State: "blind", Count: 1},
		{Event: "log", Cache: "c", State: "synced", Count: 1},
		{Event: "refresh", Cache: "c", Kind: "k", State: "done", Count: 1},
		{Event: "refresh", Cache: "c", Kind: "k", State: "queued", Count: 2},
		{Event: "refused", Cache: "c", Kind: "k", Layer: "page", Reason: "tags", Count: 1},
		{Event: "rejected", Cache: "c", Kind: "k", Count: 1},
		{Event: "store-error", Cache: "c", Op: "set", Count: 1},
	}
	s := r.Snapshot()
	if !reflect.DeepEqual(s.Events, want) {
		t.Errorf("got\n%+v\nwant\n%+v", s.Events, want)
	}
	if n := s.Count(stats.EventBypass); n != 2 {
		t.Errorf("Count(bypass) = %d, want 2", n)
	}
}

func feedRareEvents(o *event.Observer) {
	ctx := context.Background()
	o.StoreError(ctx, event.StoreError{Cache: "c", Op: event.OpSet, Err: errors.New("down")})
	o.Corrupt(ctx, event.Corrupt{Cache: "c", Kind: "k", Key: "secret"})
	o.Rejected(ctx, event.Rejected{Cache: "c", Kind: "k"})
	o.Refused(ctx, event.Refused{Cache: "c", Kind: "k", Layer: event.LayerPage, Reason: "tags"})
	o.Bypass(ctx, event.Bypass{Cache: "c", Reason: "method"})
	o.Bypass(ctx, event.Bypass{Cache: "c", Reason: "cookie"})
	o.Evict(event.Evict{Store: "memory", Priority: "low", Size: 100})
	o.Evict(event.Evict{Store: "memory", Priority: "low", Size: 200})
	for _, state := range []event.RefreshState{event.RefreshQueued, event.RefreshQueued, event.RefreshDone} {
		o.Refresh(ctx, event.Refresh{Cache: "c", Kind: "k", Key: "secret", State: state})
	}
	o.Log(event.Log{Cache: "c", State: event.LogSynced})
	o.Log(event.Log{Cache: "c", State: event.LogBlind, Err: errors.New("down")})
	o.Filter(event.Filter{Name: "ids", State: event.FilterReady, Keys: 10, Capacity: 1000})
	o.Filter(event.Filter{Name: "ids", State: event.FilterReady, Keys: 20, Capacity: 1000})
	o.Filter(event.Filter{Name: "ids", State: event.FilterChecked, Keys: 20, Capacity: 1000, FalsePositives: 0.01})
	o.Breaker(event.Breaker{Cache: "c", Open: true})
	o.Breaker(event.Breaker{Cache: "c"})
	o.Breaker(event.Breaker{Cache: "c", Open: true})
}

func TestATimedHitStandsForItselfOnly(t *testing.T) {
	r := newRecorder(t, stats.Options{})
	o, ctx := r.Observer(), context.Background()
	for range event.TimedHits - 1 {
		o.Call(ctx, hit("k"))
	}
	timed := hit("k")
	timed.Took = 640 * time.Nanosecond
	o.Call(ctx, timed)
	o.Call(ctx, event.Call{Cache: "default", Kind: "k", Outcome: event.OutcomeMiss, Took: time.Second})
	waited := timed
	waited.Coalesced, waited.Took = true, time.Second // found by waiting for somebody's load
	o.Call(ctx, waited)

	l := r.Snapshot().Total().Lookups
	if l.Hits != event.TimedHits+1 || l.HitTime.Count != 1 || l.HitTime.Mean() != timed.Took {
		t.Errorf("hits %d, of which timed %+v", l.Hits, l.HitTime)
	}
	if l.OtherTime.Count != 2 || l.OtherTime.Mean() != time.Second {
		t.Errorf("other time %+v", l.OtherTime)
	}
	if (stats.Timing{}).Mean() != 0 || (stats.Loads{}).Mean() != 0 {
		t.Error("the mean of nothing is not 0")
	}
}

func TestNothingIsLostUnderConcurrency(t *testing.T) {
	const goroutines, each = 16, 2000
	r := newRecorder(t, stats.Options{MaxSeries: 8})
	o := r.Observer()
	stop, reader := make(chan struct{}), make(chan struct{})
	go func() { // meanwhile the count never goes back
		defer close(reader)
		var last uint64
		for {
			n := r.Snapshot().Total().Lookups.Total()
			if n < last {
				t.Errorf("the count went from %d back to %d", last, n)
			}
			last = n
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			ctx := context.Background()
			for i := range each {
				// Names are made anew, so that their addresses differ; half of them do not fit.
				kind := fmt.Sprintf("kind%d", (g+i)%16)
				o.Call(ctx, hit(kind))
				o.Call(ctx, event.Call{Cache: "default", Kind: kind, Op: event.OpSet})
				o.Load(ctx, event.Load{Cache: "default", Kind: kind, Took: 1})
				o.Bypass(ctx, event.Bypass{Cache: "default", Reason: kind})
			}
		})
	}
	wg.Wait()
	close(stop)
	<-reader
	s, n := r.Snapshot(), uint64(goroutines*each)
	total := s.Total()
	if total.Lookups.Hits != n || total.Writes.Set.Done != n || total.Loads.OK != n || total.Loads.Time != time.Duration(n) {
		t.Errorf("of %d each: %+v", n, total)
	}
	if got := s.Count(stats.EventBypass); got != n {
		t.Errorf("%d of %d bypasses", got, n)
	}
	if len(s.Series) != 9 || len(s.Events) != 9 {
		t.Errorf("%d series and %d event labels, want 8 and the rest", len(s.Series), len(s.Events))
	}
}

func TestSeriesSeenFirstByMany(t *testing.T) {
	const goroutines, kinds = 8, 300
	r := newRecorder(t, stats.Options{})
	o := r.Observer()
	start := make(chan struct{})
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			<-start
			for i := range kinds {
				o.Call(context.Background(), hit(fmt.Sprint("kind", i)))
			}
		})
	}
	close(start)
	wg.Wait()
	for _, x := range r.Snapshot().Series {
		if x.Lookups.Hits != goroutines {
			t.Errorf("%s: %d hits, want %d", x.Kind, x.Lookups.Hits, goroutines)
		}
	}
}

func TestSeriesAreBounded(t *testing.T) {
	for _, tc := range []struct {
		name        string
		max, series int
	}{
		{"default", 0, stats.DefaultMaxSeries + 2},
		{"two", 2, 4},
		{"none", -1, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRecorder(t, stats.Options{MaxSeries: tc.max})
			o, ctx := r.Observer(), context.Background()
			const n = stats.DefaultMaxSeries + 100
			for i := range n {
				c := hit(fmt.Sprint("kind", i))
				o.Call(ctx, c)
				c.Layer = event.LayerPage
				o.Call(ctx, c)
				o.Refused(ctx, event.Refused{Cache: c.Cache, Kind: c.Kind, Reason: "r"})
			}
			s := r.Snapshot()
			if len(s.Series) != tc.series {
				t.Errorf("%d series, want %d", len(s.Series), tc.series)
			}
			if got := s.Total().Lookups.Hits; got != 2*n {
				t.Errorf("%d hits, want %d", got, 2*n)
			}
			var others []string
			for _, x := range s.Series {
				if x.Cache == stats.Other && x.Kind == stats.Other {
					others = append(others, x.Layer)
				} else if x.Lookups.Hits != 1 {
					t.Errorf("%d hits of %s in layer %s, want 1", x.Lookups.Hits, x.Kind, x.Layer)
				}
			}
			if want := []string{"object", "page"}; !reflect.DeepEqual(others, want) {
				t.Errorf("other series of layers %v, want %v", others, want)
			}
			if got := s.Count(stats.EventRefused); got != n {
				t.Errorf("%d refusals, want %d", got, n)
			}
		})
	}
	if _, err := stats.New(stats.Options{MaxSeries: stats.LimitMaxSeries + 1}); err == nil {
		t.Error("an unbounded number of series was accepted")
	}
}

func TestCountingDoesNotAllocate(t *testing.T) {
	r := newRecorder(t, stats.Options{})
	o, c := r.Observer(), hit("k")
	ctx := t.Context()
	for name, f := range map[string]func(){
		"hit":     func() { o.Call(ctx, c) },
		"write":   func() { o.Call(ctx, event.Call{Cache: "default", Kind: "k", Op: event.OpSet}) },
		"load":    func() { o.Load(ctx, event.Load{Cache: "default", Kind: "k"}) },
		"evict":   func() { o.Evict(event.Evict{Store: "memory", Priority: "low", Size: 1}) },
		"tier 2":  func() { o.Call(ctx, event.Call{Cache: "default", Kind: "k", Outcome: event.OutcomeHit, Tier: 2}) },
		"refresh": func() { o.Refresh(ctx, event.Refresh{Cache: "default", Kind: "k", State: event.RefreshDone}) },
		"other":   func() { o.Refused(ctx, event.Refused{Cache: "default", Kind: "k", Reason: "tags"}) },
	} {
		if n := testing.AllocsPerRun(1000, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
