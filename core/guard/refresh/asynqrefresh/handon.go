package asynqrefresh

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
)

// looksPerHandOn is how often the leases are looked at while one must not move to count as abandoned.
const looksPerHandOn = 4

// handOn moves a job from the active ones to the head of its queue, as asynq's own shutdown does, provided
// that its lease is still the one that was seen; of several workers one succeeds. When the job was handed on
// often enough it is removed instead. Its lock stays then, and keeps the next one away until it ends.
//
// The keys are lease, active, pending and the job's hash; the arguments the id, the lease, and how often a
// job is handed on. The count is a field of ours in the hash, which goes with it.
var handOn = redis.NewScript(`
local lease = redis.call("ZSCORE", KEYS[1], ARGV[1])
if not lease or tonumber(lease) ~= tonumber(ARGV[2]) then return 0 end
if redis.call("LREM", KEYS[2], 0, ARGV[1]) == 0 then return 0 end
redis.call("ZREM", KEYS[1], ARGV[1])
if redis.call("HINCRBY", KEYS[4], "strata_handed_on", 1) > tonumber(ARGV[3]) then
  redis.call("DEL", KEYS[4])
  return 2
end
redis.call("HSET", KEYS[4], "state", "pending")
redis.call("RPUSH", KEYS[3], ARGV[1])
return 1`)

// watch finds the jobs whose workers have died: their leases, which asynq's heartbeat sets anew each 5
// seconds, stand still. It compares them with what they were, by this process's clock, so that it does not
// matter whether the clocks of the workers agree.
type watch struct {
	q       *Queue
	seen    map[string]map[string]lease // by queue and id
	failing bool
}

type lease struct {
	score float64
	since time.Time
}

func newWatch(q *Queue) *watch {
	w := &watch{q: q, seen: make(map[string]map[string]lease)}
	for name := range q.queues() {
		w.seen[name] = make(map[string]lease)
	}
	return w
}

func (w *watch) run(ctx context.Context) {
	tick := time.NewTicker(w.q.opts.HandOn / looksPerHandOn)
	defer tick.Stop()
	for {
		var failed error
		for name := range w.seen {
			failed = errors.Join(failed, w.look(ctx, name))
		}
		w.note(ctx, failed)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// note logs the first of several failures in a row.
func (w *watch) note(ctx context.Context, err error) {
	if err != nil && !w.failing && ctx.Err() == nil {
		w.q.opts.Logger.LogAttrs(ctx, slog.LevelWarn, "asynqrefresh: the leases cannot be read", slog.Any("error", err))
	}
	w.failing = err != nil
}

// look compares the leases of a queue with the last look.
func (w *watch) look(ctx context.Context, queue string) error {
	prefix := "asynq:{" + queue + "}:"
	leases, err := w.q.client.ZRangeWithScores(ctx, prefix+"lease", 0, -1).Result()
	if err != nil {
		clear(w.seen[queue]) // a server that was away may have kept the heartbeats away, too
		return err
	}
	now, before, after := time.Now(), w.seen[queue], make(map[string]lease, len(leases))
	w.seen[queue] = after
	for _, z := range leases {
		id, _ := z.Member.(string)
		l := lease{z.Score, now}
		if old, is := before[id]; is && old.score == z.Score {
			l = old
		}
		after[id] = l
		if now.Sub(l.since) < w.q.opts.HandOn {
			continue
		}
		keys := []string{prefix + "lease", prefix + "active", prefix + "pending", prefix + "t:" + id}
		did, err := handOn.Run(ctx, w.q.client, keys, id, int64(z.Score), w.q.opts.MaxRetry).Int()
		if err != nil {
			return err
		}
		w.tell(ctx, id, did)
	}
	return nil
}

func (w *watch) tell(ctx context.Context, id string, did int) {
	switch did {
	case 1:
		w.q.opts.Logger.LogAttrs(ctx, slog.LevelWarn, "asynqrefresh: a worker has vanished; its job is handed on", slog.String("task", id))
	case 2:
		w.q.opts.Logger.LogAttrs(ctx, slog.LevelError, "asynqrefresh: a job has outlived its workers too often and is dropped", slog.String("task", id))
	}
}
