package cache_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/guard/filter"
	"github.com/strata-cache/strata/core/store/redisstore"
	"github.com/strata-cache/strata/internal/testserver"
)

// evict removes all keys of the server that match, as one does that is out of memory.
func evict(t *testing.T, admin *redis.Client, pattern string) {
	t.Helper()
	keys, err := admin.Keys(ctx, pattern).Result()
	must(t, err)
	if len(keys) == 0 {
		t.Fatalf("no key matches %q", pattern)
	}
	must(t, admin.Unlink(ctx, keys...).Err())
}

// TestAnEvictedLeaseCostsALoadAtMost: what its holder comes with is not stored.
func TestAnEvictedLeaseCostsALoadAtMost(t *testing.T) {
	p := newTwins(t)
	admin := adminOf(t, p.srv)
	var loads atomic.Int32
	inside, goOn := make(chan struct{}), make(chan struct{})
	load := func(context.Context) (int32, error) {
		n := loads.Add(1)
		if n == 1 {
			close(inside)
			<-goOn
		}
		return n, nil
	}
	var wg sync.WaitGroup
	wg.Go(func() { want(t, int32(1))(cache.Fetch(ctx, p.a, "k", load)) })
	<-inside
	for range 10 { // callers elsewhere wait for it
		wg.Go(func() {
			if v, err := cache.Fetch(ctx, p.b, "k", load); v == 0 || err != nil {
				t.Errorf("got %d, %v", v, err)
			}
		})
	}
	within(t, 5*time.Second, "they wait", func() bool { return len(admin.Keys(ctx, "*}waiters").Val()) == 1 })
	evict(t, admin, "*}lease")
	evict(t, admin, "*}waiters")
	within(t, 5*time.Second, "another node loads it", func() bool { return loads.Load() == 2 })
	within(t, 5*time.Second, "and stores it", func() bool {
		v, err := cache.Get[int32](ctx, p.b, "k")
		return v == 2 && err == nil
	})
	close(goOn)
	wg.Wait()
	for _, c := range []*cache.Cache{p.a, p.b} {
		want(t, int32(2))(cache.Fetch(ctx, c, "k", load))
	}
	if loads.Load() != 2 || p.rec.reasons()["lease-lost"] != 1 {
		t.Errorf("%d loads; refused: %v", loads.Load(), p.rec.reasons())
	}
}

// TestAnEvictedLeaseResurrectsNothing: with the lease goes what an invalidation takes it away by. What was read
// before is not stored all the same, since its stamp is older.
func TestAnEvictedLeaseResurrectsNothing(t *testing.T) {
	for name, invalidate := range map[string]func(p *twins) error{
		"delete": func(p *twins) error { _, err := p.b.Delete(ctx, "k"); return err },
		"tag":    func(p *twins) error { return p.b.InvalidateTags(ctx, "t") },
		"set":    func(p *twins) error { return cache.Set(ctx, p.b, "k", "new", cache.Tags("t")) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newTwins(t)
			admin := adminOf(t, p.srv)
			inside, goOn := make(chan struct{}), make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() {
				want(t, "old")(cache.Fetch(ctx, p.a, "k", func(context.Context) (string, error) {
					close(inside)
					<-goOn
					return "old", nil
				}, cache.Tags("t")))
			})
			<-inside
			evict(t, admin, "*}lease")
			must(t, invalidate(p))
			close(goOn)
			wg.Wait()
			load := func(context.Context) (string, error) { return "new", nil }
			want(t, "new")(cache.Fetch(ctx, p.b, "k", load, cache.Tags("t")))
			within(t, 2*time.Second, "the node that has loaded it has heard", func() bool {
				v, err := cache.Fetch(ctx, p.a, "k", load, cache.Tags("t"))
				return v == "new" && err == nil
			})
			want(t, "new")(cache.Fetch(ctx, member(t, p.srv, patient()), "k", load, cache.Tags("t")))
		})
	}
}

