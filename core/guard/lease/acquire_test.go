package lease_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-cache/strata/core/guard/lease"
	"github.com/strata-cache/strata/core/store"
)

func TestOneLoad(t *testing.T) {
	for _, keyOnly := range []bool{false, true} {
		t.Run(fmt.Sprintf("key only %v", keyOnly), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				m := newMemory()
				m.keyOnly = keyOnly
				var all []*lease.Leases
				for range 8 {
					all = append(all, open(t, m, lease.Options{}))
				}
				for round := range 2 {
					key := fmt.Sprint("k", round)
					before := m.count("Lease")
					var wg sync.WaitGroup
					for _, l := range all {
						for range 50 {
							wg.Go(func() {
								out, err := l.Acquire(t.Context(), key, nil, 0, nil)
								if err == nil && out.Status == lease.Granted {
									pause(150 * ms)
									if ok, err := out.Held.Store(t.Context(), entry(1)); !ok || err != nil {
										t.Errorf("Store: %v, %v", ok, err)
									}
								} else if err != nil || out.Status != lease.Found || out.Entry.Created != 1 || out.Waited != 150*ms {
									t.Errorf("got %+v, %v", out, err)
								}
							})
						}
					}
					wg.Wait()
					if n := m.granted(); n != round+1 {
						t.Errorf("%d grants in %d rounds", n, round+1)
					}
					// Once the connections stand, a follower costs one command, and another one where the value does
					// not travel with the wake-up.
					want := 400
					if keyOnly {
						want += 399
					}
					if n := m.count("Lease") - before; round == 1 && n != want {
						t.Errorf("%d commands, want %d", n, want)
					}
				}
			})
		})
	}
}

// What a waiter gets, and when, by what becomes of the lease that another process holds for 100 ms.
func TestOutcomes(t *testing.T) {
	type end func(*memory, *lease.Held)
	ctx := context.Background()
	stored := func(created int64) end {
		return func(_ *memory, h *lease.Held) { _, _ = h.Store(ctx, entry(created)) }
	}
	release := func(r store.LeaseResult, backOff time.Duration) end {
		return func(_ *memory, h *lease.Held) { _ = h.Release(ctx, r, backOff) }
	}
	tests := []struct {
		name    string
		end     end // at 100 ms
		seen    *store.Entry
		invalid int64 // Created of an entry that is not valid
		budget  time.Duration
		timeout time.Duration
		want    lease.Status
		result  store.LeaseResult
		backOff time.Duration
		waited  time.Duration
	}{
		{name: "stored", end: stored(7), want: lease.Found, waited: 100 * ms},
		{name: "stored, and invalid", end: stored(7), invalid: 7, want: lease.Granted, waited: 100 * ms},
		{name: "stored what was seen", end: stored(7), seen: entry(7), want: lease.Granted, waited: 100 * ms},
		{name: "not found", end: release(store.LeaseNotFound, 0), want: lease.Told, result: store.LeaseNotFound, waited: 100 * ms},
		{name: "failed", end: release(store.LeaseFailed, second), want: lease.Told, result: store.LeaseFailed, backOff: second, waited: 100 * ms},
		{name: "given up", end: release(store.LeaseFree, 0), want: lease.Granted, waited: 100 * ms},
		{name: "invalidated", end: func(m *memory, _ *lease.Held) { m.drop("k") }, want: lease.Granted, waited: 200 * ms},
		{name: "never ends, and the budget does", end: func(*memory, *lease.Held) {}, budget: 500 * ms, want: lease.Busy, waited: 500 * ms},
		{name: "never ends, and the context does", end: func(*memory, *lease.Held) {}, timeout: 400 * ms, want: lease.Busy, waited: 400 * ms},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				m := newMemory()
				held := take(t, open(t, m, lease.Options{}), "k")
				ctx := t.Context()
				if tt.timeout > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.timeout)
					defer cancel()
				}
				valid := func(e *store.Entry) bool { return e.Created != tt.invalid }
				got := acquire(ctx, open(t, m, lease.Options{}), tt.seen, tt.budget, valid)
				pause(100 * ms)
				tt.end(m, held)
				r := <-got
				if r.err != nil || r.out.Status != tt.want || r.out.Result != tt.result || r.out.BackOff != tt.backOff || r.out.Waited != tt.waited || r.took != tt.waited {
					t.Errorf("got %+v, %v after %v", r.out, r.err, r.took)
				}
				if (r.out.Held != nil) != (tt.want == lease.Granted) || (r.out.Entry != nil) != (tt.want == lease.Found) {
					t.Errorf("got %+v", r.out)
				}
				release(store.LeaseFree, 0)(m, held)
				if r.out.Held != nil {
					release(store.LeaseFree, 0)(m, r.out.Held)
				}
			})
		})
	}
}

func TestAnswersAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		l := open(t, m, lease.Options{})
		ask := map[string]func(*store.Entry) (lease.Outcome, error){
			"Acquire":    func(seen *store.Entry) (lease.Outcome, error) { return l.Acquire(t.Context(), "k", seen, 0, nil) },
			"TryAcquire": func(seen *store.Entry) (lease.Outcome, error) { return l.TryAcquire(t.Context(), "k", seen) },
		}
		begin := time.Now()
		for name, ask := range ask {
			m.put("k", entry(3))
			if out, err := ask(nil); err != nil || out.Status != lease.Found || out.Entry.Created != 3 || out.Waited != 0 {
				t.Errorf("%s: got %+v, %v", name, out, err)
			}
			out, err := ask(entry(3))
			if err != nil || out.Status != lease.Granted {
				t.Fatalf("%s: got %+v, %v", name, out, err)
			}
			m.drop("other")
			if err := out.Held.Release(t.Context(), store.LeaseNotFound, second); err != nil {
				t.Error(err)
			}
			pause(second / 4)
			out, err = ask(entry(3))
			if err != nil || out.Status != lease.Told || out.Result != store.LeaseNotFound || out.BackOff != 3*second/4 {
				t.Errorf("%s: got %+v, %v", name, out, err)
			}
			m.drop("k")
		}
		if took := time.Since(begin); took != second/2 {
			t.Errorf("waited for %v", took-second/2)
		}
		take(t, l, "k")
		if out, err := ask["TryAcquire"](nil); err != nil || out.Status != lease.Busy || time.Since(begin) != second/2 {
			t.Errorf("got %+v, %v", out, err)
		}
		if m.listeners() != 0 {
			t.Error("it listens though nobody has waited")
		}
		if n := m.count("Lease"); n != 8 {
			t.Errorf("%d round trips, want 8", n)
		}
	})
}

// A holder that has died costs its TTL, and one more grant.
func TestDeadHolder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		// Nobody renews it.
		if got, err := m.Lease(t.Context(), "k", store.LeaseRequest{Token: "dead", TTL: lease.DefaultTTL}); err != nil || !got.Granted {
			t.Fatalf("got %+v, %v", got, err)
		}
		l := open(t, m, lease.Options{})
		begin := time.Now()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				out, err := l.Acquire(t.Context(), "k", nil, 0, nil)
				if out.Status == lease.Granted {
					if waited := time.Since(begin); waited < 10*second || waited > 10*second+ms {
						t.Errorf("granted after %v", waited)
					}
					_, _ = out.Held.Store(t.Context(), entry(1))
				} else if out.Status != lease.Found || err != nil {
					t.Errorf("got %+v, %v", out, err)
				}
			})
		}
		wg.Wait()
		if m.granted() != 2 {
			t.Errorf("%d grants, want 2", m.granted())
		}
	})
}

// A load that fails is told to all: they do not load one after the other.
func TestNoConvoy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		all := []*lease.Leases{open(t, m, lease.Options{}), open(t, m, lease.Options{})}
		begin := time.Now()
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				out, err := all[i%2].Acquire(t.Context(), "k", nil, 0, nil)
				if out.Status == lease.Granted {
					pause(100 * ms)
					_ = out.Held.Release(t.Context(), store.LeaseFailed, 200*ms)
				} else if err != nil || out.Result != store.LeaseFailed || out.BackOff != 200*ms {
					t.Errorf("got %+v, %v", out, err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(begin); m.granted() != 1 || took != 100*ms {
			t.Errorf("%d loads in %v", m.granted(), took)
		}
	})
}

