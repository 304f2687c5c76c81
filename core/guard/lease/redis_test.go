package lease_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/strata-cache/strata/core/guard/lease"
	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/redisstore"
	"github.com/strata-cache/strata/internal/testserver"
)

// patience is how long anything on a real server may take before it counts as hanging.
const patience = 20 * time.Second

// node opens Leases as another process would have them.
func node(tb testing.TB, url string, opts lease.Options, so redisstore.Options) *lease.Leases {
	tb.Helper()
	s, err := redisstore.Open(url, so)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return open(tb, s, opts)
}

// slow leaves operations all the time that a busy machine may want.
var slow = redisstore.Options{OpTimeout: 5 * time.Second}

func client(tb testing.TB, srv *testserver.Server) *redis.Client {
	tb.Helper()
	c := redis.NewClient(&redis.Options{Addr: srv.Addr})
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

// until waits until f is true.
func until(tb testing.TB, what string, f func() bool) {
	tb.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(2 * ms)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-deadline.C:
			tb.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// listeners is how many connections wait for wake-ups.
func listeners(tb testing.TB, c *redis.Client) int {
	tb.Helper()
	list, err := c.Do(tb.Context(), "CLIENT", "LIST", "TYPE", "PUBSUB").Text()
	if err != nil {
		tb.Fatal(err)
	}
	return strings.Count(list, "id=")
}

// listening has l listen for wake-ups.
func listening(tb testing.TB, l *lease.Leases, c *redis.Client) {
	tb.Helper()
	before := listeners(tb, c)
	held := take(tb, l, "warm")
	done := make(chan struct{})
	go func() { defer close(done); _, _ = l.Acquire(context.Background(), "warm", nil, patience, nil) }()
	until(tb, "it listens", func() bool { return listeners(tb, c) > before })
	if err := held.Release(tb.Context(), store.LeaseNotFound, ms); err != nil {
		tb.Fatal(err)
	}
	<-done
}

func TestEightProcessesLoadOnce(t *testing.T) {
	srv := testserver.Redis(t)
	var all []*process
	for range 8 {
		all = append(all, startProcess(t, "callers", srv.URL()))
	}
	for _, p := range all {
		p.begin()
	}
	granted, found, other := 0, 0, 0
	for _, p := range all {
		var g, f, o int
		line := p.line()
		if _, err := fmt.Sscan(line, &g, &f, &o); err != nil {
			t.Errorf("a process says %q", line)
		}
		granted, found, other = granted+g, found+f, other+o
	}
	if granted != 1 || found != 8*callers-1 || other != 0 {
		t.Errorf("%d grants, %d found, %d others; want 1, %d and 0", granted, found, other, 8*callers-1)
	}
	info, err := client(t, srv).Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("commands: %.2f a caller", float64(scripts(info))/float64(8*callers))
}

// scripts counts the scripts that the server has run.
func scripts(info string) (n int) {
	for line := range strings.Lines(info) {
		var calls int
		name, rest, _ := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":")
		if _, err := fmt.Sscanf(rest, "calls=%d", &calls); err == nil && strings.HasPrefix(name, "eval") {
			n += calls
		}
	}
	return n
}

func TestKilledHolder(t *testing.T) {
	srv := testserver.Redis(t)
	holder := startProcess(t, "holder", srv.URL())
	holder.begin()
	if line := holder.line(); line != "granted" {
		t.Fatalf("the holder says %q", line)
	}
	l := node(t, srv.URL(), lease.Options{}, slow)
	if err := holder.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	var grants atomic.Int32
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			out, err := l.Acquire(t.Context(), "k", nil, patience, nil)
			switch {
			case err == nil && out.Status == lease.Granted:
				grants.Add(1)
				if took := time.Since(begin); took > 3*holderTTL {
					t.Errorf("granted after %v, the dead one's TTL is %v", took, holderTTL)
				}
				if ok, err := out.Held.Store(t.Context(), forever("v")); !ok || err != nil {
					t.Errorf("Store: %v, %v", ok, err)
				}
			case err != nil || out.Status != lease.Found:
				t.Errorf("got %+v, %v", out, err)
			}
		})
	}
	wg.Wait()
	if grants.Load() != 1 {
		t.Errorf("%d grants, want 1", grants.Load())
	}
}

