package cache_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/internal/testserver"
)

// relapse is a fleet whose server forgets what it was told. Its nodes have all values in both tiers before;
// after the invalidation "old" must not be read any more.
type relapse struct {
	*testing.T
	srv   *testserver.Server
	wire  *wire // of all but one
	admin *redis.Client
	a, b  *cache.Cache
	db    atomic.Value
	keys  []string

	away    *cache.Cache // cannot reach the server while it is told and forgets
	wayBack *wire

	mu     sync.Mutex
	states map[event.LogState]int
}

func newRelapse(t *testing.T) *relapse {
	t.Helper()
	r := &relapse{T: t, srv: testserver.Redis(t, "--repl-diskless-sync-delay", "0"), states: map[event.LogState]int{}, keys: []string{"deleted", "tagged", "cleared", "written"}}
	r.wire, r.wayBack, r.admin = wireTo(t, r.srv.Addr), wireTo(t, r.srv.Addr), adminOf(t, r.srv)
	r.db.Store("old")
	r.a, r.b, r.away = r.join(r.wire), r.join(r.wire), r.join(r.wayBack)
	for _, key := range r.keys {
		for _, c := range []*cache.Cache{r.a, r.b, r.away} {
			want(t, "old")(r.get(c, key))
		}
	}
	return r
}

// join returns a new node, in step with the log as it is.
func (r *relapse) join(w *wire) *cache.Cache {
	r.Helper()
	opts := patient()
	opts.Heartbeat = 200 * time.Millisecond
	opts.Observer = &event.Observer{Log: func(l event.Log) { r.mu.Lock(); defer r.mu.Unlock(); r.states[l.State]++ }}
	c := nodeAt(r, w.url(), opts)
	must(r, eventually(func() error { return cache.Set(ctx, c, "warm", "x") }))
	return c
}

func (r *relapse) view(c *cache.Cache, key string) *cache.Cache {
	if key == "cleared" {
		return c.WithVersion(2)
	}
	return c
}

func (r *relapse) get(c *cache.Cache, key string) (string, error) {
	return cache.Fetch(ctx, r.view(c, key), key, func(context.Context) (string, error) {
		return r.db.Load().(string), nil
	}, cache.Tags("tag of "+key))
}

// invalidate ends all values, each in its way, through node b.
func (r *relapse) invalidate() {
	r.Helper()
	r.wayBack.to(refuses)
	r.db.Store("new")
	_, err := r.b.Delete(ctx, "deleted")
	must(r, err)
	must(r, r.b.InvalidateTags(ctx, "tag of tagged"))
	must(r, r.view(r.b, "cleared").Clear(ctx))
	must(r, cache.Set(ctx, r.b, "written", "new", cache.Tags("tag of written")))
	for _, key := range r.keys { // both have applied it
		within(r, 5*time.Second, key+" is invalidated", func() bool { return r.peek(r.a, key) != "old" && r.peek(r.b, key) != "old" })
	}
}

// peek returns what there is, without a load.
func (r *relapse) peek(c *cache.Cache, key string) string {
	v, _ := cache.Get[string](ctx, r.view(c, key), key)
	return v
}

// tail is where the server's log ends.
func (r *relapse) tail() string {
	last, err := r.admin.XRevRangeN(ctx, logName, "+", "-", 1).Result()
	if err != nil || len(last) == 0 {
		return ""
	}
	return last[0].ID
}

// snapshot returns what puts the log and all values back as they are now.
func (r *relapse) snapshot() (restore func(without ...string)) {
	r.Helper()
	dumps := map[string]string{}
	for _, key := range r.admin.Keys(ctx, "*").Val() {
		dump, err := r.admin.Dump(ctx, key).Result()
		must(r, err)
		dumps[key] = dump
	}
	return func(without ...string) {
		r.Helper()
		pipe := r.admin.TxPipeline()
		for key, dump := range dumps {
			pipe.RestoreReplace(ctx, key, 0, dump)
		}
		if len(without) > 0 {
			pipe.Del(ctx, without...)
		}
		_, err := pipe.Exec(ctx)
		must(r, err)
	}
}

// never watches the nodes until the test calls what it returns: what they know to be invalid they never serve.
func (r *relapse) never() (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	for name, c := range map[string]*cache.Cache{"a": r.a, "b": r.b} {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				if key := r.keys[i%len(r.keys)]; r.peek(c, key) == "old" {
					r.Errorf("node %s serves what was invalidated under %q", name, key)
					return
				}
			}
		})
	}
	return sync.OnceFunc(func() { close(done); wg.Wait() })
}

