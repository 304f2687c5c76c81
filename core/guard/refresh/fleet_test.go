package refresh

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
)

// fleet keeps one job of each name and argument until it is emptied, or is out of reach.
type fleet struct {
	mu    sync.Mutex
	calls int
	jobs  map[[2]string]store.Priority
	err   error
}

func (f *fleet) Enqueue(_ context.Context, name, arg string, _, _ time.Duration, p store.Priority) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	if f.err != nil {
		return false, f.err
	}
	if _, is := f.jobs[[2]string{name, arg}]; is {
		return false, nil
	}
	if f.jobs == nil {
		f.jobs = map[[2]string]store.Priority{}
	}
	f.jobs[[2]string{name, arg}] = p
	return true, nil
}

func TestNamedJobsGoToTheFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := new(fleet)
		q, j := open(t, Options{Fleet: f})
		job := Job{Key: "user:42", Name: "user", Arg: "42", Priority: store.PriorityCritical}
		for i := range 100 {
			want := Duplicate
			if i == 0 {
				want = Queued
			}
			if got := q.Submit(job); got != want {
				t.Fatalf("submission %d: %v", i, got)
			}
			synctest.Wait()
		}
		if f.calls != 1 || f.jobs[[2]string{"user", "42"}] != store.PriorityCritical {
			t.Errorf("%d calls, jobs %v", f.calls, f.jobs)
		}
		<-time.After(handOver)
		q.Submit(job)
		synctest.Wait()
		if states, _ := j.of(job.Key); f.calls != 2 || states[len(states)-1] != event.RefreshDuplicate {
			t.Errorf("%d calls after the pause, the last ended as %v", f.calls, states[len(states)-1])
		}
		if !q.Allowed(job.Key, time.Now()) {
			t.Error("a handed key counts as failed")
		}
	})
}

func TestJobsRunHereWhileTheFleetIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fleet{err: errors.New("no route")}
		q, j := open(t, Options{Fleet: f})
		ran := false
		q.Submit(Job{Key: "here", Name: "user", Arg: "1", Run: func(context.Context) error { ran = true; return nil }})
		q.Submit(Job{Key: "nowhere", Name: "user", Arg: "2"})
		synctest.Wait()
		if states, err := j.of("here"); !ran || states[len(states)-1] != event.RefreshDone || err != nil {
			t.Errorf("with a Run: ran %v, %v, %v", ran, states, err)
		}
		if states, err := j.of("nowhere"); !slices.Contains(states, event.RefreshFailed) || !errors.Is(err, f.err) || q.Wanted("nowhere") {
			t.Errorf("without: %v, %v, wanted again %v", states, err, q.Wanted("nowhere"))
		}
	})
}
