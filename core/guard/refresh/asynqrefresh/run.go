package asynqrefresh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/hibiken/asynq"

	"github.com/strata-cache/strata/core/guard/flight"
	"github.com/strata-cache/strata/core/guard/refresh"
)

// errUnknown is how a job ends whose refresher is not registered here.
var errUnknown = errors.New("no refresher of that name is registered in this process")

// errShutdown is how a job ends that comes when the worker is leaving.
var errShutdown = errors.New("the worker is shutting down")

// failure is what asynq sees of an error, and writes to the server: not its text, which may hold what is
// none of other processes' business.
type failure struct{ cause error }

func (f failure) Error() string {
	return "asynqrefresh: the refresh has failed; the worker has logged why"
}
func (f failure) Unwrap() error { return f.cause }

// Run is a worker: it takes jobs and runs their refreshers until ctx ends, and returns nil when those that
// were running then have ended, too. What has not ended after Options.ShutdownTimeout goes back to the queue,
// and its context is cancelled. A server that cannot be reached is logged, and waited for. Run may be called
// again when it has returned, but not while it runs.
func (q *Queue) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan struct{})
	q.mu.Lock()
	switch {
	case q.closed:
		q.mu.Unlock()
		return ErrClosed
	case q.ended != nil:
		q.mu.Unlock()
		return errors.New("asynqrefresh: the queue runs already")
	}
	q.cancel, q.ended = cancel, ended
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		q.ended = nil
		q.mu.Unlock()
		close(ended)
	}()

	base, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	w := &worker{q: q, ctx: base}
	srv := asynq.NewServerFromRedisClient(q.client, w.config())
	if err := srv.Start(w); err != nil {
		return fmt.Errorf("asynqrefresh: start: %w", err)
	}
	var watching sync.WaitGroup
	if q.opts.HandOn > 0 {
		watching.Go(func() { newWatch(q).run(ctx) })
	}
	<-ctx.Done()
	srv.Shutdown()
	abort()
	w.leave()
	watching.Wait()
	return nil
}

// worker is one Run: the handler that asynq calls.
type worker struct {
	q   *Queue
	ctx context.Context // of the jobs

	mu      sync.Mutex
	leaving bool
	jobs    sync.WaitGroup
}

func (w *worker) config() asynq.Config {
	opts := w.q.opts
	cfg := asynq.Config{
		Concurrency:              opts.Concurrency,
		BaseContext:              func() context.Context { return w.ctx },
		TaskCheckInterval:        opts.Poll,
		DelayedTaskCheckInterval: pollsPerForward * opts.Poll,
		RetryDelayFunc:           func(n int, _ error, _ *asynq.Task) time.Duration { return retryDelay << min(n, MaxMaxRetry) },
		Queues:                   w.q.queues(),
		ErrorHandler:             asynq.ErrorHandlerFunc(w.failed),
		Logger:                   logger{opts.Logger},
		LogLevel:                 asynq.WarnLevel,
		ShutdownTimeout:          opts.ShutdownTimeout,
	}
	if opts.Retention == 0 {
		cfg.JanitorInterval = time.Minute // it sweeps what Retention kept, perhaps in another process
	}
	return cfg
}

// ProcessTask runs a job on a goroutine of its own, which it may end by runtime.Goexit.
func (w *worker) ProcessTask(ctx context.Context, task *asynq.Task) error {
	if !w.enter() {
		return failure{errShutdown}
	}
	fn := w.q.refreshers[task.Type()] // not written while it runs
	if fn == nil {
		w.jobs.Done()
		return failure{errUnknown}
	}
	result := make(chan error, 1)
	go func() {
		defer w.jobs.Done()
		var err error = &flight.PanicError{} // stays after Goexit
		defer func() { result <- err }()
		_, err = flight.Guard(ctx, func(ctx context.Context) (struct{}, error) {
			returned := false
			defer func() {
				if !returned {
					w.logStack(task.Type())
				}
			}()
			err := fn(ctx, string(task.Payload()))
			returned = true
			return struct{}{}, err
		})
	}()
	if err := <-result; err != nil && !errors.Is(err, refresh.ErrSkip) {
		return failure{err}
	}
	return nil
}

func (w *worker) enter() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.leaving {
		w.jobs.Add(1)
	}
	return !w.leaving
}

// leave waits for the jobs that asynq has given up: their contexts are cancelled.
func (w *worker) leave() {
	w.mu.Lock()
	w.leaving = true
	w.mu.Unlock()
	w.jobs.Wait()
}

// failed logs the end of a run that was no success.
func (w *worker) failed(ctx context.Context, task *asynq.Task, err error) {
	if f, ok := errors.AsType[failure](err); ok {
		err = f.cause
	}
	tries, _ := asynq.GetRetryCount(ctx)
	most, _ := asynq.GetMaxRetry(ctx)
	w.q.opts.Logger.LogAttrs(ctx, slog.LevelWarn, "asynqrefresh: a refresh has failed",
		slog.String("refresher", task.Type()), slog.Int("retries", tries), slog.Int("of", most), slog.Any("error", err))
}

func (w *worker) logStack(refresher string) {
	w.q.opts.Logger.LogAttrs(w.ctx, slog.LevelError, "asynqrefresh: a refresher did not return",
		slog.String("refresher", refresher), slog.String("stack", string(debug.Stack())))
}
