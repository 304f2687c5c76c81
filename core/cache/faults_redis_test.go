package cache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/internal/testserver"
)

// outage is a way in which a server is not there.
type outage struct {
	name       string
	begin, end func(srv *testserver.Server, w *wire)
	// cut says that it is one of this node's way to the server only.
	cut bool
}

func outages() []outage {
	stopped := func(s wireState) func(*testserver.Server, *wire) {
		return func(_ *testserver.Server, w *wire) { w.to(s) }
	}
	return []outage{
		{
			"it is stopped (SIGSTOP)",
			func(srv *testserver.Server, _ *wire) { srv.Pause() },
			func(srv *testserver.Server, _ *wire) { srv.Resume() },
			false,
		},
		{
			"it is killed (SIGKILL)",
			func(srv *testserver.Server, _ *wire) { srv.Kill() },
			func(srv *testserver.Server, _ *wire) { srv.Restart() },
			false,
		},
		{"what is sent to it is swallowed", stopped(swallows), stopped(carries), true},
		{"live connections stop answering", stopped(stalls), stopped(carries), true},
		{"it refuses connections", stopped(refuses), stopped(carries), true},
	}
}

// Of so many calls while the server is away five cost a deadline, and the others what an in-process call costs.
// A machine that is busy makes some more of them slow; without a breaker all are.
const (
	callsAway = 1000
	slowCall  = 40 * time.Millisecond
	mostSlow  = 100
)

func TestAServerThatIsAwayCostsAFewCallsADeadline(t *testing.T) {
	t.Parallel()
	for _, o := range outages() {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			srv := testserver.Redis(t)
			w := wireTo(t, srv.Addr)
			a, b := nodeAt(t, w.url(), steady()), member(t, srv, patient())
			var db atomic.Int32
			db.Store(1)
			load := func(context.Context) (int, error) { return int(db.Load()), nil }
			fetch := func(c *cache.Cache, key string) (int, error) { return cache.Fetch(ctx, c, key, load, cache.Tags(key)) }
			must(t, eventually(func() error { return cache.Set(ctx, a, "warm", "x") }))
			for _, key := range []string{"theirs", "ours", "deleted"} {
				want(t, 1)(fetch(a, key))
				want(t, 1)(fetch(b, key))
			}
			o.begin(srv, w)

			callsCostLittle(t, a)
			writesFail(t, a)

			db.Store(2)
			if o.cut { // the other node goes on, and nobody can tell this one
				must(t, b.InvalidateTags(ctx, "theirs"))
				_, err := b.Delete(ctx, "deleted")
				must(t, err)
			}
			// An error says that nobody was told; but this node knows.
			if err := a.InvalidateTags(ctx, "ours"); err == nil {
				t.Error("an invalidation that nobody could be told of was acknowledged")
			}
			want(t, 2)(fetch(a, "ours"))

			o.end(srv, w)
			back := time.Now()
			must(t, eventually(func() error { return cache.Set(ctx, a, "back", "x") }))
			t.Logf("writes succeed again after %v", time.Since(back))
			// A write that succeeds has read what was in the log before it.
			want(t, 2)(fetch(a, "ours"))
			if o.cut {
				want(t, 2)(fetch(a, "theirs"))
				want(t, 2)(fetch(a, "deleted"))
			}
			within(t, 10*time.Second, "the other node has learned of what it could not be told", func() bool {
				v, err := fetch(b, "ours")
				return v == 2 && err == nil
			})
			// What it had failed to write before may be ended once more, on the way back; nothing else is.
			within(t, 10*time.Second, "the nodes are together again", func() bool {
				if cache.Set(ctx, a, "again", "x") != nil {
					return false
				}
				v, err := cache.Get[string](ctx, b, "again")
				return v == "x" && err == nil
			})
		})
	}
}

