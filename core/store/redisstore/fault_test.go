package redisstore_test

import (
	"context"
	"errors"
	"fmt"
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

// generous is far above the budget of 50 ms and far below the seconds of a client without one.
const generous = time.Second

// operations are all that a store can do, by name.
func operations(s *redisstore.Store) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Get":     func(ctx context.Context) error { _, err := s.Get(ctx, "k"); return err },
		"Set":     func(ctx context.Context) error { return s.Set(ctx, "k", entry("v")) },
		"Delete":  func(ctx context.Context) error { _, err := s.Delete(ctx, "k", "l"); return err },
		"Clear":   func(ctx context.Context) error { return s.Clear(ctx, "") },
		"GetMany": func(ctx context.Context) error { _, err := s.GetMany(ctx, []string{"k", "l"}); return err },
		"SetMany": func(ctx context.Context) error {
			failed, err := s.SetMany(ctx, []store.Item{{Key: "k", Entry: entry("v")}, {Key: "l", Entry: entry("v")}})
			if err != nil && len(failed) != 2 {
				return fmt.Errorf("failed is %q", failed)
			}
			return err
		},
		"Add": func(ctx context.Context) error { _, err := s.Add(ctx, "k", entry("v")); return err },
		"Touch": func(ctx context.Context) error {
			_, err := s.Touch(ctx, "k", entry("v"), lifetime(time.Hour))
			return err
		},
		"Incr": func(ctx context.Context) error {
			_, err := s.Incr(ctx, "c", 1, counter("0", lifetime(time.Hour)))
			return err
		},
		"Scan": func(ctx context.Context) (err error) {
			for _, err = range s.Scan(ctx, "") {
			}
			return err
		},
		"Ping": s.Ping,
	}
}

