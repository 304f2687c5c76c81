package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/redisstore"
	"github.com/strata-cache/strata/internal/testserver"
)

// guards are all calls of the log, of leases and of locks, by name, whose answer is not waited for.
func guards(s *redisstore.Store) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Append": func(ctx context.Context) error {
			c := invalidate("k")
			c.Delete, c.Set = []string{"k", "l"}, []store.Item{{Key: "k", Entry: entry("v")}}
			_, err := s.Append(ctx, c, store.Position{})
			return err
		},
		"ReadLog": func(ctx context.Context) error { _, err := s.ReadLog(ctx, store.Position{}, 0); return err },
		"ReadLog that waits": func(ctx context.Context) error {
			_, err := s.ReadLog(ctx, store.Position{Time: 1 << 62}, 10*time.Millisecond)
			return err
		},
		"LogEnds": func(ctx context.Context) error { _, _, err := s.LogEnds(ctx); return err },
		"Lease": func(ctx context.Context) error {
			_, err := s.Lease(ctx, "leased", store.LeaseRequest{Token: "t", TTL: time.Minute, Node: "node"})
			return err
		},
		"Lease of another": func(ctx context.Context) error {
			_, err := s.Lease(ctx, "leased", store.LeaseRequest{Token: "other", TTL: time.Minute, Node: "node"})
			return err
		},
		"SetLeased":    func(ctx context.Context) error { _, err := s.SetLeased(ctx, "leased", "t", entry("v")); return err },
		"RenewLease":   func(ctx context.Context) error { _, err := s.RenewLease(ctx, "k", "t", time.Minute); return err },
		"ReleaseLease": func(ctx context.Context) error { return s.ReleaseLease(ctx, "k", "t", store.LeaseFailed, time.Minute) },
		"Lock": func(ctx context.Context) error {
			_, _, err := s.Lock(ctx, "n", "t", "node", time.Minute)
			return err
		},
		"ExtendLock": func(ctx context.Context) error { _, err := s.ExtendLock(ctx, "n", "t", time.Minute); return err },
		"Unlock":     func(ctx context.Context) error { _, err := s.Unlock(ctx, "n", "t"); return err },
	}
}

func TestGuardsOnAHungServer(t *testing.T) {
	srv := testserver.Redis(t)
	s := open(t, srv.URL(), redisstore.Options{})
	ctx := t.Context()
	for name, call := range guards(s) { // connections and scripts
		until(t, "an answer to "+name, func() bool { return call(ctx) == nil })
	}
	srv.Pause()
	for name, call := range guards(s) {
		for _, d := range []time.Duration{0, 5 * time.Millisecond} {
			limited, want := ctx, error(redisstore.ErrTimeout)
			cancel := context.CancelFunc(func() {})
			if d > 0 {
				limited, cancel = context.WithTimeout(ctx, d)
				want = context.DeadlineExceeded
			}
			start := time.Now()
			err := call(limited)
			if took := time.Since(start); took > generous {
				t.Errorf("%s took %v", name, took)
			}
			if !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", name, err, want)
			}
			cancel()
		}
	}
	for name, wait := range map[string]func(context.Context) error{
		"ReadLog": func(ctx context.Context) error { _, err := s.ReadLog(ctx, store.Position{}, patient); return err },
		"Wakes":   func(ctx context.Context) error { return s.Wakes(ctx, "node", func() {}, func(store.Wake) {}) },
	} {
		cancelled, cancel := context.WithCancel(ctx)
		timer := time.AfterFunc(10*time.Millisecond, cancel)
		start := time.Now()
		if err := wait(cancelled); err == nil {
			t.Errorf("%s on a hung server succeeds", name)
		}
		if took := time.Since(start); took > generous {
			t.Errorf("%s that was cancelled took %v", name, took)
		}
		timer.Stop()
		cancel()
	}
	srv.Resume()
	for name, call := range guards(s) {
		until(t, "an answer to "+name, func() bool { return call(ctx) == nil })
	}
}

// TestBlockedReadOnAHungServer: the server hangs while it is waited for.
func TestBlockedReadOnAHungServer(t *testing.T) {
	srv := testserver.Redis(t)
	s := open(t, srv.URL(), redisstore.Options{})
	admin := redis.NewClient(&redis.Options{Addr: srv.Addr})
	defer admin.Close()
	blocked := func() bool {
		info, err := admin.Info(t.Context(), "clients").Result()
		return err == nil && containsLine(info, "blocked_clients:1")
	}
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { _, err := s.ReadLog(ctx, store.Position{}, patient); ended <- err }()
	until(t, "the reader waits", blocked)
	srv.Pause()
	defer srv.Resume()
	start := time.Now()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) || time.Since(start) > generous {
		t.Errorf("ReadLog that was cancelled: %v after %v", err, time.Since(start))
	}
	start = time.Now()
	if _, err := s.ReadLog(t.Context(), store.Position{}, 20*time.Millisecond); !errors.Is(err, redisstore.ErrTimeout) || time.Since(start) > generous {
		t.Errorf("ReadLog with a wait of 20 ms: %v after %v", err, time.Since(start))
	}
}

