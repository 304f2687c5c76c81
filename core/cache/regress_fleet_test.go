package cache_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/redisstore"
	"github.com/strata-cache/strata/internal/testserver"
)

// settling is what a call is given to come to where it waits, which shows nowhere. One that comes later meets less of
// what the test is about, and passes.
const settling = 200 * time.Millisecond

// fleetOf are n nodes that have found the log of their server.
func fleetOf(t *testing.T, n int, opts cache.Options) (*testserver.Server, []*cache.Cache) {
	t.Helper()
	srv := testserver.Redis(t)
	var nodes []*cache.Cache
	for range n {
		c := member(t, srv, opts)
		_, _ = c.Has(ctx, "k")
		nodes = append(nodes, c)
	}
	return srv, nodes
}

// abreast waits until the nodes have applied what from has.
func abreast(t *testing.T, from *cache.Cache, nodes ...*cache.Cache) {
	t.Helper()
	space := func(c *cache.Cache) *cache.Space { return cache.Must(c.NewSpace("position", event.LayerPage)) }
	end := space(from).Stamp()
	for _, c := range nodes {
		s := space(c)
		within(t, 10*time.Second, "the log is applied", func() bool { return s.Stamp().Compare(end) >= 0 })
	}
}

// crowd counts those who were not joined by all the others in time.
type crowd struct {
	missing, alone atomic.Int32
	all            chan struct{}
}

func crowdOf(n int32) *crowd {
	c := &crowd{all: make(chan struct{})}
	c.missing.Store(n)
	return c
}

// meet waits for the others.
func (c *crowd) meet() {
	if c.missing.Add(-1) == 0 {
		close(c.all)
	}
	timeout := time.NewTimer(3 * time.Second)
	defer timeout.Stop()
	select {
	case <-c.all:
	case <-timeout.C:
		c.alone.Add(1)
	}
}

// TestALoaderWhoseCallerLeftFailsNobodyElsewhere: a cancellation is an error of the caller's node alone.
func TestALoaderWhoseCallerLeftFailsNobodyElsewhere(t *testing.T) {
	_, n := fleetOf(t, 2, patient())
	inside := make(chan struct{})
	leaving, leave := context.WithCancel(ctx)
	defer leave()
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = cache.Fetch(leaving, n[0], "k", func(ctx context.Context) (int, error) {
			close(inside)
			<-ctx.Done()
			return 0, ctx.Err()
		})
	})
	<-inside
	wg.Go(func() { want(t, 2)(cache.Fetch(ctx, n[1], "k", func(context.Context) (int, error) { return 2, nil })) })
	_ = pause(ctx, settling)
	leave()
	wg.Wait()
}

// TestLoadsThatStoreNothingRunSideBySide: once it is known that a key's loads say NoStore, no node waits for another's.
func TestLoadsThatStoreNothingRunSideBySide(t *testing.T) {
	_, n := fleetOf(t, 4, patient())
	load := func(c *crowd) func(context.Context) (int, error) {
		return func(ctx context.Context) (int, error) {
			cache.LoadFrom(ctx).NoStore()
			c.meet()
			return 1, nil
		}
	}
	want(t, 1)(cache.Fetch(ctx, n[0], "k", load(crowdOf(1))))
	all := crowdOf(4)
	var wg sync.WaitGroup
	for _, c := range n {
		wg.Go(func() { want(t, 1)(cache.Fetch(ctx, c, "k", load(all))) })
	}
	wg.Wait()
	if a := all.alone.Load(); a > 0 {
		t.Errorf("%d of 4 loads ran alone", a)
	}
}