// works runs all operations once.
func works(t *testing.T, s *redisstore.Store) {
	t.Helper()
	for name, op := range operations(s) {
		if err := op(t.Context()); err != nil && !errors.Is(err, store.ErrMiss) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// recovers waits until s answers again.
func recovers(t *testing.T, s *redisstore.Store) {
	t.Helper()
	until(t, "the store answers again", func() bool {
		if s.Set(t.Context(), "k", entry("again")) != nil {
			return false
		}
		e, err := s.Get(t.Context(), "k")
		return err == nil && string(e.Value) == "again"
	})
}

func TestDownAtStart(t *testing.T) {
	srv := testserver.Redis(t)
	srv.Kill()
	s := open(t, srv.URL(), redisstore.Options{})
	for range 3 {
		for name, op := range operations(s) {
			start := time.Now()
			err := op(t.Context())
			if took := time.Since(start); took > generous {
				t.Errorf("%s took %v without a server", name, took)
			}
			if err == nil || errors.Is(err, store.ErrMiss) || !strings.HasPrefix(err.Error(), "redisstore: ") {
				t.Errorf("%s without a server: %v", name, err)
			}
		}
	}
	srv.Restart()
	recovers(t, s)
}

func TestHung(t *testing.T) {
	srv := testserver.Redis(t)
	s := open(t, srv.URL(), redisstore.Options{})
	recovers(t, s)
	ctx := t.Context()
	for _, op := range operations(s) { // connections, also of pipelines, and scripts
		until(t, "an answer", func() bool { return !errors.Is(op(ctx), redisstore.ErrTimeout) })
	}

	slow := redis.NewClient(&redis.Options{Addr: srv.Addr, ContextTimeoutEnabled: true})
	defer slow.Close()
	over, err := redisstore.New(slow, redisstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	recovers(t, over)

	srv.Pause()
	start := time.Now()
	if _, err := over.Get(ctx, "k"); !errors.Is(err, redisstore.ErrTimeout) {
		t.Errorf("Get over a client with a timeout of 5 s: %v", err)
	}
	if took := time.Since(start); took > generous {
		t.Errorf("Get over a client with a timeout of 5 s took %v", took)
	}
	for name, op := range operations(s) {
		start := time.Now()
		err := op(ctx)
		if took := time.Since(start); took > generous {
			t.Errorf("%s took %v", name, took)
		}
		if !errors.Is(err, redisstore.ErrTimeout) || !isTimeout(err) {
			t.Errorf("%s: %v, want ErrTimeout", name, err)
		}
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v: the caller's context has not ended", name, err)
		}
	}

	short, cancel := context.WithTimeout(ctx, 5*time.Millisecond)
	defer cancel()
	if _, err := s.Get(short, "k"); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, redisstore.ErrTimeout) {
		t.Errorf("Get with a deadline of 5 ms: %v", err)
	}

	start = time.Now()
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			if _, err := s.Get(ctx, fmt.Sprint("k", i)); err == nil || errors.Is(err, store.ErrMiss) {
				t.Errorf("Get: %v", err)
			}
		})
	}
	wg.Wait()
	if took := time.Since(start); took > 2*generous {
		t.Errorf("100 callers took %v", took)
	}

	srv.Resume()
	recovers(t, s)
	srv.Restart()
	recovers(t, s)
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// TestRepliesAreNotMixedUp: a connection that has missed a reply is not used for another key.
func TestRepliesAreNotMixedUp(t *testing.T) {
	srv := testserver.Redis(t)
	s := open(t, srv.URL()+"?pool_size=3", redisstore.Options{})
	ctx := t.Context()
	const keys = 20
	for i := range keys {
		until(t, "Set", func() bool { return s.Set(ctx, fmt.Sprint("k", i), entry(fmt.Sprint("of k", i))) == nil })
	}
	stop := make(chan struct{})
	var hits, timeouts atomic.Int64
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := g; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				short, cancel := context.WithTimeout(ctx, time.Duration(1+i%50)*100*time.Microsecond)
				e, err := s.Get(short, fmt.Sprint("k", i%keys))
				cancel()
				if err == nil {
					hits.Add(1)
				} else if errors.Is(err, context.DeadlineExceeded) {
					timeouts.Add(1)
				}
				if err == nil && string(e.Value) != fmt.Sprint("of k", i%keys) || errors.Is(err, store.ErrCorrupt) {
					t.Errorf("k%d: %+v, %v", i%keys, e, err)
				}
			}
		})
	}
	for range 5 {
		srv.Pause()
		<-time.After(10 * time.Millisecond)
		srv.Resume()
		<-time.After(30 * time.Millisecond)
	}
	until(t, "hits and timeouts", func() bool { return hits.Load() > 100 && timeouts.Load() > 10 })
	close(stop)
	wg.Wait()
}

func TestFull(t *testing.T) {
	srv := testserver.Redis(t, "--maxmemory", "4mb", "--maxmemory-policy", "noeviction")
	s := open(t, srv.URL(), redisstore.Options{OpTimeout: patient})
	ctx := t.Context()
	if err := s.Set(ctx, "k", entry("v")); err != nil {
		t.Fatal(err)
	}
	var err error
	for i := 0; err == nil; i++ {
		err = s.Set(ctx, fmt.Sprint("filler", i), entry(strings.Repeat("x", 100_000)))
	}
	if !redis.HasErrorPrefix(err, "OOM") {
		t.Errorf("Set on a full server: %v", err)
	}
	if failed, err := s.SetMany(ctx, []store.Item{{Key: "a", Entry: entry(strings.Repeat("x", 100_000))}, {Key: "b", Entry: entry("v")}}); len(failed) != 2 ||
		!redis.HasErrorPrefix(err, "OOM") || strings.Count(err.Error(), "OOM") != 1 {
		t.Errorf("SetMany on a full server: %v, %v", failed, err)
	}
	if _, err := s.Incr(ctx, "c", 1, counter("0", store.Times{})); !redis.HasErrorPrefix(err, "OOM") {
		t.Errorf("Incr on a full server: %v", err)
	}
	if e, err := s.Get(ctx, "k"); err != nil || string(e.Value) != "v" {
		t.Errorf("Get on a full server: %v", err)
	}
	if err := s.Clear(ctx, ""); err != nil {
		t.Errorf("Clear on a full server: %v", err)
	}
	until(t, "there is room again", func() bool { return s.Set(ctx, "k", entry("v")) == nil })
}

