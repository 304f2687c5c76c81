package cache_test

import (
	"context"
	"errors"
	"iter"
	"maps"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/memstore"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(otherRole); role != "" {
		os.Exit(otherProcess(role))
	}
	goleak.VerifyTestMain(m)
}

var ctx = context.Background()

func memory(tb testing.TB) *memstore.Store {
	tb.Helper()
	return cache.Must(memstore.New(memstore.Options{}))
}

// open returns a cache over st that is closed with the test.
func open(tb testing.TB, st store.Store, opts cache.Options) *cache.Cache {
	tb.Helper()
	c, err := cache.New(st, opts)
	must(tb, err)
	tb.Cleanup(func() { must(tb, c.Close()) })
	return c
}

// steady are options without jitter, so that tests can be exact.
func steady() cache.Options { return cache.Options{Policy: cache.Policy{Jitter: -1}} }

// everyStore runs test on a store in this process and on one that looks like a remote one.
func everyStore(t *testing.T, test func(t *testing.T, st store.Store)) {
	t.Run("in process", func(t *testing.T) { test(t, memory(t)) })
	t.Run("remote", func(t *testing.T) { test(t, &remote{Store: memory(t)}) })
}

// remote hides that its store is in this process, and lets a test interfere: before runs ahead of each
// operation, whose result it replaces if it returns an error; after runs once, behind the next look-up or
// write.
type remote struct {
	store.Store
	mu     sync.Mutex
	before func(ctx context.Context, op string, keys ...string) error
	after  func(op string, keys ...string)
	counts map[string]int
}

func (r *remote) set(before func(ctx context.Context, op string, keys ...string) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.before = before
}

// then makes f run behind the next look-up or write.
func (r *remote) then(f func(op string, keys ...string)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.after = f
}

func (r *remote) count(op string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts[op]
}

func (r *remote) begin(ctx context.Context, op string, keys ...string) error {
	r.mu.Lock()
	if r.counts == nil {
		r.counts = make(map[string]int)
	}
	r.counts[op]++
	before := r.before
	r.mu.Unlock()
	if before == nil {
		return nil
	}
	return before(ctx, op, keys...)
}

// end calls after, once.
func (r *remote) end(op string, keys ...string) {
	r.mu.Lock()
	after := r.after
	r.after = nil
	r.mu.Unlock()
	if after != nil {
		after(op, keys...)
	}
}

func (r *remote) Get(ctx context.Context, key string) (*store.Entry, error) {
	if err := r.begin(ctx, "get", key); err != nil {
		return nil, err
	}
	e, err := r.Store.Get(ctx, key)
	r.end("get", key)
	return e, err
}

func (r *remote) Set(ctx context.Context, key string, e *store.Entry) error {
	if err := r.begin(ctx, "set", key); err != nil {
		return err
	}
	err := r.Store.Set(ctx, key, e)
	r.end("set", key)
	return err
}

func (r *remote) Delete(ctx context.Context, keys ...string) (int, error) {
	if err := r.begin(ctx, "delete", keys...); err != nil {
		return 0, err
	}
	return r.Store.Delete(ctx, keys...)
}

func (r *remote) Clear(ctx context.Context, prefix string) error {
	if err := r.begin(ctx, "clear"); err != nil {
		return err
	}
	return r.Store.Clear(ctx, prefix)
}

func (r *remote) GetMany(ctx context.Context, keys []string) ([]*store.Entry, error) {
	if err := r.begin(ctx, "getmany", keys...); err != nil {
		return nil, err
	}
	entries, err := r.Store.(store.Batcher).GetMany(ctx, keys)
	r.end("getmany", keys...)
	return entries, err
}

func (r *remote) SetMany(ctx context.Context, items []store.Item) ([]string, error) {
	keys := make([]string, len(items))
	for i, it := range items {
		keys[i] = it.Key
	}
	if err := r.begin(ctx, "setmany", keys...); err != nil {
		return keys, err
	}
	failed, err := r.Store.(store.Batcher).SetMany(ctx, items)
	r.end("setmany", keys...)
	return failed, err
}

func (r *remote) Add(ctx context.Context, key string, e *store.Entry) (bool, error) {
	if err := r.begin(ctx, "add", key); err != nil {
		return false, err
	}
	added, err := r.Store.(store.Adder).Add(ctx, key, e)
	r.end("add", key)
	return added, err
}

func (r *remote) Touch(ctx context.Context, key string, seen *store.Entry, t store.Times) (bool, error) {
	if err := r.begin(ctx, "touch", key); err != nil {
		return false, err
	}
	return r.Store.(store.Toucher).Touch(ctx, key, seen, t)
}

func (r *remote) Incr(ctx context.Context, key string, delta int64, create *store.Entry) (int64, error) {
	if err := r.begin(ctx, "incr", key); err != nil {
		return 0, err
	}
	return r.Store.(store.Counter).Incr(ctx, key, delta, create)
}

func (r *remote) Scan(ctx context.Context, prefix string) iter.Seq2[string, error] {
	if err := r.begin(ctx, "scan"); err != nil {
		return func(yield func(string, error) bool) { yield("", err) }
	}
	return r.Store.(store.Scanner).Scan(ctx, prefix)
}

// bare is a store without any capability.
type bare struct{ store.Store }

var errDown = errors.New("connection refused")

func failing(context.Context, string, ...string) error { return errDown }

// hanging heeds its context, as the contract of a store wants it.
func hanging(ctx context.Context, _ string, _ ...string) error {
	<-ctx.Done()
	return ctx.Err()
}

// recorder keeps what an observer was told.
type recorder struct {
	mu       sync.Mutex
	calls    []event.Call
	loads    []event.Load
	errs     []event.StoreError
	corrupt  []event.Corrupt
	rejected int
	refused  map[string]int
}

func (r *recorder) observer() *event.Observer {
	locked := func(f func()) { r.mu.Lock(); defer r.mu.Unlock(); f() }
	return &event.Observer{
		Call:       func(_ context.Context, c event.Call) { locked(func() { r.calls = append(r.calls, c) }) },
		Load:       func(_ context.Context, l event.Load) { locked(func() { r.loads = append(r.loads, l) }) },
		StoreError: func(_ context.Context, e event.StoreError) { locked(func() { r.errs = append(r.errs, e) }) },
		Corrupt:    func(_ context.Context, c event.Corrupt) { locked(func() { r.corrupt = append(r.corrupt, c) }) },
		Rejected:   func(context.Context, event.Rejected) { locked(func() { r.rejected++ }) },
		Refused: func(_ context.Context, e event.Refused) {
			locked(func() {
				if r.refused == nil {
					r.refused = make(map[string]int)
				}
				r.refused[e.Reason]++
			})
		},
	}
}

func (r *recorder) last() event.Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls[len(r.calls)-1]
}

func (r *recorder) reasons() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.refused)
}

// pause lets time pass, or returns early when ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// want fails the test unless got is wanted, without an error.
func want[V comparable](tb testing.TB, wanted V) func(V, error) {
	tb.Helper()
	return func(got V, err error) {
		tb.Helper()
		if err != nil || got != wanted {
			tb.Errorf("got %v, %v; want %v", got, err, wanted)
		}
	}
}

// wantErr fails the test unless the error is the wanted one.
func wantErr[V any](tb testing.TB, target error) func(V, error) {
	tb.Helper()
	return func(got V, err error) {
		tb.Helper()
		if !errors.Is(err, target) {
			tb.Errorf("got %v, %v; want the error %v", got, err, target)
		}
	}
}

// sleep lets fake time pass: it is for bubbles only.
func sleep(d time.Duration) { _ = pause(ctx, d) }