// callsCostLittle makes many calls of keys that are not there.
func callsCostLittle(t *testing.T, c *cache.Cache) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond) // so that they are spread over some probes
	defer tick.Stop()
	var took []time.Duration
	slow := 0
	for i := range callsAway {
		began := time.Now()
		want(t, i)(cache.Fetch(ctx, c, fmt.Sprint("cold", i), func(context.Context) (int, error) { return i, nil }))
		d := time.Since(began)
		took = append(took, d)
		if d > slowCall {
			slow++
		}
		if slow > mostSlow {
			t.Fatalf("%d of %d calls took more than %v", slow, i+1, slowCall)
		}
		<-tick.C
	}
	slices.Sort(took)
	t.Logf("%d calls took more than %v; median %v, longest %v", slow, slowCall, took[callsAway/2], took[callsAway-1])
	if took[callsAway/2] > time.Millisecond {
		t.Errorf("the median of %d calls is %v", callsAway, took[callsAway/2])
	}
}

// writesFail checks that a writer learns at once that nobody was told.
func writesFail(t *testing.T, c *cache.Cache) {
	t.Helper()
	for name, write := range map[string]func() error{
		"Set":            func() error { return cache.Set(ctx, c, "w", "v") },
		"InvalidateTags": func() error { return c.InvalidateTags(ctx, "t") },
		"Delete":         func() error { _, err := c.Delete(ctx, "w"); return err },
		"Clear":          func() error { return c.WithVersion(9).Clear(ctx) },
		"Update":         func() error { return c.Update(ctx, "w", func(context.Context) error { return nil }) },
	} {
		began := time.Now()
		err := write()
		if !errors.Is(err, cache.ErrUnreachable) && !ofTheNetwork(err) {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
}

// ofTheNetwork reports whether err is a connection's end, or that there was no answer in time.
func ofTheNetwork(err error) bool {
	var late interface{ Timeout() bool }
	return errors.As(err, &late) || errors.Is(err, io.EOF)
}

// TestCloseOfACacheWhoseServerHangs: whatever is under way ends, and nothing stays behind (TestMain).
func TestCloseOfACacheWhoseServerHangs(t *testing.T) {
	t.Parallel()
	srv := testserver.Redis(t)
	opts := steady()
	opts.Policy.TTL, opts.Policy.RefreshAt = time.Minute, 0.5
	c := nodeAt(t, srv.URL(), opts)
	must(t, eventually(func() error { return cache.Set(ctx, c, "warm", "x") }))
	must(t, cache.Set(ctx, c, "k", "v"))
	want(t, "v")(cache.Fetch(ctx, c, "renewed", func(context.Context) (string, error) { return "v", nil }, cache.TTL(time.Second)))
	held := make(chan struct{})
	left := make(chan error, 1)
	waits, leave := context.WithCancel(ctx)
	defer leave()
	go func() { // a lease is held and renewed
		_, err := cache.Fetch(waits, c, "held", func(ctx context.Context) (string, error) {
			close(held)
			<-ctx.Done()
			return "", ctx.Err()
		})
		left <- err
	}()
	<-held
	updated := make(chan error, 1)
	updating := make(chan struct{})
	go func() { // a hold is, too
		updated <- c.Update(waits, "updated", func(ctx context.Context) error {
			close(updating)
			<-ctx.Done()
			return ctx.Err()
		})
	}()
	<-updating
	renewing := make(chan struct{})
	_ = pause(ctx, 510*time.Millisecond) // it is due from half its time on
	want(t, "v")(cache.Fetch(ctx, c, "renewed", func(ctx context.Context) (string, error) {
		close(renewing)
		<-ctx.Done() // it is waited for, and cancelled
		return "", ctx.Err()
	}))
	<-renewing
	srv.Pause()
	defer srv.Resume()
	for i := range 20 { // the breaker opens
		want(t, i)(cache.Fetch(ctx, c, fmt.Sprint(i), func(context.Context) (int, error) { return i, nil }))
	}
	began := time.Now()
	must(t, c.Close())
	took := time.Since(began)
	t.Logf("closed after %v", took)
	if took > 8*time.Second {
		t.Errorf("closed after %v", took)
	}
	leave()
	for _, end := range []chan error{left, updated} {
		select {
		case err := <-end:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("a caller got %v", err)
			}
		case <-time.After(5 * time.Second):
			t.Error("a caller waits for a cache that is closed")
		}
	}
}