// TestReaderTakesNoSharedConnection: with a pool of one, the others go on while the log is waited for.
func TestReaderTakesNoSharedConnection(t *testing.T) {
	srv := testserver.Redis(t)
	s := open(t, srv.URL()+"?pool_size=1", redisstore.Options{OpTimeout: patient})
	admin := redis.NewClient(&redis.Options{Addr: srv.Addr})
	defer admin.Close()
	got := make(chan error, 1)
	go func() {
		records, err := s.ReadLog(t.Context(), store.Position{}, patient)
		if err == nil && len(records) == 0 {
			err = errors.New("no record")
		}
		got <- err
	}()
	until(t, "the reader waits", func() bool {
		info, err := admin.Info(t.Context(), "clients").Result()
		return err == nil && containsLine(info, "blocked_clients:1")
	})
	start := time.Now()
	if err := s.Set(t.Context(), "k", entry("v")); err != nil {
		t.Error(err)
	}
	if _, err := s.Append(t.Context(), invalidate("k"), store.Position{}); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > patient/2 {
		t.Errorf("the others waited for the reader: %v", took)
	}
	if err := <-got; err != nil {
		t.Errorf("ReadLog: %v", err)
	}
}

// TestCutsLoseNothing: nine times all connections are cut while one process appends and another one reads.
func TestCutsLoseNothing(t *testing.T) {
	srv := testserver.Redis(t)
	writer, reader := open(t, srv.URL(), redisstore.Options{OpTimeout: patient}), open(t, srv.URL(), redisstore.Options{OpTimeout: patient})
	admin := redis.NewClient(&redis.Options{Addr: srv.Addr})
	defer admin.Close()
	stop := make(chan struct{})
	var acknowledged []string
	var end store.Position
	var appended, read atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			key := fmt.Sprint("k", i)
			a, err := writer.Append(t.Context(), invalidate(key), end)
			if err == nil {
				end = a.Records[len(a.Records)-1].Position
				acknowledged = append(acknowledged, key)
				appended.Add(1)
			}
		}
	})
	seen := map[string]bool{}
	var at store.Position
	cuts := 0
	finish := make(chan struct{})
	wg.Go(func() {
		for {
			records, err := reader.ReadLog(t.Context(), at, 100*time.Millisecond)
			if err != nil {
				cuts++
				continue
			}
			at = chained(t, at, records)
			for _, r := range records {
				for _, it := range r.Items {
					seen[it.Name] = true
					read.Add(1)
				}
			}
			select {
			case <-finish:
				if len(records) == 0 {
					return
				}
			default:
			}
		}
	})
	for range 9 {
		was, had := appended.Load(), read.Load()
		until(t, "records are written and read", func() bool { return appended.Load() > was+20 && read.Load() > had+20 })
		if err := admin.Do(t.Context(), "client", "kill", "type", "normal", "skipme", "yes").Err(); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	close(finish)
	wg.Wait()
	lost := 0
	for _, k := range acknowledged {
		if !seen[k] {
			lost++
		}
	}
	t.Logf("%d acknowledged, %d read, the reader was cut %d times", len(acknowledged), len(seen), cuts)
	if lost > 0 {
		t.Errorf("%d of %d acknowledged records were not read", lost, len(acknowledged))
	}
	if cuts == 0 {
		t.Error("the reader was never cut")
	}
}

// TestReaderLeavesAnOldMaster: what others have seen in the log shows the reader that its connection leads to
// a server which has been replaced.
func TestReaderLeavesAnOldMaster(t *testing.T) {
	old, master := testserver.Redis(t), testserver.Redis(t)
	var target atomic.Value
	target.Store(old.Addr)
	client := redis.NewClient(&redis.Options{
		Addr: old.Addr, ContextTimeoutEnabled: true,
		Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, target.Load().(string))
		},
	})
	defer client.Close()
	s, err := redisstore.New(client, redisstore.Options{OpTimeout: patient})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx := t.Context()
	if _, err := s.ReadLog(ctx, store.Position{}, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	target.Store(master.Addr)
	admin := open(t, master.URL(), redisstore.Options{OpTimeout: patient})
	if _, err := admin.Append(ctx, invalidate("k"), store.Position{}); err != nil {
		t.Fatal(err)
	}
	// The pool's connections to the old one are closed, as a failover closes them; the reader's is not.
	kill := redis.NewClient(&redis.Options{Addr: old.Addr})
	defer kill.Close()
	list, err := kill.ClientList(ctx).Result()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(list) {
		if id, _, _ := strings.Cut(strings.TrimPrefix(line, "id="), " "); strings.Contains(line, "cmd=") && !strings.Contains(line, "cmd=xread") {
			kill.Do(ctx, "client", "kill", "id", id, "skipme", "yes")
		}
	}
	until(t, "the pool is on the new master", func() bool {
		_, last, err := s.LogEnds(ctx)
		return err == nil && !last.Position.IsZero()
	})
	until(t, "the reader is on the new master", func() bool {
		records, err := s.ReadLog(ctx, store.Position{}, 5*time.Millisecond)
		return err == nil && len(records) == 2
	})
}