func TestFailureMakesNoConvoyOnRedis(t *testing.T) {
	srv := testserver.Redis(t)
	all := []*lease.Leases{node(t, srv.URL(), lease.Options{}, slow), node(t, srv.URL(), lease.Options{}, slow)}
	var loads, told atomic.Int32
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			out, err := all[i%2].Acquire(t.Context(), "k", nil, patience, nil)
			switch {
			case err == nil && out.Status == lease.Granted:
				loads.Add(1)
				pause(100 * ms)
				if err := out.Held.Release(t.Context(), store.LeaseFailed, 5*second); err != nil {
					t.Error(err)
				}
			case err == nil && out.Status == lease.Told && out.Result == store.LeaseFailed && out.BackOff > 0:
				told.Add(1)
			default:
				t.Errorf("got %+v, %v", out, err)
			}
		})
	}
	wg.Wait()
	if loads.Load() != 1 || told.Load() != callers-1 {
		t.Errorf("%d loads, %d told", loads.Load(), told.Load())
	}
}

func TestEvictedLeaseRefusesTheLateStore(t *testing.T) {
	srv := testserver.Redis(t)
	l := node(t, srv.URL(), lease.Options{TTL: 300 * ms}, slow)
	held := take(t, l, "k")
	if err := client(t, srv).FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-held.Lost():
	case <-time.After(patience):
		t.Error("nobody has noticed")
	}
	if ok, err := held.Store(t.Context(), forever("late")); ok || err != nil {
		t.Errorf("Store: %v, %v", ok, err)
	}
	again := take(t, l, "k")
	if ok, err := again.Store(t.Context(), forever("v")); !ok || err != nil {
		t.Errorf("Store: %v, %v", ok, err)
	}
}

func TestHungServer(t *testing.T) {
	srv := testserver.Redis(t)
	l := node(t, srv.URL(), lease.Options{}, redisstore.Options{})
	until(t, "an answer", func() bool { _, err := l.TryAcquire(t.Context(), "warm", nil); return err == nil })
	srv.Pause()
	for range 5 {
		begin := time.Now()
		out, err := l.Acquire(t.Context(), "k", nil, 0, nil)
		if took := time.Since(begin); err == nil || took > second/2 {
			t.Errorf("got %+v, %v after %v", out, err, took)
		}
	}
	srv.Resume()
	// What the server grants when it reads the requests of those who have left is given up behind.
	other := node(t, srv.URL(), lease.Options{}, slow)
	begin := time.Now()
	take(t, other, "k")
	if took := time.Since(begin); took > 5*second {
		t.Errorf("the key was leased to nobody for %v", took)
	}
}

func TestKilledListener(t *testing.T) {
	srv := testserver.Redis(t)
	c := client(t, srv)
	l, other := node(t, srv.URL(), lease.Options{}, slow), node(t, srv.URL(), lease.Options{}, slow)
	listening(t, l, c)
	for round := range 5 {
		key := fmt.Sprint("k", round)
		held := take(t, other, key)
		got := make(chan lease.Outcome, 1)
		go func() {
			out, _ := l.Acquire(context.Background(), key, nil, patience, nil)
			got <- out
		}()
		if err := c.Do(t.Context(), "CLIENT", "KILL", "TYPE", "PUBSUB").Err(); err != nil {
			t.Fatal(err)
		}
		if ok, err := held.Store(t.Context(), forever("v")); !ok || err != nil {
			t.Errorf("Store: %v, %v", ok, err)
		}
		if out := <-got; out.Status != lease.Found || out.Waited > 5*second {
			t.Errorf("got %+v", out)
		}
		listening := take(t, other, "next")
		go func() {
			out, _ := l.Acquire(context.Background(), "next", nil, patience, nil)
			got <- out
		}()
		until(t, "it listens again", func() bool { return listeners(t, c) > 0 })
		_ = listening.Release(t.Context(), store.LeaseNotFound, 0)
		if out := <-got; out.Held != nil {
			_ = out.Held.Release(t.Context(), store.LeaseFree, 0)
		}
	}
}

func TestMutexBetweenProcesses(t *testing.T) {
	srv := testserver.Redis(t)
	var all []*process
	for range 4 {
		all = append(all, startProcess(t, "counter", srv.URL()))
	}
	for _, p := range all {
		p.begin()
	}
	for _, p := range all {
		if line := p.line(); line != "done" {
			t.Errorf("a process says %q", line)
		}
	}
	if n, err := client(t, srv).Get(t.Context(), "number").Int(); n != 100 || err != nil {
		t.Errorf("counted to %d, %v; want 100", n, err)
	}
}
