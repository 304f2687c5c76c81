package asynqrefresh

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/strata-cache/strata/core/guard/refresh"
	"github.com/strata-cache/strata/core/store"
)

func enqueue(t *testing.T, q *Queue, name, arg string, p store.Priority) {
	t.Helper()
	if queued, err := q.Enqueue(t.Context(), name, arg, 0, 0, p); !queued || err != nil {
		t.Fatalf("%s: queued %v, %v", name, queued, err)
	}
}

func TestPoisonEndsAndHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		run  func(context.Context) error
		runs int32
		log  string
	}{
		{"an error", func(context.Context) error { return errors.New("secret") }, 3, "error=secret"},
		{"a panic", func(context.Context) error { panic("boom") }, 3, "panicked: boom"},
		{"Goexit", func(context.Context) error { runtime.Goexit(); return nil }, 3, "called runtime.Goexit"},
		{"asynq.SkipRetry", func(context.Context) error { return asynq.SkipRetry }, 1, "skip retry"},
		{"unknown", nil, 0, "no refresher of that name"},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var log lines
			q, client := open(t, Options{Queue: fmt.Sprint("poison", i), Concurrency: 1, MaxRetry: 2, Logger: log.logger()})
			var runs atomic.Int32
			good := make(chan struct{})
			if tt.run != nil {
				if err := q.Register("bad", func(ctx context.Context, _ string) error { runs.Add(1); return tt.run(ctx) }); err != nil {
					t.Fatal(err)
				}
			}
			if err := q.Register("good", func(context.Context, string) error { close(good); return nil }); err != nil {
				t.Fatal(err)
			}
			enqueue(t, q, "bad", "the argument", 0)
			enqueue(t, q, "good", "", 0)
			work(t, q)
			receive(t, "the job behind runs", good)
			archived := "asynq:{" + q.opts.Queue + "}:archived"
			if client.ZCard(t.Context(), archived).Val() > 0 && tt.runs > 1 {
				t.Error("the job behind had to wait for the poison's end")
			}
			await(t, "the job is archived", func() bool { return client.ZCard(t.Context(), archived).Val() == 1 })
			if n := runs.Load(); n != tt.runs {
				t.Errorf("%d runs, want %d", n, tt.runs)
			}
			if !strings.Contains(log.String(), tt.log) || strings.Contains(log.String(), "the argument") {
				t.Errorf("the log:\n%s", &log)
			}
			id := client.ZRange(t.Context(), archived, 0, 0).Val()[0]
			if msg := client.HGet(t.Context(), "asynq:{"+q.opts.Queue+"}:t:"+id, "msg").Val(); strings.Contains(msg, "secret") {
				t.Error("the error's text is on the server")
			}
			if queued, err := q.Enqueue(t.Context(), "bad", "the argument", 0, 0, 0); queued || err != nil {
				t.Errorf("poison is taken again at once: %v, %v", queued, err)
			}
		})
	}
}

func TestTimeoutEndsARun(t *testing.T) {
	q, client := open(t, Options{MaxRetry: -1})
	ended := make(chan error, 1)
	if err := q.Register("slow", func(ctx context.Context, _ string) error { <-ctx.Done(); ended <- ctx.Err(); return ctx.Err() }); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Enqueue(t.Context(), "slow", "", 0, time.Millisecond, 0); err != nil { // counts as a second
		t.Fatal(err)
	}
	work(t, q)
	if err := receive(t, "the run ends", ended); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	await(t, "the job is archived", func() bool {
		return client.ZCard(t.Context(), "asynq:{"+q.opts.Queue+"}:archived").Val() == 1
	})
}

func TestSkipIsNoFailure(t *testing.T) {
	var log lines
	q, client := open(t, Options{Logger: log.logger()})
	if err := q.Register("skip", func(context.Context, string) error { return refresh.ErrSkip }); err != nil {
		t.Fatal(err)
	}
	enqueue(t, q, "skip", "", 0)
	work(t, q)
	await(t, "the job ends", func() bool { return client.Get(t.Context(), "asynq:{"+q.opts.Queue+"}:processed").Val() == "1" })
	if log.String() != "" || client.Exists(t.Context(), "asynq:{"+q.opts.Queue+"}:retry").Val() != 0 {
		t.Errorf("it counts as a failure: %s", &log)
	}
}

