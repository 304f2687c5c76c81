package refresh

import (
	"context"
	"sync"
	"time"

	"github.com/strata-cache/strata/core/event"
)

// Queue runs refreshes in the background. Make it with New, and Close it. It is safe for concurrent use.
type Queue struct {
	opts   Options
	ctx    context.Context // of the jobs
	cancel context.CancelFunc
	done   chan struct{} // closed when the queue is closed and the last worker has ended

	mu      sync.Mutex
	closed  bool
	workers int
	busy    map[string]struct{} // the keys that are queued or running
	waiting lines
	paused  *pauses
}

// New returns an empty queue. It starts no goroutine.
func New(opts Options) (*Queue, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	q := &Queue{
		opts:   opts,
		done:   make(chan struct{}),
		busy:   make(map[string]struct{}),
		paused: newPauses(opts.BackOff, opts.BackOffMax, maxPauses),
	}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	return q, nil
}

// Submit queues a job, unless one for its key is on its way, or has failed a short time ago. It does not
// wait for anything.
func (q *Queue) Submit(job Job) Result {
	if job.Key == "" || job.Run == nil && !q.travels(&job) {
		q.report(&job, event.RefreshDropped, 0, ErrNoWork)
		return Dropped
	}
	// What is refused is decided before the job moves to the heap.
	q.mu.Lock()
	switch result := q.admit(job.Key); result {
	case Queued:
	case Duplicate:
		q.mu.Unlock()
		q.report(&job, event.RefreshDuplicate, 0, nil)
		return result
	case Dropped:
		q.mu.Unlock()
		q.report(&job, event.RefreshDropped, 0, ErrClosed)
		return result
	default:
		q.mu.Unlock()
		q.report(&job, event.RefreshSkipped, 0, nil)
		return result
	}
	var dropped *item
	if q.waiting.n >= q.opts.Capacity {
		if dropped = q.waiting.shed(rank(job.Priority)); dropped == nil {
			q.mu.Unlock()
			q.report(&job, event.RefreshDropped, 0, ErrFull)
			return Dropped
		}
		delete(q.busy, dropped.Key)
	}
	q.busy[job.Key] = struct{}{}
	q.waiting.push(&item{Job: job})
	if q.workers < q.opts.Workers {
		q.workers++
		go q.work()
	}
	q.mu.Unlock()
	q.report(&job, event.RefreshQueued, 0, nil)
	if dropped != nil {
		q.report(&dropped.Job, event.RefreshDropped, 0, ErrFull)
	}
	return Queued
}

// admit returns what a job for key may expect, but for want of room. The lock is held.
func (q *Queue) admit(key string) Result {
	if q.closed {
		return Dropped
	}
	if _, is := q.busy[key]; is {
		return Duplicate
	}
	if len(q.paused.keys) == 0 {
		return Queued
	}
	switch p := q.paused.of(key, time.Now()); {
	case p == nil:
		return Queued
	case p.handed:
		return Duplicate
	default:
		return BackingOff
	}
}

// Wanted reports whether a job for key would be taken, as far as the key goes. It spares the caller the
// making of one.
func (q *Queue) Wanted(key string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.admit(key) == Queued
}

// Allowed reports whether, at now, the last failure of key is long enough ago to try again.
func (q *Queue) Allowed(key string, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	p := q.paused.of(key, now)
	return p == nil || p.handed
}

// Failed notes a failure of key that happened elsewhere, such as in a foreground load. Failures of the
// queue's own jobs it has noted already.
func (q *Queue) Failed(key string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.paused.fail(key, time.Now())
}

// Succeeded forgets the failures of key, and that it was handed to the fleet.
func (q *Queue) Succeeded(key string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.paused.forget(key)
}

// Len returns how many jobs wait, and how many run.
func (q *Queue) Len() (waiting, running int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting.n, len(q.busy) - q.waiting.n
}

// Close stops the intake and waits until what is queued has run. When ctx ends first, the jobs' contexts
// are cancelled and those that have not started are dropped; Close then returns ctx's error, once the
// running ones have ended. It is idempotent, and every call waits.
func (q *Queue) Close(ctx context.Context) error {
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		if q.workers == 0 {
			close(q.done)
		}
	}
	q.mu.Unlock()
	defer q.cancel()
	select {
	case <-q.done:
		return nil
	default:
	}
	select {
	case <-q.done:
		return nil
	case <-ctx.Done():
	}
	q.cancel()
	q.discard()
	<-q.done
	return ctx.Err()
}

// discard drops what waits.
func (q *Queue) discard() {
	for {
		q.mu.Lock()
		it := q.waiting.pop()
		if it != nil {
			delete(q.busy, it.Key)
		}
		q.mu.Unlock()
		if it == nil {
			return
		}
		q.report(&it.Job, event.RefreshDropped, 0, ErrClosed)
	}
}

func (q *Queue) report(job *Job, state event.RefreshState, took time.Duration, err error) {
	if q.opts.Observer != nil {
		q.opts.Observer(event.Refresh{Kind: job.Kind, Key: job.Key, State: state, Took: took, Err: err})
	}
}
