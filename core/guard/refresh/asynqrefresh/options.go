package asynqrefresh

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// Defaults and limits of Options.
const (
	// DefaultQueue is the name of the queue on the server.
	DefaultQueue = "strata"
	// DefaultConcurrency is how many jobs a worker process runs at once.
	DefaultConcurrency = 8
	// DefaultMaxRetry is how often a job that fails is tried again.
	DefaultMaxRetry = 1
	// MaxMaxRetry is the largest MaxRetry.
	MaxMaxRetry = 3
	// DefaultTimeout is how long a run may take.
	DefaultTimeout = 30 * time.Second
	// DefaultUnique is for how long a job keeps others like it out.
	DefaultUnique = time.Minute
	// DefaultPoll is the pause of an idle worker.
	DefaultPoll = time.Second
	// DefaultHandOn is how long a job's lease may stand still.
	DefaultHandOn = 12 * time.Second
	// DefaultShutdownTimeout is how long Run lets jobs finish.
	DefaultShutdownTimeout = 10 * time.Second
	// MaxArg is the longest argument in bytes.
	MaxArg = 4096
)

const (
	// maxName is the longest name of a refresher in bytes, maxQueue that of a queue.
	maxName, maxQueue = 256, 64
	// minHandOn leaves time for two of asynq's heartbeats.
	minHandOn = 11 * time.Second
	// retryDelay is the pause before the first retry; each further one doubles it.
	retryDelay = time.Second
	// pollsPerForward is in how many polls the due retries are moved to the queue once.
	pollsPerForward = 5
)

// Options configure a Queue. Redis or Client must be set; the zero value of everything else is the default.
type Options struct {
	// Redis says how to reach the server. The queue makes its own client from it, and closes it.
	Redis asynq.RedisConnOpt
	// Client is used instead of Redis, and stays open.
	Client redis.UniversalClient
	// Queue is the name of the queue on the server, which all processes must agree on; three queues of asynq
	// begin with it. At most 64 bytes, no braces and no control characters. Empty means DefaultQueue.
	Queue string
	// Concurrency is how many jobs Run runs at once. Zero means DefaultConcurrency.
	Concurrency int
	// MaxRetry is how often a job that fails is tried again, and as often one whose worker died. At most
	// MaxMaxRetry. Zero means DefaultMaxRetry, negative means never.
	MaxRetry int
	// Timeout is how long a run may take whose job names none, in seconds, rounded up. Zero means
	// DefaultTimeout.
	Timeout time.Duration
	// Unique is for how long a job that names no time keeps others like it out, in seconds, rounded up. It is
	// never less than the timeout. Zero means DefaultUnique.
	Unique time.Duration
	// Retention is for how long the server keeps completed jobs for inspection. Zero means not at all.
	Retention time.Duration
	// Poll is how long an idle worker pauses, half as much and half as much again at random. Zero means
	// DefaultPoll. See the package documentation for what it costs.
	Poll time.Duration
	// HandOn is how long nobody must have shown a sign of working on a job until another worker gets it. At
	// least 11 seconds. Zero means DefaultHandOn, negative leaves it to asynq.
	HandOn time.Duration
	// ShutdownTimeout is how long Run lets jobs finish when its context has ended. Then it gives them back,
	// and cancels their contexts. Zero means DefaultShutdownTimeout.
	ShutdownTimeout time.Duration
	// Logger hears of jobs that fail, of jobs that are handed on, and asynq's own warnings. Nil is silent.
	Logger *slog.Logger
}

func (o Options) withDefaults() (Options, error) {
	if o.Queue == "" {
		o.Queue = DefaultQueue
	}
	if err := checkName("Queue", o.Queue, maxQueue); err != nil {
		return o, err
	}
	if strings.ContainsAny(o.Queue, "{}") {
		return o, errors.New("asynqrefresh: Queue holds a brace") // its keys have a hash tag of their own
	}
	if (o.Redis == nil) == (o.Client == nil) {
		return o, errors.New("asynqrefresh: either Redis or Client must be set")
	}
	o.Concurrency = or(o.Concurrency, DefaultConcurrency)
	o.MaxRetry = max(or(o.MaxRetry, DefaultMaxRetry), 0)
	o.Timeout = or(o.Timeout, DefaultTimeout)
	o.Unique = or(o.Unique, DefaultUnique)
	o.Poll = or(o.Poll, DefaultPoll)
	o.HandOn = or(o.HandOn, DefaultHandOn)
	o.ShutdownTimeout = or(o.ShutdownTimeout, DefaultShutdownTimeout)
	switch {
	case o.Concurrency < 0:
		return o, fmt.Errorf("asynqrefresh: Concurrency %d", o.Concurrency)
	case o.MaxRetry > MaxMaxRetry:
		return o, fmt.Errorf("asynqrefresh: MaxRetry %d, the limit is %d", o.MaxRetry, MaxMaxRetry)
	case o.Timeout < 0, o.Unique < 0, o.Retention < 0, o.Poll < 0, o.ShutdownTimeout < 0:
		return o, errors.New("asynqrefresh: a negative duration")
	case o.HandOn > 0 && o.HandOn < minHandOn:
		return o, fmt.Errorf("asynqrefresh: HandOn %v, the shortest is %v", o.HandOn, minHandOn)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

func or[T comparable](v, byDefault T) T {
	var zero T
	if v == zero {
		return byDefault
	}
	return v
}

func checkName(what, name string, limit int) error {
	switch {
	case strings.TrimSpace(name) == "":
		return fmt.Errorf("asynqrefresh: %s is empty", what)
	case len(name) > limit:
		return fmt.Errorf("asynqrefresh: %s of %d bytes, the limit is %d", what, len(name), limit)
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("asynqrefresh: %s holds a control character", what)
	}
	return nil
}

// seconds rounds up: asynq cuts off what is less than one, and takes 0 for none.
func seconds(d time.Duration) time.Duration {
	return max((d + time.Second - 1).Truncate(time.Second), time.Second)
}
