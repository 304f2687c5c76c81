package asynqrefresh

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// abandon makes a job active that nobody works on, and returns its id.
func abandon(t *testing.T, q *Queue, client redis.UniversalClient) string {
	t.Helper()
	prefix, ctx := "asynq:{"+q.opts.Queue+"}:", t.Context()
	id := client.RPopLPush(ctx, prefix+"pending", prefix+"active").Val()
	if id == "" {
		t.Fatal("no job waits")
	}
	client.HSet(ctx, prefix+"t:"+id, "state", "active")
	client.ZAdd(ctx, prefix+"lease", redis.Z{Score: float64(time.Now().Add(30 * time.Second).Unix()), Member: id})
	return id
}

// age makes all that w has seen older than HandOn.
func (w *watch) age() {
	for _, leases := range w.seen {
		for id, l := range leases {
			l.since = l.since.Add(-w.q.opts.HandOn)
			leases[id] = l
		}
	}
}

func look(t *testing.T, w *watch) {
	t.Helper()
	for name := range w.seen {
		if err := w.look(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAbandonedJobIsHandedOnUntilItIsDropped(t *testing.T) {
	var log lines
	q, client := open(t, Options{MaxRetry: 1, Logger: log.logger()})
	prefix, ctx := "asynq:{"+q.opts.Queue+"}:", t.Context()
	enqueue(t, q, "x", "1", 0)
	id := abandon(t, q, client)
	enqueue(t, q, "x", "2", 0)

	w, other := newWatch(q), newWatch(q)
	look(t, w)
	look(t, w)
	if n := client.LLen(ctx, prefix+"active").Val(); n != 1 {
		t.Fatal("a lease that was just seen is no longer held")
	}
	look(t, other)
	w.age()
	other.age()
	look(t, w)
	look(t, other) // comes too late
	if ids := client.LRange(ctx, prefix+"pending", 0, -1).Val(); len(ids) != 2 || ids[1] != id {
		t.Fatalf("%v wait, want two, and %s first", ids, id)
	}
	if n := client.Exists(ctx, prefix+"active", prefix+"lease").Val(); n != 0 {
		t.Error("it is still active")
	}

	if again := abandon(t, q, client); again != id {
		t.Fatalf("%s runs, want %s", again, id)
	}
	look(t, w)
	w.age()
	look(t, w)
	if n := client.Exists(ctx, prefix+"active", prefix+"lease", prefix+"t:"+id).Val(); n != 0 {
		t.Error("the second time it is not dropped")
	}
	if queued, err := q.Enqueue(ctx, "x", "1", 0, 0, 0); queued || err != nil {
		t.Errorf("the next one is taken at once: %v, %v", queued, err)
	}
}

func TestMovingLeaseIsLeftAlone(t *testing.T) {
	q, client := open(t, Options{})
	prefix, ctx := "asynq:{"+q.opts.Queue+"}:", t.Context()
	enqueue(t, q, "x", "", 0)
	id := abandon(t, q, client)
	w := newWatch(q)
	look(t, w)
	w.age()
	client.ZIncrBy(ctx, prefix+"lease", 5, id)
	look(t, w)
	if n := client.LLen(ctx, prefix+"active").Val(); n != 1 {
		t.Error("a job with a live worker is handed on")
	}
	// The lease moves between the look and the script.
	leases := client.ZRangeWithScores(ctx, prefix+"lease", 0, -1).Val()
	client.ZIncrBy(ctx, prefix+"lease", 5, id)
	keys := []string{prefix + "lease", prefix + "active", prefix + "pending", prefix + "t:" + id}
	if did, err := handOn.Run(ctx, client, keys, id, int64(leases[0].Score), 1).Int(); did != 0 || err != nil {
		t.Errorf("handed on by an old lease: %d, %v", did, err)
	}
}

func TestUnreachableServerIsLoggedOnce(t *testing.T) {
	var log lines
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1})
	defer client.Close()
	q, err := New(Options{Client: client, Logger: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	w := newWatch(q)
	for range 3 {
		w.note(context.Background(), w.look(context.Background(), q.opts.Queue))
	}
	if n := strings.Count(log.String(), "\n"); n != 1 {
		t.Errorf("%d lines:\n%s", n, &log)
	}
}
