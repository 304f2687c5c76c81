package refresh

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/guard/flight"
)

// work runs jobs until none waits. A job that calls runtime.Goexit takes the goroutine with it: another
// goes on.
func (q *Queue) work() {
	finished := false
	defer func() {
		if !finished {
			go q.work()
		}
	}()
	for {
		q.mu.Lock()
		it := q.waiting.pop()
		if it == nil {
			q.workers--
			if q.closed && q.workers == 0 {
				close(q.done)
			}
			finished = true
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
		q.do(it)
	}
}

// do runs one job and notes how it ended.
func (q *Queue) do(it *item) {
	start := time.Now()
	var (
		err      error
		handed   bool
		state    event.RefreshState
		returned bool
	)
	defer func() {
		if !returned {
			state, err = event.RefreshFailed, &flight.PanicError{Stack: debug.Stack()}
		}
		q.end(it, state, handed)
		q.report(&it.Job, state, time.Since(start), err)
	}()
	state, handed, err = q.run(&it.Job)
	returned = true
}

// run does the job, here or by handing it to the fleet.
func (q *Queue) run(job *Job) (state event.RefreshState, handed bool, err error) {
	ctx := q.ctx
	if job.Timeout > 0 {
		limited, cancel := context.WithTimeout(ctx, job.Timeout)
		defer cancel()
		ctx = limited
	}
	if q.travels(job) {
		queued, err := flight.Guard(ctx, func(ctx context.Context) (bool, error) {
			return q.opts.Fleet.Enqueue(ctx, job.Name, job.Arg, job.Unique, job.Timeout, job.Priority)
		})
		switch {
		case err == nil && queued:
			return event.RefreshDone, true, nil
		case err == nil:
			return event.RefreshDuplicate, true, nil
		case job.Run == nil:
			return event.RefreshFailed, false, err
		}
		// Better here than nowhere.
	}
	_, err = flight.Guard(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, job.Run(ctx) })
	switch {
	case err == nil:
		return event.RefreshDone, false, nil
	case errors.Is(err, ErrSkip):
		return event.RefreshSkipped, false, nil
	default:
		return event.RefreshFailed, false, err
	}
}

// end takes the job's key out of the way.
func (q *Queue) end(it *item, state event.RefreshState, handed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.busy, it.Key)
	switch {
	case handed:
		q.paused.hand(it.Key, time.Now(), handOver)
	case state == event.RefreshDone:
		q.paused.forget(it.Key)
	case state == event.RefreshFailed:
		q.paused.fail(it.Key, time.Now())
	}
}

func (q *Queue) travels(job *Job) bool { return q.opts.Fleet != nil && job.Name != "" }
