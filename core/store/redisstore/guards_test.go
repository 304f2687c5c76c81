package redisstore_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/redisstore"
	"github.com/strata-cache/strata/internal/testserver"
)

// topology is a kind of client, under which stores for tests are opened.
type topology func(t testing.TB, opts redisstore.Options) guarded

// guarded is a store, and a client beside it that sees the same servers.
type guarded struct {
	*redisstore.Store
	t      testing.TB
	ctx    context.Context
	raw    redis.UniversalClient
	prefix string
}

// topologies runs the test on one server, on a Cluster and on a Ring.
func topologies(t *testing.T, run func(t *testing.T, open topology)) {
	t.Run("single", func(t *testing.T) {
		t.Parallel()
		srv := shared.Redis(t)
		run(t, over(func(opts redisstore.Options) redis.UniversalClient {
			o := &redis.UniversalOptions{Addrs: []string{srv.Addr}}
			redisstore.Tune(o, opts)
			return redis.NewUniversalClient(o)
		}))
	})
	t.Run("cluster", func(t *testing.T) {
		t.Parallel()
		addrs := cluster(t, 3)
		run(t, over(func(opts redisstore.Options) redis.UniversalClient {
			o := &redis.UniversalOptions{Addrs: addrs}
			redisstore.Tune(o, opts)
			return redis.NewUniversalClient(o)
		}))
	})
	t.Run("ring", func(t *testing.T) {
		t.Parallel()
		a, b := testserver.Redis(t), testserver.Redis(t)
		run(t, over(func(redisstore.Options) redis.UniversalClient {
			return redis.NewRing(&redis.RingOptions{
				Addrs: map[string]string{"a": a.Addr, "b": b.Addr}, ContextTimeoutEnabled: true,
				HeartbeatFrequency: time.Hour, // a loaded machine must not lose a shard
			})
		}))
	})
}

func over(client func(redisstore.Options) redis.UniversalClient) topology {
	return func(t testing.TB, opts redisstore.Options) guarded {
		t.Helper()
		if opts.Prefix == "" {
			opts.Prefix = strings.ToLower(rand.Text()) + ":"
		}
		if opts.OpTimeout == 0 {
			opts.OpTimeout = patient
		}
		c := client(opts)
		s, err := redisstore.New(c, opts)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := errors.Join(s.Close(), c.Close()); err != nil {
				t.Error(err)
			}
		})
		return guarded{s, t, context.Background(), c, opts.Prefix}
	}
}

// sibling is another store with the same prefix: another process.
func (g guarded) sibling(open topology) guarded {
	g.t.Helper()
	return open(g.t, redisstore.Options{Prefix: g.prefix})
}

func (g guarded) set(keys ...string) {
	g.t.Helper()
	for _, k := range keys {
		if err := g.Set(g.ctx, k, entry("of "+k)); err != nil {
			g.t.Fatal(err)
		}
	}
}

// has reports which of the keys have an entry.
func (g guarded) has(keys ...string) string {
	g.t.Helper()
	var have []string
	for _, k := range keys {
		switch _, err := g.Get(g.ctx, k); {
		case err == nil:
			have = append(have, k)
		case !errors.Is(err, store.ErrMiss):
			g.t.Errorf("Get(%q): %v", k, err)
		}
	}
	return strings.Join(have, " ")
}

// lease takes the lease on key, which must be free.
func (g guarded) lease(key, token string) {
	g.t.Helper()
	l, err := g.Lease(g.ctx, key, store.LeaseRequest{Token: token, TTL: time.Minute})
	if err != nil || !l.Granted {
		g.t.Fatalf("Lease(%q) = %+v, %v, want the lease", key, l, err)
	}
}

// holds reports whether the lease on key is held with the token.
func (g guarded) holds(key, token string) bool {
	g.t.Helper()
	ok, err := g.RenewLease(g.ctx, key, token, time.Minute)
	if err != nil {
		g.t.Errorf("RenewLease(%q): %v", key, err)
	}
	return ok
}

func (g guarded) exists(name string) bool {
	g.t.Helper()
	n, err := g.raw.Exists(g.ctx, g.prefix+name).Result()
	if err != nil {
		g.t.Error(err)
	}
	return n > 0
}

// append appends c behind after, and is told the new records.
func (g guarded) append(c store.Change, after store.Position) store.Appended {
	g.t.Helper()
	a, err := g.Append(g.ctx, c, after)
	if err != nil {
		g.t.Fatalf("Append: %v", err)
	}
	return a
}

// end returns the position of the log's end.
func (g guarded) end() store.Position {
	g.t.Helper()
	_, last, err := g.LogEnds(g.ctx)
	if err != nil {
		g.t.Fatal(err)
	}
	return last.Position
}

// invalidate is a change that says one key.
func invalidate(key string) store.Change {
	return store.Change{Items: []store.Invalidation{{Kind: store.InvalidateKey, Name: key}}}
}

// chained fails the test unless each record names the one before it.
func chained(t testing.TB, before store.Position, records []store.Record) store.Position {
	t.Helper()
	for _, r := range records {
		if r.Prev != before || r.Position.Compare(before) <= 0 {
			t.Fatalf("record %v names %v before it, where %v is", r.Position, r.Prev, before)
		}
		before = r.Position
	}
	return before
}

// wakes collects what the node is sent, from when it returns until the test ends.
func (g guarded) wakes(node string) <-chan store.Wake {
	g.t.Helper()
	ctx, cancel := context.WithCancel(g.ctx)
	ready, ended, got := make(chan struct{}), make(chan error, 1), make(chan store.Wake, 100)
	go func() {
		ended <- g.Wakes(ctx, node, func() { close(ready) }, func(w store.Wake) { got <- w })
	}()
	g.t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			g.t.Errorf("Wakes: %v", err)
		}
	})
	select {
	case <-ready:
	case <-time.After(patient):
		g.t.Fatal("Wakes is not ready")
	}
	return got
}

// woken waits for one wake-up.
func woken(t testing.TB, got <-chan store.Wake) store.Wake {
	t.Helper()
	select {
	case w := <-got:
		return w
	case <-time.After(patient):
		t.Fatal("no wake-up")
		return store.Wake{}
	}
}

// request asks for the lease on key and expects not to get it.
func (g guarded) request(key, node string) store.Lease {
	g.t.Helper()
	l, err := g.Lease(g.ctx, key, store.LeaseRequest{Token: "another", TTL: time.Minute, Node: node})
	if err != nil || l.Granted {
		g.t.Fatalf("Lease(%q) = %+v, %v", key, l, err)
	}
	return l
}
