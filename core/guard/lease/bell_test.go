package lease_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-cache/strata/core/guard/lease"
	"github.com/strata-cache/strata/core/store"
)

// The connection for wake-ups is opened by the first wait, and closed when nobody has waited for a while.
func TestIdleConnection(t *testing.T) {
	for name, tt := range map[string]struct {
		idle time.Duration
		want int // listeners after 30 s
	}{"default": {0, 1}, "short": {10 * second, 0}, "never": {-1, 1}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				m := newMemory()
				l := open(t, m, lease.Options{Idle: tt.idle})
				for range 3 {
					held := take(t, l, "k")
					got := acquire(t.Context(), l, nil, 0, nil)
					if m.listeners() != 1 {
						t.Errorf("%d listeners", m.listeners())
					}
					pause(30*second + 50*ms) // somebody waits, and does not ask just now
					if m.listeners() != 1 {
						t.Errorf("%d listeners during a wait", m.listeners())
					}
					_ = held.Release(t.Context(), store.LeaseNotFound, 0)
					<-got
					pause(30 * second)
					if m.listeners() != tt.want {
						t.Errorf("%d listeners, want %d", m.listeners(), tt.want)
					}
				}
			})
		})
	}
}

// A connection that fails costs polls, and comes back.
func TestCutConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		var log bytes.Buffer
		l := open(t, m, lease.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		holder := open(t, m, lease.Options{})
		held := take(t, holder, "k")
		got := acquire(t.Context(), l, nil, 0, nil)
		m.mu.Lock()
		m.before = func(op string) error {
			if op == "Wakes" {
				return errSick
			}
			return nil
		}
		m.mu.Unlock()
		pause(100 * ms)
		m.cut()
		synctest.Wait()
		_, _ = held.Store(t.Context(), entry(1)) // nobody hears it
		if r := <-got; r.out.Status != lease.Found || r.err != nil || r.took > 125*ms {
			t.Errorf("got %+v", r)
		}

		m.drop("k")
		held = take(t, holder, "k")
		got = acquire(t.Context(), l, nil, 0, nil)
		tries := m.count("Wakes")
		pause(20 * second)
		if n := m.count("Wakes") - tries; n < 15 || n > 30 {
			t.Errorf("%d attempts in 20 s", n)
		}
		m.mu.Lock()
		m.before = nil
		m.mu.Unlock()
		pause(second)
		if m.listeners() != 1 {
			t.Fatal("it has not come back")
		}
		begin := time.Now()
		_, _ = held.Store(t.Context(), entry(2))
		if r := <-got; r.out.Status != lease.Found || r.out.Entry.Created != 2 || time.Since(begin) != 0 {
			t.Errorf("got %+v, %v after it was stored", r, time.Since(begin))
		}
		_ = l.Close()
		if n := strings.Count(log.String(), "wake-ups"); n != 1 {
			t.Errorf("logged %d times: %s", n, log.String())
		}
	})
}

// A wake-up that was sent before the connection stood is made up for by asking again.
func TestWakeBeforeReady(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		l := open(t, m, lease.Options{Poll: -1})
		held := take(t, open(t, m, lease.Options{}), "k")
		m.mu.Lock()
		m.before = func(op string) error {
			if op == "Wakes" { // stored while it connects
				delete(m.leases, "k")
				m.entries["k"] = entry(5)
			}
			return nil
		}
		m.mu.Unlock()
		out, err := l.Acquire(t.Context(), "k", nil, 0, nil)
		if err != nil || out.Status != lease.Found || out.Waited != 0 {
			t.Errorf("got %+v, %v", out, err)
		}
		_ = held.Release(t.Context(), store.LeaseFree, 0)
	})
}