func TestCloseEndsWhoWaits(t *testing.T) {
	srv := testserver.Redis(t)
	before := goleak.IgnoreCurrent()
	for _, own := range []bool{true, false} {
		var s *redisstore.Store
		client := redis.NewClient(&redis.Options{Addr: srv.Addr, ContextTimeoutEnabled: true})
		if own {
			s = open(t, srv.URL(), redisstore.Options{OpTimeout: patient})
		} else {
			var err error
			if s, err = redisstore.New(client, redisstore.Options{OpTimeout: patient}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.ReadLog(t.Context(), store.Position{}, time.Millisecond); err != nil {
			t.Fatal(err) // a connection to keep
		}
		ended, ready := make(chan error, 3), make(chan struct{})
		for range 2 {
			go func() { _, err := s.ReadLog(t.Context(), store.Position{}, time.Hour); ended <- err }()
		}
		go func() { ended <- s.Wakes(t.Context(), "node", func() { close(ready) }, func(store.Wake) {}) }()
		<-ready
		until(t, "the readers wait", func() bool {
			info, err := client.Info(t.Context(), "clients").Result()
			return err == nil && containsLine(info, "blocked_clients:2")
		})
		start := time.Now()
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		for range 3 {
			if err := <-ended; !errors.Is(err, store.ErrClosed) {
				t.Errorf("on a closed store: %v", err)
			}
		}
		if took := time.Since(start); took > generous {
			t.Errorf("they ended %v after Close", took)
		}
		for name, call := range guards(s) {
			if err := call(t.Context()); !errors.Is(err, store.ErrClosed) {
				t.Errorf("%s on a closed store: %v", name, err)
			}
		}
		if err := s.Wakes(t.Context(), "node", func() {}, func(store.Wake) {}); !errors.Is(err, store.ErrClosed) {
			t.Errorf("Wakes on a closed store: %v", err)
		}
		client.Close()
	}
	goleak.VerifyNone(t, before)
	admin := redis.NewClient(&redis.Options{Addr: srv.Addr})
	defer admin.Close()
	until(t, "the server has no other connection", func() bool {
		list, err := admin.ClientList(t.Context()).Result()
		return err == nil && strings.Count(list, "\n") == 1
	})
}

// TestGuardsOfAFullServer: no invalidation is lost for want of memory, and nothing large is stored in spite of it.
func TestGuardsOfAFullServer(t *testing.T) {
	srv := testserver.Redis(t, "--maxmemory-policy", "noeviction")
	s := open(t, srv.URL(), redisstore.Options{OpTimeout: patient})
	ctx := t.Context()
	for _, k := range []string{"deleted", "replaced", "kept"} {
		if err := s.Set(ctx, k, entry("v")); err != nil {
			t.Fatal(err)
		}
	}
	admin := redis.NewClient(&redis.Options{Addr: srv.Addr})
	defer admin.Close()
	if err := admin.ConfigSet(ctx, "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if a, err := s.Append(ctx, invalidate("tag"), store.Position{}); err != nil || len(a.Records) != 2 {
		t.Errorf("Append of a mere record: %+v, %v", a, err)
	}
	c := invalidate("deleted")
	c.Delete = []string{"deleted"}
	c.Set = []store.Item{{Key: "replaced", Entry: entry("new")}}
	a, err := s.Append(ctx, c, store.Position{})
	if err != nil || a.Deleted != 1 || len(a.Records) != 3 || len(a.Failed) != 1 || !redis.HasErrorPrefix(a.Err, "OOM") {
		t.Errorf("Append: %+v, %v", a, err)
	}
	c = invalidate("added")
	c.Add = &store.Item{Key: "added", Entry: entry("v")}
	if a, err := s.Append(ctx, c, store.Position{}); !redis.HasErrorPrefix(err, "OOM") || a.Added {
		t.Errorf("Append of an Add: %+v, %v", a, err)
	}
	if err := admin.ConfigSet(ctx, "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]bool{"deleted": false, "replaced": false, "added": false, "kept": true} {
		if _, err := s.Get(ctx, k); (err == nil) != want {
			t.Errorf("Get(%q): %v", k, err)
		}
	}
	if _, last, err := s.LogEnds(ctx); err != nil || last.Position != a.Records[2].Position {
		t.Errorf("LogEnds: %+v, %v", last, err)
	}
}