// TestLoadsOfAHeldKeyRunSideBySide: while a write holds a key nothing is stored under it, so no node waits for another's load.
func TestLoadsOfAHeldKeyRunSideBySide(t *testing.T) {
	_, n := fleetOf(t, 4, patient())
	all := crowdOf(4)
	must(t, n[0].Update(ctx, "k", func(context.Context) error {
		abreast(t, n[0], n[1:]...)
		var wg sync.WaitGroup
		for _, c := range n {
			wg.Go(func() {
				want(t, 1)(cache.Fetch(ctx, c, "k", func(context.Context) (int, error) { all.meet(); return 1, nil }))
			})
		}
		wg.Wait()
		return nil
	}))
	if a := all.alone.Load(); a > 0 {
		t.Errorf("%d of 4 loads ran alone", a)
	}
}

// gatedLeases is a node's store whose requests for leases wait at a gate, once there is one.
type gatedLeases struct {
	*redisstore.Store
	gate atomic.Pointer[chan struct{}]
	in   chan struct{}
}

func (g *gatedLeases) Lease(ctx context.Context, key string, r store.LeaseRequest) (store.Lease, error) {
	if gate := g.gate.Load(); gate != nil {
		g.in <- struct{}{}
		<-*gate
	}
	return g.Store.Lease(ctx, key, r)
}

// TestARenewalThatIsLeftToAnotherNodeIsNobodysError: who has joined a load in the background that finds the lease taken waits for the value like anybody.
func TestARenewalThatIsLeftToAnotherNodeIsNobodysError(t *testing.T) {
	srv := testserver.Redis(t)
	a := shared(t, srv, patient())
	_, _ = a.Has(ctx, "k")
	st := &gatedLeases{
		Store: cache.Must(redisstore.Open(srv.URL(), redisstore.Options{Prefix: "fleet:", OpTimeout: 5 * time.Second})),
		in:    make(chan struct{}, 10),
	}
	b := open(t, st, patient())
	_, _ = b.Has(ctx, "k")
	kind := func(c *cache.Cache, load func(context.Context, int) (int, error)) *cache.Kind[int, int] {
		return cache.Must(cache.NewKind(c, "k", cache.KindOptions[int, int]{
			Load: load, Fallback: func(context.Context, int) (int, error) { return -1, nil },
		}))
	}
	inside, goOn := make(chan struct{}), make(chan struct{})
	ka := kind(a, func(context.Context, int) (int, error) { close(inside); <-goOn; return 1, nil })
	kb := kind(b, func(context.Context, int) (int, error) { return 2, nil })
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = ka.GetMany(ctx, []int{7}) })
	<-inside
	gate := make(chan struct{})
	st.gate.Store(&gate)
	want(t, -1)(kb.Get(ctx, 7)) // which begins a load behind
	<-st.in
	wg.Go(func() {
		if got, err := kb.GetMany(ctx, []int{7}); err != nil {
			t.Errorf("got %v, %v", got, err)
		}
	})
	_ = pause(ctx, settling)
	st.gate.Store(nil)
	close(gate)
	_ = pause(ctx, settling)
	close(goOn)
	wg.Wait()
}

// TestImpatientCallersOfAHungStoreAreServedInTheEnd: callers who leave before the store's deadline count as its failures too, so that the loader is asked without it.
func TestImpatientCallersOfAHungStoreAreServedInTheEnd(t *testing.T) {
	srv := testserver.Redis(t)
	opts := steady()
	opts.StoreTimeout = 400 * time.Millisecond
	c := shared(t, srv, opts)
	must(t, cache.Set(ctx, c, "k", 1))
	srv.Pause()
	defer srv.Resume()
	for range 20 {
		impatient, cancel := context.WithTimeout(ctx, 150*time.Millisecond)
		_, err := cache.Fetch(impatient, c, "x", func(context.Context) (int, error) { return 1, nil })
		cancel()
		if err == nil {
			return
		}
	}
	t.Error("none of 20 callers with 150 ms each got what the loader has at once")
}

