package refresh

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/guard/flight"
	"github.com/strata-cache/strata/core/store"
)

func TestThousandSubmissionsOneRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, j := open(t, Options{})
		gate := make(chan struct{})
		var runs atomic.Int32
		var results [4]atomic.Int32
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				results[q.Submit(Job{Key: "hot", Run: func(ctx context.Context) error {
					runs.Add(1)
					return until(gate)(ctx)
				}})].Add(1)
			})
		}
		wg.Wait()
		synctest.Wait()
		if q.Wanted("hot") {
			t.Error("a key that is running is wanted")
		}
		close(gate)
		synctest.Wait()
		if runs.Load() != 1 || results[Queued].Load() != 1 || results[Duplicate].Load() != 999 {
			t.Errorf("%d runs, %d queued, %d duplicates", runs.Load(), results[Queued].Load(), results[Duplicate].Load())
		}
		if states, err := j.of("hot"); len(states) != 1001 || states[1000] != event.RefreshDone || err != nil {
			t.Errorf("%d events, the last %v, %v", len(states), states[len(states)-1], err)
		}
		if got := q.Submit(Job{Key: "hot", Run: ok}); got != Queued {
			t.Errorf("once it has run, the next one is %v", got)
		}
	})
}

func TestWorkersStartOnDemandAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := open(t, Options{Workers: 3})
		gate := make(chan struct{})
		before := runtime.NumGoroutine()
		for i := range 10 {
			q.Submit(Job{Key: fmt.Sprint(i), Run: until(gate)})
		}
		synctest.Wait()
		if n := runtime.NumGoroutine() - before; n != 3 {
			t.Errorf("%d goroutines for 3 workers", n)
		}
		if waiting, running := q.Len(); waiting != 7 || running != 3 {
			t.Errorf("%d wait, %d run; want 7 and 3", waiting, running)
		}
		close(gate)
		synctest.Wait()
		if n := runtime.NumGoroutine() - before; n != 0 {
			t.Errorf("%d goroutines of an idle queue", n)
		}
		if waiting, running := q.Len(); waiting != 0 || running != 0 {
			t.Errorf("%d wait, %d run", waiting, running)
		}
	})
}

func TestFullQueueDropsTheOldestOfTheLowest(t *testing.T) {
	const low, normal, important, critical = store.PriorityLow, store.PriorityNormal, store.PriorityImportant, store.PriorityCritical
	tests := []struct {
		name     string
		waiting  []store.Priority
		incoming store.Priority
		result   Result
		ran      string // by index, in order; 9 is the incoming one
	}{
		{"its own rank", []store.Priority{normal, normal, normal}, normal, Queued, "129"},
		{"a lower rank", []store.Priority{critical, low, normal, low}, critical, Queued, "0923"},
		{"default counts as normal", []store.Priority{normal, important}, store.PriorityDefault, Queued, "19"},
		{"nothing as low as it", []store.Priority{important, critical}, normal, Dropped, "10"},
		{"an unknown priority", []store.Priority{low}, 200, Queued, "9"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q, j := open(t, Options{Workers: 1, Capacity: len(tt.waiting)})
				gate := make(chan struct{})
				q.Submit(Job{Key: "gate", Run: until(gate)})
				synctest.Wait()
				ran := ""
				job := func(i int, p store.Priority) Job {
					return Job{Key: fmt.Sprint(i), Priority: p, Run: func(context.Context) error { ran += fmt.Sprint(i); return nil }}
				}
				for i, p := range tt.waiting {
					if got := q.Submit(job(i, p)); got != Queued {
						t.Fatalf("job %d: %v", i, got)
					}
				}
				if got := q.Submit(job(9, tt.incoming)); got != tt.result {
					t.Errorf("the incoming job: %v, want %v", got, tt.result)
				}
				close(gate)
				synctest.Wait()
				if ran != tt.ran {
					t.Errorf("ran %s, want %s", ran, tt.ran)
				}
				drops := 0
				for _, e := range j.events {
					if e.State == event.RefreshDropped {
						drops++
						if !errors.Is(e.Err, ErrFull) {
							t.Errorf("dropped with %v", e.Err)
						}
						if !q.Wanted(e.Key) {
							t.Error("a dropped key can not be submitted again")
						}
					}
				}
				if drops != 1 {
					t.Errorf("%d events of drops", drops)
				}
			})
		})
	}
}

func TestJobsThatEndBadlyKillNobody(t *testing.T) {
	boom := errors.New("boom")
	tests := []struct {
		name string
		run  func(context.Context) error
		want func(error) bool
	}{
		{"an error", func(context.Context) error { return boom }, func(err error) bool { return errors.Is(err, boom) }},
		{"a panic", func(context.Context) error { panic(boom) }, func(err error) bool { return errors.Is(err, boom) }},
		{"Goexit", func(context.Context) error { runtime.Goexit(); return nil }, func(err error) bool {
			var p *flight.PanicError
			return errors.As(err, &p) && p.Value == nil
		}},
		{"its timeout", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, func(err error) bool {
			return errors.Is(err, context.DeadlineExceeded)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q, j := open(t, Options{Workers: 1})
				q.Submit(Job{Key: "bad", Kind: "user", Timeout: time.Millisecond, Run: tt.run})
				q.Submit(Job{Key: "next", Run: ok})
				<-time.After(2 * time.Millisecond)
				synctest.Wait()
				states, err := j.of("bad")
				if !slices.Equal(states, []event.RefreshState{event.RefreshQueued, event.RefreshFailed}) || !tt.want(err) {
					t.Errorf("the bad job: %v, %v", states, err)
				}
				if states, _ := j.of("next"); states[len(states)-1] != event.RefreshDone {
					t.Errorf("the next one: %v", states)
				}
				if got := q.Submit(Job{Key: "bad", Run: ok}); got != BackingOff {
					t.Errorf("the bad key is %v at once", got)
				}
				if err := q.Close(t.Context()); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
		})
	}
}

func TestSkipIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, j := open(t, Options{})
		q.Submit(Job{Key: "k", Run: func(context.Context) error { return fmt.Errorf("somebody has the lease: %w", ErrSkip) }})
		synctest.Wait()
		if states, err := j.of("k"); states[len(states)-1] != event.RefreshSkipped || err != nil {
			t.Errorf("%v, %v", states, err)
		}
		if !q.Wanted("k") {
			t.Error("the key is left alone")
		}
	})
}

func TestJobsWithNothingToRun(t *testing.T) {
	q, j := open(t, Options{})
	for name, job := range map[string]Job{
		"no key": {Run: ok}, "no run": {Key: "k"}, "a name but no fleet": {Key: "k", Name: "user"},
	} {
		if got := q.Submit(job); got != Dropped {
			t.Errorf("%s: %v", name, got)
		}
	}
	if _, err := j.of("k"); !errors.Is(err, ErrNoWork) {
		t.Errorf("reported %v", err)
	}
}

func TestOptions(t *testing.T) {
	for name, opts := range map[string]Options{
		"workers": {Workers: -1}, "capacity": {Capacity: -1}, "longest": {BackOffMax: -1},
		"order": {BackOff: 2, BackOffMax: 1},
	} {
		if q, err := New(opts); err == nil || q != nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := New(Options{BackOff: time.Hour}); err != nil {
		t.Errorf("a base beyond the default maximum: %v", err)
	}
	if got := fmt.Sprint(Queued, Duplicate, Dropped, BackingOff, Result(9)); got != "queued duplicate dropped backing off unknown" {
		t.Error(got)
	}
}
