package lease_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-cache/strata/core/guard/lease"
)

func mutex(t testing.TB, l *lease.Leases, opts lease.MutexOptions) *lease.Mutex {
	t.Helper()
	m, err := l.Mutex("name", opts)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func lock(t testing.TB, m *lease.Mutex) *lease.Lock {
	t.Helper()
	k, err := m.Lock(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestMutualExclusion(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		var wg sync.WaitGroup
		inside, fence := 0, int64(0)
		begin := time.Now()
		for range 4 {
			mu := mutex(t, open(t, m, lease.Options{}), lease.MutexOptions{})
			for range 10 {
				wg.Go(func() {
					k := lock(t, mu)
					if inside++; inside != 1 {
						t.Errorf("%d hold it", inside)
					}
					if k.Fence() <= fence {
						t.Errorf("fence %d after %d", k.Fence(), fence)
					}
					fence = k.Fence()
					pause(100 * ms)
					inside--
					if err := k.Unlock(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
		// Woken at once by each Unlock: nothing is lost in between.
		if took := time.Since(begin); took != 4*second {
			t.Errorf("40 holders of 100 ms took %v", took)
		}
	})
}

func TestLockEndsWithItsTTL(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		mu := mutex(t, open(t, m, lease.Options{}), lease.MutexOptions{TTL: 2 * second})
		first := lock(t, mu)
		begin := time.Now()
		second := lock(t, mu)
		if took := time.Since(begin); took < 2*time.Second || took > 2*time.Second+ms {
			t.Errorf("taken over after %v", took)
		}
		synctest.Wait()
		if !lost(first.Lost()) || lost(second.Lost()) {
			t.Error("it is the first that is lost")
		}
		if err := first.Extend(t.Context(), 0); err != lease.ErrLost {
			t.Errorf("Extend: %v", err)
		}
		if err := first.Unlock(t.Context()); err != lease.ErrLost {
			t.Errorf("Unlock: %v", err)
		}
		if _, ok, err := mu.TryLock(t.Context()); ok || err != nil {
			t.Errorf("TryLock: %v, %v", ok, err)
		}
		if err := second.Unlock(t.Context()); err != nil {
			t.Error(err)
		}
		if err := second.Unlock(t.Context()); err != lease.ErrLost {
			t.Errorf("Unlock again: %v", err)
		}
		third, ok, err := mu.TryLock(t.Context())
		if !ok || err != nil || third.Fence() <= second.Fence() {
			t.Errorf("TryLock: %v, %v", ok, err)
		}
		m.drop("name")
		if err := third.Unlock(t.Context()); err != lease.ErrLost {
			t.Errorf("Unlock of a deleted lock: %v", err)
		}
	})
}

func TestExtendAndRenew(t *testing.T) {
	tests := []struct {
		name   string
		opts   lease.MutexOptions
		extend time.Duration // at 1 s; 0: not
		want   time.Duration // when it is lost; 0: not within a minute
	}{
		{"neither", lease.MutexOptions{TTL: 3 * second}, 0, 3 * second},
		{"extended", lease.MutexOptions{TTL: 3 * second}, 10 * second, 11 * second},
		{"shortened", lease.MutexOptions{TTL: 30 * second}, 2 * second, 3 * second},
		{"renewed", lease.MutexOptions{TTL: 3 * second, Renew: true}, 0, 0},
		{"renewed and extended", lease.MutexOptions{TTL: 3 * second, Renew: true}, 20 * second, 0},
		{"renewed and shortened", lease.MutexOptions{TTL: 20 * second, Renew: true}, second, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				m := newMemory()
				mu := mutex(t, open(t, m, lease.Options{}), tt.opts)
				begin := time.Now()
				k := lock(t, mu)
				pause(second)
				if tt.extend > 0 {
					if err := k.Extend(t.Context(), tt.extend); err != nil {
						t.Error(err)
					}
				}
				select {
				case <-k.Lost():
				case <-time.After(time.Minute):
				}
				took := time.Since(begin)
				if tt.want > 0 && took != tt.want || tt.want == 0 && took < time.Minute {
					t.Errorf("lost after %v, want %v", took, tt.want)
				}
				if err := k.Unlock(t.Context()); (err == nil) != (tt.want == 0) {
					t.Errorf("Unlock: %v", err)
				}
				calls := m.count("ExtendLock")
				pause(time.Minute)
				if n := m.count("ExtendLock"); n != calls {
					t.Error("renewed after it was unlocked")
				}
			})
		})
	}
}

func TestLockLeaves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		mu := mutex(t, open(t, m, lease.Options{}), lease.MutexOptions{Renew: true})
		k := lock(t, mu)
		ctx, cancel := context.WithTimeout(t.Context(), 300*ms)
		defer cancel()
		begin := time.Now()
		if _, err := mu.Lock(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 300*ms {
			t.Errorf("left with %v after %v", err, time.Since(begin))
		}
		if _, err := mu.Lock(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a context that has ended: %v", err)
		}
		m.mu.Lock()
		sick := true
		m.before = func(string) error {
			if sick {
				return errSick
			}
			return nil
		}
		m.mu.Unlock()
		if _, err := mu.Lock(t.Context()); err != errSick {
			t.Errorf("got %v", err)
		}
		if err := k.Extend(t.Context(), 0); err != errSick {
			t.Errorf("Extend: %v", err)
		}
		if err := k.Unlock(t.Context()); err != errSick {
			t.Errorf("Unlock: %v", err)
		}
		m.mu.Lock()
		sick = false
		m.mu.Unlock()
		begin = time.Now()
		if k := lock(t, mu); time.Since(begin) > second { // it was freed behind
			t.Errorf("free after %v", time.Since(begin))
		} else if err := k.Unlock(t.Context()); err != nil {
			t.Error(err)
		}
		synctest.Wait()
	})
}

func TestMutexOptions(t *testing.T) {
	m := newMemory()
	l := open(t, m, lease.Options{})
	for name, tt := range map[string]struct {
		name string
		opts lease.MutexOptions
	}{"no name": {}, "negative TTL": {"n", lease.MutexOptions{TTL: -1}}, "short TTL": {"n", lease.MutexOptions{TTL: ms}}} {
		if _, err := l.Mutex(tt.name, tt.opts); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	only := open(t, leaserOnly{m}, lease.Options{})
	if _, err := only.Mutex("n", lease.MutexOptions{}); err != lease.ErrNoLocker {
		t.Errorf("got %v", err)
	}
	beside := open(t, leaserOnly{m}, lease.Options{Locker: m})
	mu, err := beside.Mutex("n", lease.MutexOptions{})
	if err != nil {
		t.Fatal(err)
	}
	k, ok, err := mu.TryLock(t.Context())
	if !ok || err != nil {
		t.Fatalf("TryLock: %v, %v", ok, err)
	}
	if err := k.Extend(t.Context(), ms); err == nil || errors.Is(err, lease.ErrLost) {
		t.Errorf("a short TTL: %v", err)
	}
	if err := k.Unlock(t.Context()); err != nil {
		t.Error(err)
	}
}