// When a waiter asks again by itself.
func TestPolls(t *testing.T) {
	tests := []struct {
		name string
		set  func(*memory)
		opts lease.Options
		want []time.Duration
	}{
		{
			"while it cannot be woken", func(m *memory) {
				m.before = func(op string) error {
					if op == "Wakes" {
						return errSick
					}
					return nil
				}
			}, lease.Options{}, []time.Duration{0, 25 * ms, 75 * ms, 175 * ms, 375 * ms, 575 * ms, 775 * ms, 975 * ms},
		},
		{
			"when a wake-up is lost", func(m *memory) { m.deaf = true },
			lease.Options{}, []time.Duration{0, 0, 200 * ms, 400 * ms, 600 * ms, 800 * ms, 1000 * ms},
		},
		{
			"other pauses", func(m *memory) { m.deaf = true },
			lease.Options{PollMax: 450 * ms}, []time.Duration{0, 0, 450 * ms, 900 * ms},
		},
		{"not at all", func(m *memory) { m.deaf = true }, lease.Options{Poll: -1}, []time.Duration{0, 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				m := newMemory()
				held := take(t, open(t, m, lease.Options{}), "k")
				defer func() { _ = held.Release(t.Context(), store.LeaseFree, 0) }()
				tt.set(m)
				var asked []time.Duration
				begin := time.Now()
				before := m.before
				m.before = func(op string) error {
					if op == "Lease" {
						asked = append(asked, time.Since(begin))
					}
					if before != nil {
						return before(op)
					}
					return nil
				}
				out, err := open(t, m, tt.opts).Acquire(t.Context(), "k", nil, 1010*ms, nil)
				if out.Status != lease.Busy || err != nil || !slices.Equal(asked, tt.want) {
					t.Errorf("got %+v, %v; asked at %v, want %v", out, err, asked, tt.want)
				}
			})
		})
	}
}

// Entries that are not valid, one after the other, are no reason to ask without a pause.
func TestInvalidEntries(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		created := int64(0)
		m.before = func(op string) error {
			if op == "Lease" { // somebody else stores all the time
				created++
				m.entries["k"] = entry(created)
			}
			return nil
		}
		l := open(t, m, lease.Options{})
		out, err := l.Acquire(t.Context(), "k", nil, second, func(*store.Entry) bool { return false })
		if out.Status != lease.Busy || err != nil || created > 100 {
			t.Errorf("got %+v, %v after %d round trips", out, err, created)
		}
	})
}

func TestErrorsOfTheStore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		sick := true
		m.before = func(string) error {
			if sick {
				return errSick
			}
			return nil
		}
		l := open(t, m, lease.Options{})
		begin := time.Now()
		if _, err := l.Acquire(t.Context(), "k", nil, 0, nil); err != errSick || time.Since(begin) != 0 {
			t.Errorf("got %v after %v", err, time.Since(begin))
		}
		if _, err := l.TryAcquire(t.Context(), "k", nil); err != errSick || time.Since(begin) != 0 {
			t.Errorf("got %v after %v", err, time.Since(begin))
		}
		m.mu.Lock()
		sick = false
		m.mu.Unlock()
		held := take(t, l, "k")
		got := acquire(t.Context(), l, nil, 0, nil)
		m.mu.Lock()
		sick = true
		m.mu.Unlock()
		if r := <-got; r.err != errSick || r.took > 200*ms {
			t.Errorf("a waiter got %+v", r)
		}
		m.mu.Lock()
		sick = false
		m.mu.Unlock()
		if ok, err := held.Store(t.Context(), entry(1)); !ok || err != nil {
			t.Errorf("Store: %v, %v", ok, err)
		}
	})
}

