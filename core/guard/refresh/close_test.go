package refresh

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-cache/strata/core/event"
)

func TestCloseDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, j := open(t, Options{Workers: 2})
		var ran atomic.Int32
		for i := range 10 {
			q.Submit(Job{Key: fmt.Sprint(i), Run: func(context.Context) error {
				<-time.After(time.Second)
				ran.Add(1)
				return nil
			}})
		}
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if err := q.Close(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if ran.Load() != 10 || time.Since(start) != 5*time.Second {
			t.Errorf("%d ran in %v, want 10 in 5 s", ran.Load(), time.Since(start))
		}
		if got := q.Submit(Job{Key: "late", Run: ok}); got != Dropped {
			t.Errorf("a late job is %v", got)
		}
		if _, err := j.of("late"); !errors.Is(err, ErrClosed) {
			t.Errorf("reported %v", err)
		}
		if err := q.Close(t.Context()); err != nil {
			t.Errorf("once more: %v", err)
		}
	})
}

func TestCloseCancelsAtItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, j := open(t, Options{Workers: 1})
		ended := false
		q.Submit(Job{Key: "running", Run: func(ctx context.Context) error {
			<-ctx.Done()
			<-time.After(time.Second) // it tidies up
			ended = true
			return ctx.Err()
		}})
		q.Submit(Job{Key: "waiting", Run: ok})
		synctest.Wait()
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if err := q.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close: %v", err)
		}
		if took := time.Since(start); took != 4*time.Second || !ended {
			t.Errorf("Close took %v, the job has ended: %v", took, ended)
		}
		if states, err := j.of("waiting"); states[len(states)-1] != event.RefreshDropped || !errors.Is(err, ErrClosed) {
			t.Errorf("the waiting job: %v, %v", states, err)
		}
	})
}

func TestCloseOfAnIdleQueue(t *testing.T) {
	q, _ := open(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := q.Close(ctx); err != nil {
		t.Errorf("nothing ran, and Close says %v", err)
	}
}