func TestPrioritiesHaveQueuesOfTheirOwn(t *testing.T) {
	q, client := open(t, Options{})
	for p, want := range map[store.Priority]string{
		store.PriorityCritical: ":high", store.PriorityImportant: ":high",
		store.PriorityNormal: "", store.PriorityDefault: "", store.PriorityLow: ":low",
	} {
		enqueue(t, q, "x", fmt.Sprint(uint8(p)), p)
		if n := client.LLen(t.Context(), "asynq:{"+q.opts.Queue+want+"}:pending").Val(); n == 0 {
			t.Errorf("%v is not in %q", p, want)
		}
	}
	ran := make(chan string, 5)
	if err := q.Register("x", func(_ context.Context, arg string) error { ran <- arg; return nil }); err != nil {
		t.Fatal(err)
	}
	work(t, q)
	for range 5 {
		receive(t, "a job of each runs", ran)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	q, client := open(t, Options{ShutdownTimeout: 10 * time.Millisecond})
	began, ended := make(chan struct{}), make(chan struct{})
	if err := q.Register("held", func(ctx context.Context, _ string) error {
		close(began)
		<-ctx.Done()
		<-time.After(100 * time.Millisecond) // it tidies up
		close(ended)
		return ctx.Err()
	}); err != nil {
		t.Fatal(err)
	}
	enqueue(t, q, "held", "", 0)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- q.Run(ctx) }()
	receive(t, "the job runs", began)
	if err := q.Run(t.Context()); err == nil {
		t.Error("it runs twice")
	}
	if err := q.Register("late", func(context.Context, string) error { return nil }); err == nil {
		t.Error("a refresher is taken while it runs")
	}
	cancel()
	if err := receive(t, "Run ends", done); err != nil {
		t.Error(err)
	}
	select {
	case <-ended:
	default:
		t.Error("Run has not waited for the job")
	}
	if n := client.LLen(t.Context(), "asynq:{"+q.opts.Queue+"}:pending").Val(); n != 1 {
		t.Errorf("%d jobs went back", n)
	}
}

func TestCloseEndsRun(t *testing.T) {
	q, _ := open(t, Options{})
	done := make(chan error, 1)
	go func() { done <- q.Run(context.Background()) }()
	await(t, "it runs", func() bool { q.mu.Lock(); defer q.mu.Unlock(); return q.ended != nil })
	for range 2 {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := receive(t, "Run ends", done); err != nil {
		t.Error(err)
	}
	_, err := q.Enqueue(t.Context(), "x", "", 0, 0, 0)
	for name, err := range map[string]error{
		"Run": q.Run(t.Context()), "Enqueue": err,
		"Register": q.Register("x", func(context.Context, string) error { return nil }),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAPassedClientStaysOpen(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: shared.Redis(t).Addr})
	defer client.Close()
	q, err := New(Options{Client: client, Queue: t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Error(err)
	}
}

type notRedis struct{}

func (notRedis) MakeRedisClient() any { return 1 }

func TestRefusals(t *testing.T) {
	at := asynq.RedisClientOpt{Addr: "127.0.0.1:1"}
	for name, opts := range map[string]Options{
		"no server": {}, "two": {Redis: at, Client: redis.NewClient(&redis.Options{})}, "no client": {Redis: notRedis{}},
		"queue": {Redis: at, Queue: "a}b"}, "blank": {Redis: at, Queue: " "}, "long": {Redis: at, Queue: strings.Repeat("a", 65)},
		"retries": {Redis: at, MaxRetry: 4}, "concurrency": {Redis: at, Concurrency: -1}, "poll": {Redis: at, Poll: -1},
		"hand on": {Redis: at, HandOn: time.Second},
	} {
		if q, err := New(opts); err == nil || q != nil || !strings.HasPrefix(err.Error(), "asynqrefresh: ") {
			t.Errorf("%s: %v", name, err)
		}
		if c, is := opts.Client.(*redis.Client); is {
			_ = c.Close()
		}
	}
	q, err := New(Options{Redis: at})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	for name, job := range map[string]struct {
		name, arg string
		unique    time.Duration
	}{"name": {"", "", 0}, "control": {"a\n", "", 0}, "long": {strings.Repeat("a", maxName+1), "", 0}, "arg": {"a", strings.Repeat("a", MaxArg+1), 0}, "unique": {"a", "", -1}} {
		if _, err := q.Enqueue(t.Context(), job.name, job.arg, job.unique, 0, 0); err == nil {
			t.Errorf("%s: enqueued", name)
		}
	}
	none := func(context.Context, string) error { return nil }
	if err := errors.Join(q.Register("a", none), q.Register("b", none)); err != nil {
		t.Error(err)
	}
	if q.Register("a", none) == nil || q.Register("", none) == nil || q.Register("c", nil) == nil {
		t.Error("a refresher that is no good is registered")
	}
	if _, err := q.Enqueue(t.Context(), "a", "", 0, 0, 0); err == nil || !strings.HasPrefix(err.Error(), "asynqrefresh: ") {
		t.Errorf("without a server: %v", err)
	}
}

func TestSeconds(t *testing.T) {
	for d, want := range map[time.Duration]time.Duration{
		1: time.Second, time.Second: time.Second, time.Second + 1: 2 * time.Second, time.Minute: time.Minute,
	} {
		if got := seconds(d); got != want {
			t.Errorf("%v: %v", d, got)
		}
	}
}