// A request whose answer is lost may have been granted: nobody else must wait for it until its TTL ends.
func TestLostAnswers(t *testing.T) {
	tests := []struct {
		name string
		op   string
		try  func(*lease.Leases, context.Context) error
	}{
		{"of Acquire", "Lease", func(l *lease.Leases, ctx context.Context) error {
			_, err := l.Acquire(ctx, "k", nil, 0, nil)
			return err
		}},
		{"of TryAcquire", "Lease", func(l *lease.Leases, ctx context.Context) error {
			_, err := l.TryAcquire(ctx, "k", nil)
			return err
		}},
		{"of Lock", "Lock", func(l *lease.Leases, ctx context.Context) error {
			mutex, err := l.Mutex("k", lease.MutexOptions{})
			if err == nil {
				_, err = mutex.Lock(ctx)
			}
			return err
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				m := newMemory()
				sick, failed := false, false
				m.after = func(op string) error {
					if op == tt.op && !failed {
						failed, sick = true, true
						return errSick
					}
					return nil
				}
				m.before = func(string) error {
					if sick {
						return errSick
					}
					return nil
				}
				if err := tt.try(open(t, m, lease.Options{}), t.Context()); err != errSick {
					t.Fatalf("got %v", err)
				}
				pause(500 * ms)
				m.mu.Lock()
				sick = false
				m.mu.Unlock()
				begin := time.Now()
				l := open(t, m, lease.Options{})
				if err := tt.try(l, t.Context()); err != nil || time.Since(begin) > second {
					t.Errorf("got %v after %v", err, time.Since(begin))
				}
			})
		})
	}
}

func TestClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMemory()
		l := open(t, m, lease.Options{})
		held := take(t, l, "k")
		got := acquire(t.Context(), l, nil, 0, nil)
		mutex, err := l.Mutex("name", lease.MutexOptions{})
		if err != nil {
			t.Fatal(err)
		}
		lock, _, err := mutex.TryLock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		waits := make(chan error, 1)
		go func() { _, err := mutex.Lock(t.Context()); waits <- err }()
		synctest.Wait()
		for range 2 {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}
		if r := <-got; r.err != lease.ErrClosed || r.took != 0 {
			t.Errorf("a waiter got %+v", r)
		}
		if err := <-waits; err != lease.ErrClosed {
			t.Errorf("Lock: %v", err)
		}
		if m.listeners() != 0 {
			t.Error("it still listens")
		}
		if _, err := l.Acquire(t.Context(), "k", nil, 0, nil); err != lease.ErrClosed {
			t.Errorf("Acquire: %v", err)
		}
		if _, err := l.TryAcquire(t.Context(), "k", nil); err != lease.ErrClosed {
			t.Errorf("TryAcquire: %v", err)
		}
		if _, _, err := mutex.TryLock(t.Context()); err != lease.ErrClosed {
			t.Errorf("TryLock: %v", err)
		}
		// What was held was given back: the next one need not wait for a process that is going.
		if ok, err := held.Store(t.Context(), entry(1)); ok || err != nil {
			t.Errorf("Store: %v, %v", ok, err)
		}
		next := open(t, m, lease.Options{})
		if out, err := next.TryAcquire(t.Context(), "k", nil); err != nil || out.Status != lease.Granted {
			t.Errorf("the next one: %v, %v", out.Status, err)
		} else if err := out.Held.Release(t.Context(), store.LeaseFree, 0); err != nil {
			t.Error(err)
		}
		if err := lock.Unlock(t.Context()); err != nil {
			t.Errorf("Unlock: %v", err)
		}
	})
}

func TestOptions(t *testing.T) {
	m := newMemory()
	for name, opts := range map[string]lease.Options{
		"negative TTL": {TTL: -1}, "short TTL": {TTL: ms}, "PollMax below Poll": {PollMax: ms},
		"negative PollMax": {Poll: -2, PollMax: -1}, "long node": {Node: string(make([]byte, 65))},
	} {
		if _, err := lease.New(m, opts); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := lease.New(nil, lease.Options{}); err == nil {
		t.Error("no store: no error")
	}
	if _, err := lease.New(m, lease.Options{Poll: second}); err != nil {
		t.Error(err)
	}
	for s, want := range map[lease.Status]string{lease.Busy: "busy", lease.Found: "found", lease.Granted: "granted", lease.Told: "told", 9: "invalid"} {
		if s.String() != want {
			t.Errorf("%d is %q", s, s)
		}
	}
	if errors.Is(lease.ErrLost, lease.ErrClosed) {
		t.Error("one error for two")
	}
}
