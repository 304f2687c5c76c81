package asynqrefresh

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/strata-cache/strata/core/guard/refresh"
	"github.com/strata-cache/strata/core/store"
)

var _ refresh.Fleet = (*Queue)(nil)

// ErrClosed is returned by the methods of a closed queue.
var ErrClosed = errors.New("asynqrefresh: the queue is closed")

// Queue is a process's end of the fleet's queue. Make it with New, and Close it. It is safe for concurrent
// use.
type Queue struct {
	opts   Options
	client redis.UniversalClient
	tasks  *asynq.Client

	mu         sync.Mutex
	refreshers map[string]func(context.Context, string) error
	closed     bool
	cancel     context.CancelFunc // of Run, while it runs
	ended      chan struct{}      // closed when Run has ended; nil while none runs
}

// New returns a queue. It does not ask the server anything, and starts no goroutine.
func New(opts Options) (*Queue, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	client := opts.Client
	if client == nil {
		made := opts.Redis.MakeRedisClient()
		var is bool
		if client, is = made.(redis.UniversalClient); !is {
			return nil, fmt.Errorf("asynqrefresh: Redis makes a %T, which is no go-redis client", made)
		}
	}
	return &Queue{
		opts: opts, client: client, tasks: asynq.NewClientFromRedisClient(client),
		refreshers: make(map[string]func(context.Context, string) error),
	}, nil
}

// The queues of asynq that one Queue is made of, and how often each comes first when all have jobs.
const (
	high, low                           = ":high", ":low"
	highWeight, normalWeight, lowWeight = 6, 3, 1
)

func (q *Queue) queues() map[string]int {
	return map[string]int{q.opts.Queue + high: highWeight, q.opts.Queue: normalWeight, q.opts.Queue + low: lowWeight}
}

func (q *Queue) queue(p store.Priority) string {
	switch p {
	case store.PriorityCritical, store.PriorityImportant:
		return q.opts.Queue + high
	case store.PriorityLow:
		return q.opts.Queue + low
	default:
		return q.opts.Queue
	}
}

// Enqueue has the refresher called name run with arg in one of the processes that Run, and reports false if
// one with both, and a priority of the same queue, waits or runs already. Critical and important jobs share
// a queue, normal and low ones have their own. name is at most 256 bytes, arg MaxArg. unique and timeout are rounded up
// to seconds, and unique is never less than timeout; zero means Options.Unique and Options.Timeout.
//
// It is one round trip, which lasts as long as the client lets it: ctx's deadline counts only where the
// client was made to heed it.
func (q *Queue) Enqueue(ctx context.Context, name, arg string, unique, timeout time.Duration, priority store.Priority) (queued bool, err error) {
	if err := checkName("the name of a refresher", name, maxName); err != nil {
		return false, err
	}
	if len(arg) > MaxArg {
		return false, fmt.Errorf("asynqrefresh: an argument of %d bytes, the limit is %d", len(arg), MaxArg)
	}
	if unique < 0 || timeout < 0 {
		return false, errors.New("asynqrefresh: a negative duration")
	}
	if q.isClosed() {
		return false, ErrClosed
	}
	timeout = seconds(or(timeout, q.opts.Timeout))
	unique = max(seconds(or(unique, q.opts.Unique)), timeout)
	_, err = q.tasks.EnqueueContext(ctx, asynq.NewTask(name, []byte(arg)),
		asynq.Queue(q.queue(priority)), asynq.Unique(unique), asynq.Timeout(timeout),
		asynq.MaxRetry(q.opts.MaxRetry), asynq.Retention(q.opts.Retention))
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, asynq.ErrDuplicateTask):
		return false, nil
	default:
		return false, fmt.Errorf("asynqrefresh: enqueue: %w", err)
	}
}

// Register makes fn the refresher called name: what Run runs for jobs of that name. It is called before Run.
// A name that is taken, or is no name, is an error. The errors of fn stay in this process, they are logged.
// fn must end when its context does.
func (q *Queue) Register(name string, fn func(ctx context.Context, arg string) error) error {
	if err := checkName("the name of a refresher", name, maxName); err != nil {
		return err
	}
	if fn == nil {
		return fmt.Errorf("asynqrefresh: refresher %q is nil", name)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return ErrClosed
	case q.ended != nil:
		return errors.New("asynqrefresh: Register while the queue runs")
	case q.refreshers[name] != nil:
		return fmt.Errorf("asynqrefresh: there is a refresher %q already", name)
	}
	q.refreshers[name] = fn
	return nil
}

// Close ends Run, and waits for it; then it closes the client, unless that was passed in. It is idempotent.
func (q *Queue) Close() error {
	q.mu.Lock()
	first := !q.closed
	q.closed = true
	ended := q.ended
	if ended != nil {
		q.cancel()
	}
	q.mu.Unlock()
	if ended != nil {
		<-ended
	}
	if !first || q.opts.Client != nil {
		return nil
	}
	return q.client.Close()
}

func (q *Queue) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}