// people is a database of users.
type people struct {
	mu  sync.RWMutex
	ids map[int]bool
}

func (p *people) load(_ context.Context, id int) (string, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if !p.ids[id] {
		return "", cache.ErrNotFound
	}
	return fmt.Sprint("user ", id), nil
}

func (p *people) insert(id int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ids[id] = true
}

func (p *people) all(context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		p.mu.RLock()
		var ids []string
		for id := range p.ids {
			ids = append(ids, strconv.Itoa(id))
		}
		p.mu.RUnlock()
		for _, id := range ids {
			if !yield(id, nil) {
				return
			}
		}
	}
}

// TestALostFilterHidesNothing: in the middle of traffic the server loses all it has, or only the filter; not
// one id that exists is answered with "not found", neither an old one nor one that was added a moment ago.
func TestALostFilterHidesNothing(t *testing.T) {
	t.Parallel()
	const ids = 500
	srv := testserver.Redis(t)
	admin := adminOf(t, srv)
	db := &people{ids: map[int]bool{}}
	for id := range ids {
		db.insert(id)
	}
	type node struct {
		users *cache.Kind[int, string]
		ids   *filter.Filter
	}
	var nodes []node
	for range 2 {
		shared := cache.Must(redisstore.Open(srv.URL(), redisstore.Options{Prefix: "ids:", OpTimeout: 5 * time.Second}))
		t.Cleanup(func() { _ = shared.Close() })
		f := cache.Must(filter.New(filter.Options{
			Name: "users", Capacity: 10_000, Source: db.all, Shared: shared, CommitWithin: 50 * time.Millisecond,
			CheckTimeout: 5 * time.Second, Watch: 20 * time.Millisecond, RebuildPause: -1, SelfCheck: -1,
		}))
		t.Cleanup(func() { must(t, f.Close()) })
		opts := patient()
		opts.Policy.Filter = f
		opts.Policy.TTL, opts.Policy.NegativeTTL = 20*time.Millisecond, -1 // most calls come to the filter
		nodes = append(nodes, node{cache.Must(cache.NewKind(member(t, srv, opts), "user", cache.KindOptions[int, string]{Load: db.load})), f})
	}
	refuses := func() {
		t.Helper()
		for _, n := range nodes {
			within(t, 20*time.Second, "the filter refuses what does not exist", func() bool {
				before := n.ids.Stats().Refused
				_, err := n.users.Get(ctx, -1)
				return errors.Is(err, cache.ErrNotFound) && n.ids.Stats().Refused > before
			})
		}
	}
	refuses()

	stop := make(chan struct{})
	var newest, calls atomic.Int64
	newest.Store(ids)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := g; ; i += 7 {
				select {
				case <-stop:
					return
				default:
				}
				id := i % int(newest.Load())
				calls.Add(1)
				if v, err := nodes[g%2].users.Get(ctx, id); err != nil || v != fmt.Sprint("user ", id) {
					t.Errorf("user %d: %q, %v", id, v, err)
					return
				}
			}
		})
	}
	wg.Go(func() { // users who come meanwhile
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			id := int(newest.Load())
			add, cancel := context.WithTimeout(ctx, 5*time.Second)
			err := nodes[i%2].ids.Add(add, strconv.Itoa(id))
			cancel()
			if err != nil {
				continue // it is not inserted then
			}
			db.insert(id)
			newest.Add(1)
			_ = pause(ctx, 2*time.Millisecond)
		}
	})
	for round := range 4 {
		_ = pause(ctx, 100*time.Millisecond)
		if round%2 == 0 {
			must(t, admin.FlushAll(ctx).Err())
		} else {
			evict(t, admin, "ids:*")
		}
		_ = pause(ctx, 150*time.Millisecond)
		refuses() // it has been built anew
	}
	close(stop)
	wg.Wait()
	t.Logf("%d calls, %d users who came meanwhile", calls.Load(), newest.Load()-ids)
}