// TestLeastPrivilege runs everything as a user who may do no more than the package comment asks for.
func TestLeastPrivilege(t *testing.T) {
	srv := testserver.Redis(t)
	admin := redis.NewClient(&redis.Options{Addr: srv.Addr})
	defer admin.Close()
	rules := strings.Fields("~shop:* +get +mget +set +unlink +getrange +setrange +exists +incrby +pttl +pexpire +persist " +
		"+eval +evalsha +scan +ping +hello +select")
	ctx := t.Context()
	setUser := func(rules ...string) {
		t.Helper()
		args := []any{"acl", "setuser", "shop", "on", ">s3cret"}
		for _, r := range rules {
			args = append(args, r)
		}
		if err := admin.Do(ctx, args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	setUser(rules...)
	s := open(t, "redis://shop:s3cret@"+srv.Addr, redisstore.Options{Prefix: "shop:", OpTimeout: patient})
	if err := s.Set(ctx, "c", counter("1", lifetime(time.Hour))); err != nil {
		t.Fatal(err)
	}
	for range 2 { // once with, once without the scripts on the server
		works(t, s)
		if err := s.Set(ctx, "c", counter("1", lifetime(time.Hour))); err != nil {
			t.Fatal(err)
		}
		for _, times := range []store.Times{lifetime(time.Minute), {}} {
			e, err := s.Get(ctx, "c")
			if err != nil {
				t.Fatal(err)
			}
			if ok, err := s.Touch(ctx, "c", e, times); !ok || err != nil {
				t.Errorf("Touch: %v, %v", ok, err)
			}
		}
		e := entry("v")
		if err := s.Set(ctx, "k", e); err != nil {
			t.Fatal(err)
		}
		if ok, err := s.Touch(ctx, "k", e, store.Times{}); !ok || err != nil {
			t.Errorf("Touch: %v, %v", ok, err)
		}
	}

	wrong := open(t, "redis://shop:wr0ng@"+srv.Addr, redisstore.Options{OpTimeout: patient})
	_, err := wrong.Get(ctx, "k")
	if err == nil || !strings.Contains(err.Error(), "WRONGPASS") || strings.Contains(err.Error(), "wr0ng") {
		t.Errorf("Get with a wrong password: %v", err)
	}
	other := open(t, "redis://shop:s3cret@"+srv.Addr, redisstore.Options{Prefix: "other:", OpTimeout: patient})
	if _, err := other.Get(ctx, "secret key"); !redis.HasErrorPrefix(err, "NOPERM") || strings.Contains(err.Error(), "secret") {
		t.Errorf("Get of another namespace: %v", err)
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	srv := testserver.Redis(t)
	before := goleak.IgnoreCurrent()
	s, err := redisstore.Open(srv.URL(), redisstore.Options{OpTimeout: patient})
	if err != nil {
		t.Fatal(err)
	}
	works(t, s)
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	goleak.VerifyNone(t, before)
	admin := redis.NewClient(&redis.Options{Addr: srv.Addr})
	defer admin.Close()
	until(t, "the server has no other connection", func() bool {
		list, err := admin.ClientList(t.Context()).Result()
		return err == nil && strings.Count(list, "\n") == 1
	})
}

// TestCallersClientStaysOpen: after Close the store is closed and the client is not.
func TestCallersClientStaysOpen(t *testing.T) {
	srv := shared.Redis(t)
	client := redis.NewClient(&redis.Options{Addr: srv.Addr, ContextTimeoutEnabled: true})
	defer client.Close()
	s, err := redisstore.New(client, redisstore.Options{Prefix: prefix(t, srv.Addr), OpTimeout: patient})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, op := range operations(s) {
		if err := op(t.Context()); !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s on a closed store: %v", name, err)
		}
	}
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Errorf("the caller's client: %v", err)
	}
	// The other way round: a client that is closed under the store.
	s, err = redisstore.New(client, redisstore.Options{OpTimeout: patient})
	if err != nil {
		t.Fatal(err)
	}
	client.Close()
	if _, err := s.Get(t.Context(), "k"); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Get over a closed client: %v", err)
	}
}