// heals checks that the log goes on behind where it had been, and that then no node serves what was
// invalidated: neither one that knew it nor one that comes new.
func (r *relapse) heals(was string, early *cache.Cache) {
	r.Helper()
	within(r, 10*time.Second, "the log goes on behind "+was, func() bool { return later(r.tail(), was) })
	// Each of those that knew may have known a part of what was lost: it is whole when all have looked.
	for _, c := range []*cache.Cache{r.a, r.b, early} {
		must(r, eventually(func() error { return cache.Set(ctx, c, "in step", "x") }))
	}
	late := r.join(r.wire)
	r.wayBack.to(carries)
	must(r, eventually(func() error { return cache.Set(ctx, r.away, "in step", "x") }))
	for name, c := range map[string]*cache.Cache{
		"a": r.a, "b": r.b, "that was away": r.away, "that came at once": early, "that came later": late,
	} {
		for _, key := range r.keys {
			if v, err := r.get(c, key); v != "new" || err != nil {
				r.Errorf("the node %s serves %q under %q, %v", name, v, key, err)
			}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Logf("states: %v", r.states)
}

// later compares the ids of two records.
func later(a, b string) bool {
	var at, an, bt, bn uint64
	if _, err := fmt.Sscanf(strings.Replace(a, "-", " ", 1), "%d %d", &at, &an); err != nil {
		return false
	}
	_, _ = fmt.Sscanf(strings.Replace(b, "-", " ", 1), "%d %d", &bt, &bn)
	return at > bt || at == bt && an > bn
}

// TestALostLogServesNothingStale: what a server forgets, or remembers again, its nodes know better.
func TestALostLogServesNothingStale(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(r *relapse) (was string){
		"the log is deleted": func(r *relapse) string {
			r.invalidate()
			was := r.tail()
			r.Cleanup(r.never())
			must(r, r.admin.Del(ctx, logName).Err())
			return was
		},
		"log and values come back from a snapshot": func(r *relapse) string {
			restore := r.snapshot()
			r.invalidate()
			was := r.tail()
			r.Cleanup(r.never())
			restore()
			return was
		},
		"the values come back, and there is no log": func(r *relapse) string {
			restore := r.snapshot()
			r.invalidate()
			was := r.tail()
			r.Cleanup(r.never())
			restore(logName)
			return was
		},
		"a replica is promoted that lacks the last records": func(r *relapse) string {
			replica := testserver.Redis(r.T)
			second := adminOf(r, replica)
			must(r, second.ReplicaOf(ctx, "127.0.0.1", fmt.Sprint(r.srv.Port())).Err())
			before := r.tail()
			within(r, 20*time.Second, "the replica has all", func() bool {
				last, err := second.XRevRangeN(ctx, logName, "+", "-", 1).Result()
				return err == nil && len(last) == 1 && last[0].ID == before &&
					strings.Contains(second.Info(ctx, "replication").Val(), "master_link_status:up")
			})
			must(r, second.ReplicaOf(ctx, "NO", "ONE").Err()) // nothing arrives there any more
			r.invalidate()
			was := r.tail()
			r.Cleanup(r.never())
			r.srv.Kill()
			r.admin = second
			r.wire.turn(replica.Addr)
			r.wayBack.turn(replica.Addr)
			return was
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRelapse(t)
			was := lose(r)
			r.heals(was, r.join(r.wire))
		})
	}
}

// TestFlushAllDuringALoad: with all that guards it gone, what was read before an invalidation is not stored.
func TestFlushAllDuringALoad(t *testing.T) {
	t.Parallel()
	r := newRelapse(t)
	inside, goOn := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		want(t, "old")(cache.Fetch(ctx, r.a, "loaded", func(context.Context) (string, error) {
			close(inside)
			<-goOn
			return "old", nil
		}, cache.Tags("tag of loaded")))
	})
	<-inside
	r.keys = append(r.keys, "loaded")
	r.invalidate()
	must(t, r.b.InvalidateTags(ctx, "tag of loaded"))
	was := r.tail()
	must(t, r.admin.FlushAll(ctx).Err())
	early := r.join(r.wire)
	close(goOn)
	wg.Wait()
	r.heals(was, early)
}

// TestANewLogVouchesForNothingOlder: nobody is left who knows what was invalidated, and the log is gone.
func TestANewLogVouchesForNothingOlder(t *testing.T) {
	srv := testserver.Redis(t)
	fetch := func(c *cache.Cache, v string) (string, error) {
		return cache.Fetch(ctx, c, "k", func(context.Context) (string, error) { return v, nil }, cache.Tags("t"))
	}
	a := member(t, srv, patient())
	must(t, cache.Set(ctx, a, "warm", "x"))
	want(t, "old")(fetch(a, "old"))
	must(t, a.InvalidateTags(ctx, "t"))
	must(t, a.Close())
	must(t, adminOf(t, srv).Del(ctx, logName).Err())
	b := member(t, srv, patient())
	must(t, cache.Set(ctx, b, "warm", "x"))
	want(t, "new")(fetch(b, "new"))
}