// TestACloseGivesLeasesBack: what a closed cache was loading is loaded elsewhere without waiting for its leases to end.
func TestACloseGivesLeasesBack(t *testing.T) {
	srv := testserver.Redis(t)
	opts := patient()
	opts.LeaseTTL = 30 * time.Second
	opts.Policy.HardTimeout = 30 * time.Second
	a, b := shared(t, srv, opts), shared(t, srv, opts)
	_, _ = a.Has(ctx, "k")
	_, _ = b.Has(ctx, "k")
	inside, goOn := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = cache.Fetch(ctx, a, "k", func(context.Context) (int, error) { close(inside); <-goOn; return 1, nil })
	})
	<-inside
	must(t, a.Close())
	close(goOn)
	wg.Wait()
	began := time.Now()
	want(t, 2)(cache.Fetch(ctx, b, "k", func(context.Context) (int, error) { return 2, nil }))
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("waited %v for the lease of a closed cache", took)
	}
}

// TestAnOverloadIsOfItsNodeAlone: a load that one node sheds is not shed where there is room for it.
func TestAnOverloadIsOfItsNodeAlone(t *testing.T) {
	opts := patient()
	opts.Policy.MaxLoads, opts.Policy.LoadWait = 1, -1
	_, n := fleetOf(t, 2, opts)
	inside, goOn := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = cache.Fetch(ctx, n[0], "busy", func(context.Context) (int, error) { close(inside); <-goOn; return 1, nil })
	})
	<-inside
	wantErr[int](t, cache.ErrOverload)(cache.Fetch(ctx, n[0], "k", func(context.Context) (int, error) { return 1, nil }))
	want(t, 2)(cache.Fetch(ctx, n[1], "k", func(context.Context) (int, error) { return 2, nil }))
	close(goOn)
	wg.Wait()
}

// TestStaleStandsInWhereLoaderAndServerAreDown: the first tier's copy is served, though the second cannot be asked.
func TestStaleStandsInWhereLoaderAndServerAreDown(t *testing.T) {
	opts := patient()
	opts.StoreTimeout = time.Second
	opts.Policy.StaleFor, opts.Policy.RefreshAt = time.Hour, -1
	srv, n := fleetOf(t, 1, opts)
	short := cache.TTL(50 * time.Millisecond)
	want(t, 1)(cache.Fetch(ctx, n[0], "k", func(context.Context) (int, error) { return 1, nil }, short))
	srv.Kill()
	within(t, 10*time.Second, "the value is stale", func() bool {
		_, err := cache.Get[int](ctx, n[0], "k")
		return errors.Is(err, cache.ErrMiss)
	})
	for range 8 {
		want(t, 1)(cache.Fetch(ctx, n[0], "k", func(context.Context) (int, error) { return 0, errLoad }, short))
	}
}

// TestAHeartbeatFitsWhatItGuards: one too slow for the copies it vouches for, or too fast for a busy process, is refused.
func TestAHeartbeatFitsWhatItGuards(t *testing.T) {
	for _, tt := range []struct {
		name                string
		heartbeat, degraded time.Duration
		ok                  bool
	}{
		{"half", 250 * time.Millisecond, 500 * time.Millisecond, true},
		{"more than half", 251 * time.Millisecond, 500 * time.Millisecond, false},
		{"more than half of the default", 3 * time.Second, 0, false},
		{"longer than the copies live", 2 * time.Second, 500 * time.Millisecond, false},
		{"the shortest", 10 * time.Millisecond, 0, true},
		{"below the shortest", 9 * time.Millisecond, 0, false},
		{"chosen to fit", 0, 300 * time.Millisecond, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opts := steady()
			opts.Heartbeat, opts.DegradedL1TTL = tt.heartbeat, tt.degraded
			st := memory(t)
			c, err := cache.New(st, opts)
			if (err == nil) != tt.ok {
				t.Errorf("New: %v", err)
			}
			if c != nil && err == nil {
				must(t, c.Close())
				return
			}
			must(t, st.Close())
		})
	}
}
