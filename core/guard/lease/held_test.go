package lease_test

import (
	"context"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/guard/lease"
	"github.com/strata-cache/strata/core/store"
)

func lost(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// A lease is renewed at a third of its TTL until it is ended, and not after.
func TestRenewal(t *testing.T) {
	for name, end := range map[string]func(*lease.Held) error{
		"Store":   func(h *lease.Held) error { _, err := h.Store(context.Background(), entry(1)); return err },
		"Release": func(h *lease.Held) error { return h.Release(context.Background(), store.LeaseFree, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				m := newMemory()
				held := take(t, open(t, m, lease.Options{TTL: 9 * second}), "k")
				pause(60*second + ms)
				if n := m.count("RenewLease"); n != 20 || lost(held.Lost()) {
					t.Errorf("%d renewals, want 20; lost %v", n, lost(held.Lost()))
				}
				m.mu.Lock()
				alive := m.lease("k") != nil
				m.mu.Unlock()
				if !alive {
					t.Error("the lease has run out")
				}
				if err := end(held); err != nil {
					t.Error(err)
				}
				pause(60 * second)
				if n := m.count("RenewLease"); n != 20 || lost(held.Lost()) {
					t.Errorf("%d renewals, want 20; lost %v", n, lost(held.Lost()))
				}
			})
		})
	}
}

// When it is noticed that a lease is gone.
func TestLost(t *testing.T) {
	tests := []struct {
		name string
		sick func(since time.Duration) bool
		gone bool // it is deleted at once
		want time.Duration
	}{
		{name: "deleted", gone: true, want: 3 * second},
		{name: "the store fails for good", sick: func(time.Duration) bool { return true }, want: 9 * second},
		{name: "the store fails for a while", sick: func(d time.Duration) bool { return d < 8*second }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				m := newMemory()
				held := take(t, open(t, m, lease.Options{TTL: 9 * second}), "k")
				begin := time.Now()
				m.mu.Lock()
				m.before = func(string) error {
					if tt.sick != nil && tt.sick(time.Since(begin)) {
						return errSick
					}
					return nil
				}
				m.mu.Unlock()
				if tt.gone {
					m.drop("k")
				}
				if tt.want == 0 {
					pause(20 * second)
					if lost(held.Lost()) {
						t.Error("lost")
					}
					if ok, err := held.Store(t.Context(), entry(1)); !ok || err != nil {
						t.Errorf("Store: %v, %v", ok, err)
					}
					return
				}
				<-held.Lost()
				if took := time.Since(begin); took != tt.want {
					t.Errorf("noticed after %v, want %v", took, tt.want)
				}
				m.mu.Lock()
				m.before = nil
				m.mu.Unlock()
				if ok, err := held.Store(t.Context(), entry(1)); ok || err != nil {
					t.Errorf("Store: %v, %v", ok, err)
				}
			})
		})
	}
}

func TestLateStoreIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		l := open(t, m, lease.Options{})
		late := take(t, l, "k")
		m.drop("k")
		held := take(t, l, "k")
		if ok, err := late.Store(t.Context(), entry(1)); ok || err != nil {
			t.Errorf("Store: %v, %v", ok, err)
		}
		if ok, err := held.Store(t.Context(), entry(2)); !ok || err != nil {
			t.Errorf("Store: %v, %v", ok, err)
		}
		for range 2 { // it has been ended
			if ok, err := held.Store(t.Context(), entry(3)); ok || err != nil {
				t.Errorf("Store: %v, %v", ok, err)
			}
			if err := held.Release(t.Context(), store.LeaseFailed, second); err != nil {
				t.Error(err)
			}
		}
		if out, err := l.TryAcquire(t.Context(), "k", nil); err != nil || out.Entry == nil || out.Entry.Created != 2 {
			t.Errorf("got %+v, %v", out, err)
		}
	})
}

// What could not be released is released behind: those who wait do not wait for the TTL.
func TestReleaseBehind(t *testing.T) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for name, tt := range map[string]struct {
		end  func(*lease.Held) error
		want lease.Status
	}{
		"Release whose context has ended": {
			func(h *lease.Held) error { return h.Release(ended, store.LeaseFailed, second) }, lease.Told,
		},
		"Store that fails": {
			func(h *lease.Held) error { _, err := h.Store(ended, entry(1)); return err }, lease.Granted,
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				m := newMemory()
				l := open(t, m, lease.Options{})
				held := take(t, l, "k")
				got := acquire(t.Context(), l, nil, 0, nil)
				m.mu.Lock()
				fails := 2
				m.before = func(op string) error {
					if op == "ReleaseLease" && fails > 0 {
						fails--
						return errSick
					}
					return nil
				}
				m.mu.Unlock()
				if err := tt.end(held); err == nil {
					t.Error("no error")
				}
				if r := <-got; r.err != nil || r.out.Status != tt.want || r.took != 150*ms {
					t.Errorf("got %+v", r)
				}
			})
		})
	}
}

// slowGrants is a store whose answer to Lease takes its time.
type slowGrants struct {
	*memory

	by time.Duration
}

func (s slowGrants) Lease(ctx context.Context, key string, r store.LeaseRequest) (store.Lease, error) {
	got, err := s.memory.Lease(ctx, key, r)
	pause(s.by)
	return got, err
}

// A lease whose grant was long on its way is renewed at once: it is not taken for lost.
func TestSlowGrant(t *testing.T) {
	for _, by := range []time.Duration{2 * second, 4 * second, 9*second - ms} {
		t.Run(by.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				m := newMemory()
				held := take(t, open(t, slowGrants{m, by}, lease.Options{TTL: 9 * second}), "k")
				pause(20 * second)
				if ok, err := held.Store(t.Context(), entry(1)); !ok || err != nil || lost(held.Lost()) {
					t.Errorf("Store: %v, %v; lost %v", ok, err, lost(held.Lost()))
				}
			})
		})
	}
}
