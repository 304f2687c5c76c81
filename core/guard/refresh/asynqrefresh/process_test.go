package asynqrefresh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/strata-cache/strata/core/guard/refresh"
	"github.com/strata-cache/strata/core/store"
)

// roles are what this binary does in another process, given a server's address and a queue's name. They
// speak by lines on standard output.
var roles = map[string]func(addr, queue string) error{"web": web, "worker": workerRole}

// web is a process that serves 50 soft hits on one key.
func web(addr, queue string) error {
	fleet, err := New(Options{Redis: asynq.RedisClientOpt{Addr: addr}, Queue: queue})
	if err != nil {
		return err
	}
	ctx := context.Background()
	direct := 0 // half of the hits without the queue in the process, which would keep most from the server
	for range 25 {
		queued, err := fleet.Enqueue(ctx, "product", "42", 0, 0, store.PriorityNormal)
		if err != nil {
			return err
		}
		if queued {
			direct++
		}
	}
	local, err := refresh.New(refresh.Options{Fleet: fleet})
	if err != nil {
		return err
	}
	for range 25 {
		local.Submit(refresh.Job{Key: "product:42", Name: "product", Arg: "42"})
	}
	fmt.Println(direct)
	return errors.Join(local.Close(ctx), fleet.Close())
}

// workerRole is a process that refreshes, until it is killed. A job waits for the key "release".
func workerRole(addr, queue string) error {
	client := redis.NewClient(&redis.Options{Addr: addr})
	q, err := New(Options{
		Redis: asynq.RedisClientOpt{Addr: addr}, Queue: queue, Poll: fast,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		return err
	}
	err = q.Register("product", func(ctx context.Context, arg string) error {
		fmt.Println("begun", arg)
		if _, err := client.BLMove(ctx, queue+":release", queue+":released", "left", "right", 0).Result(); err != nil {
			return err
		}
		return client.RPush(ctx, queue+":made", fmt.Sprintf("%s by %d", arg, os.Getpid())).Err()
	})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	return q.Run(context.Background())
}

func TestSoftHitsOfTwoProcessesAreOneJobOfAThird(t *testing.T) {
	q, client := open(t, Options{})
	addr, name, ctx := shared.Redis(t).Addr, q.opts.Queue, t.Context()
	webs := []*process{start(t, "web", addr, name), start(t, "web", addr, name)}
	queued := ""
	for _, w := range webs {
		queued += w.line()
		receive(t, "the web process ends", w.ended)
		if code := w.cmd.ProcessState.ExitCode(); code != 0 {
			t.Fatalf("exit status %d", code)
		}
	}
	if queued != "10" && queued != "01" {
		t.Errorf("queued %s, want once in one of the processes", queued)
	}
	if n := client.LLen(ctx, "asynq:{"+name+"}:pending").Val(); n != 1 {
		t.Fatalf("%d jobs wait after 100 soft hits", n)
	}
	worker := start(t, "worker", addr, name)
	if ready, begun := worker.line(), worker.line(); ready != "ready" || begun != "begun 42" {
		t.Fatal(ready, begun)
	}
	if again, err := q.Enqueue(ctx, "product", "42", 0, 0, store.PriorityNormal); again || err != nil {
		t.Errorf("a second one while it runs: %v, %v", again, err)
	}
	client.RPush(ctx, name+":release", "go")
	await(t, "the job ends", func() bool { return client.Exists(ctx, "asynq:{"+name+"}:active").Val() == 0 })
	want := fmt.Sprintf("[42 by %d]", worker.cmd.Process.Pid)
	if made := client.LRange(ctx, name+":made", 0, -1).Val(); fmt.Sprint(made) != want {
		t.Errorf("made %v, want %s", made, want)
	}
	if again, err := q.Enqueue(ctx, "product", "42", 0, 0, store.PriorityNormal); !again || err != nil {
		t.Errorf("the next one when it has run: %v, %v", again, err)
	}
}

func TestKilledWorkerCostsOneRetry(t *testing.T) {
	q, client := open(t, Options{})
	addr, name, ctx := shared.Redis(t).Addr, q.opts.Queue, t.Context()
	first := start(t, "worker", addr, name)
	first.line()
	if _, err := q.Enqueue(ctx, "product", "7", 0, 0, store.PriorityNormal); err != nil {
		t.Fatal(err)
	}
	if got := first.line(); got != "begun 7" {
		t.Fatal(got)
	}
	second := start(t, "worker", addr, name)
	second.line()
	first.kill()
	killed := time.Now()
	client.RPush(ctx, name+":release", "go", "go", "go") // one of them may go to the dead worker's connection
	if got := second.line(); got != "begun 7" {
		t.Fatal(got)
	}
	t.Logf("begun again %v after the death", time.Since(killed).Round(100*time.Millisecond))
	await(t, "the job ends", func() bool { return client.Exists(ctx, "asynq:{"+name+"}:active").Val() == 0 })
	want := fmt.Sprintf("[7 by %d]", second.cmd.Process.Pid)
	if made := client.LRange(ctx, name+":made", 0, -1).Val(); fmt.Sprint(made) != want {
		t.Errorf("made %v, want %s", made, want)
	}
	keys := client.Keys(ctx, "asynq:{"+name+"}:*").Val()
	for _, k := range keys {
		if strings.Contains(k, ":t:") || strings.Contains(k, ":unique:") || strings.HasSuffix(k, "retry") || strings.HasSuffix(k, "archived") {
			t.Errorf("%s is left", k)
		}
	}
}
