package storetest_test

import (
	"context"
	"iter"
	"maps"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/strata-cache/strata/core/store"
)

// reference is the contract in its plainest form: one map under one lock. fault names the sentence of
// the contract that it breaks, if any.
type reference struct {
	fault string

	mu     sync.Mutex
	m      map[string]*store.Entry
	closed bool
}

func newReference(fault string) *reference {
	return &reference{fault: fault, m: map[string]*store.Entry{}}
}

func now() int64 { return time.Now().UnixMilli() }

// live is called with the lock held.
func (r *reference) live(key string) *store.Entry {
	e := r.m[key]
	switch {
	case e == nil:
		return nil
	case r.fault == "stale is a miss" && !e.IsFresh(now()):
		return nil
	case r.fault == "expires to the second" && e.Gone != 0:
		if now()/1000 > e.Gone/1000 {
			return nil
		}
		return e
	case e.IsGone(now()):
		return nil
	}
	return e
}

func (r *reference) lock() error {
	r.mu.Lock()
	if r.closed {
		return store.ErrClosed
	}
	return nil
}

func (r *reference) Get(_ context.Context, key string) (*store.Entry, error) {
	defer r.mu.Unlock()
	if err := r.lock(); err != nil {
		return nil, err
	}
	e := r.live(r.key(key))
	if e == nil {
		return nil, store.ErrMiss
	}
	return e, nil
}

func (r *reference) key(key string) string {
	switch r.fault {
	case "keys are trimmed":
		return strings.TrimRight(key, " ")
	case "keys are case-insensitive":
		return strings.ToLower(key)
	case "keys are made valid UTF-8":
		return strings.ToValidUTF8(key, "\ufffd")
	case "keys are cut":
		return key[:min(len(key), 255)]
	}
	return key
}

func (r *reference) put(key string, e *store.Entry) {
	if r.fault == "deps are lost" {
		c := e.WithTimes(e.Times)
		c.Deps = nil
		e = c
	}
	if e.IsGone(now()) {
		if r.fault != "a gone Set is ignored" {
			delete(r.m, r.key(key))
		}
		return
	}
	r.m[r.key(key)] = e
}

func (r *reference) Set(_ context.Context, key string, e *store.Entry) error {
	defer r.mu.Unlock()
	if err := r.lock(); err != nil {
		return err
	}
	r.put(key, e)
	return nil
}

func (r *reference) Delete(_ context.Context, keys ...string) (int, error) {
	defer r.mu.Unlock()
	if err := r.lock(); err != nil {
		return 0, err
	}
	n := 0
	for _, k := range keys {
		if e := r.live(r.key(k)); e != nil && (e.IsFresh(now()) || r.fault == "Delete counts stale entries") {
			n++
		}
		delete(r.m, r.key(k))
	}
	return n, nil
}

func (r *reference) Clear(_ context.Context, prefix string) error {
	defer r.mu.Unlock()
	if err := r.lock(); err != nil {
		return err
	}
	maps.DeleteFunc(r.m, func(k string, _ *store.Entry) bool {
		if r.fault == "Clear takes a pattern" {
			prefix = strings.TrimSuffix(prefix, "*")
		}
		return strings.HasPrefix(k, prefix)
	})
	return nil
}

func (r *reference) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = r.fault != "Close leaves it open"
	return nil
}

func (r *reference) GetMany(ctx context.Context, keys []string) ([]*store.Entry, error) {
	if r.fault == "GetMany sorts" {
		keys = slices.Sorted(slices.Values(keys))
	}
	entries := make([]*store.Entry, len(keys))
	for i, k := range keys {
		e, err := r.Get(ctx, k)
		if err != nil && err != store.ErrMiss {
			return nil, err
		}
		entries[i] = e
	}
	return entries, nil
}

func (r *reference) SetMany(ctx context.Context, items []store.Item) (failed []string, err error) {
	for _, it := range items {
		if e := r.Set(ctx, it.Key, it.Entry); e != nil {
			failed, err = append(failed, it.Key), e
		}
	}
	return failed, err
}

func (r *reference) Add(ctx context.Context, key string, e *store.Entry) (bool, error) {
	if r.fault == "Add is not atomic" {
		old, err := r.Get(ctx, key)
		if err == nil && old.IsFresh(now()) {
			return false, nil
		}
		for range 100 {
			runtime.Gosched() // the gap that the suite has to find
		}
		return true, r.Set(ctx, key, e)
	}
	defer r.mu.Unlock()
	if err := r.lock(); err != nil {
		return false, err
	}
	if old := r.live(r.key(key)); old != nil && (old.IsFresh(now()) || r.fault == "Add respects stale entries") {
		return false, nil
	}
	r.put(key, e)
	return true, nil
}

func (r *reference) Touch(_ context.Context, key string, seen *store.Entry, t store.Times) (bool, error) {
	defer r.mu.Unlock()
	if err := r.lock(); err != nil {
		return false, err
	}
	old := r.live(r.key(key))
	if old == nil || old != seen && r.fault != "Touch does not compare" {
		return false, nil
	}
	r.put(key, old.WithTimes(t))
	return true, nil
}

func (r *reference) Incr(_ context.Context, key string, delta int64, create *store.Entry) (int64, error) {
	defer r.mu.Unlock()
	if err := r.lock(); err != nil {
		return 0, err
	}
	e := r.live(r.key(key))
	if e == nil {
		if e = create; e == nil {
			return 0, store.ErrMiss
		}
	}
	n, err := strconv.ParseInt(string(e.Value), 10, 64)
	if e.Flags&store.FlagCounter == 0 && r.fault != "Incr counts any digits" || err != nil {
		return 0, store.ErrNotInteger
	}
	if r.fault == "Incr goes through a float" {
		n = int64(math.Min(float64(n), 1<<62))
	}
	if delta > 0 && n > math.MaxInt64-delta || delta < 0 && n < math.MinInt64-delta {
		return 0, store.ErrOverflow
	}
	times := e.Times
	if r.fault == "Incr takes the new lifetime" && create != nil {
		times = create.Times
	}
	c := e.WithTimes(times)
	c.Value = strconv.AppendInt(nil, n+delta, 10)
	r.m[r.key(key)] = c
	return n + delta, nil
}

func (r *reference) Scan(_ context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := r.lock(); err != nil {
			r.mu.Unlock()
			yield("", err)
			return
		}
		keys := slices.Collect(maps.Keys(r.m))
		r.mu.Unlock()
		for _, k := range keys {
			if (strings.HasPrefix(k, prefix) || r.fault == "Scan ignores the prefix") && !yield(k, nil) {
				return
			}
		}
	}
}

func (r *reference) GetBorrowed(key []byte) *store.Entry {
	e, err := r.Get(context.Background(), string(key))
	if err != nil {
		return nil
	}
	if r.fault == "GetBorrowed writes to the key" {
		key[0] = 0
	}
	return e
}

func (r *reference) Ping(context.Context) error {
	defer r.mu.Unlock()
	return r.lock()
}

func (r *reference) Size() (entries int, bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, e := range r.m {
		bytes += int64(e.Weight(k))
	}
	return len(r.m), bytes
}
