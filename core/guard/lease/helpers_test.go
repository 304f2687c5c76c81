package lease_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-cache/strata/core/guard/lease"
	"github.com/strata-cache/strata/core/store"
)

const (
	ms     = time.Millisecond
	second = time.Second
)

var errSick = errors.New("memory: sick")

// pause lets fake time pass inside a bubble.
func pause(d time.Duration) { <-time.After(d) }

func entry(created int64) *store.Entry {
	return &store.Entry{Value: []byte("v"), Times: store.Times{Created: created}}
}

// open returns Leases that the test closes.
func open(t testing.TB, s store.Leaser, opts lease.Options) *lease.Leases {
	t.Helper()
	l, err := lease.New(s, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// bubble runs f in fake time. The Leases that it opens are closed in the bubble.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// take is an Acquire that must be granted.
func take(t testing.TB, l *lease.Leases, key string) *lease.Held {
	t.Helper()
	out, err := l.Acquire(context.Background(), key, nil, 0, nil)
	if err != nil || out.Status != lease.Granted || out.Held == nil {
		t.Fatalf("got %+v, %v; want the lease", out, err)
	}
	return out.Held
}

// result is what an Acquire on another goroutine has come to.
type result struct {
	out  lease.Outcome
	err  error
	took time.Duration
}

// acquire starts an Acquire on another goroutine, which is waiting when it returns.
func acquire(ctx context.Context, l *lease.Leases, seen *store.Entry, budget time.Duration, valid func(*store.Entry) bool) <-chan result {
	done := make(chan result, 1)
	begin := time.Now()
	go func() {
		out, err := l.Acquire(ctx, "k", seen, budget, valid)
		done <- result{out, err, time.Since(begin)}
	}()
	synctest.Wait()
	return done
}
