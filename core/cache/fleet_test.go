package cache_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/redisstore"
	"github.com/strata-cache/strata/core/store/tiered"
	"github.com/strata-cache/strata/internal/testserver"
)

// member is one process of a fleet, as far as one process can play several: its own first tier, connection and
// mirror.
func member(t testing.TB, srv *testserver.Server, opts cache.Options) *cache.Cache {
	t.Helper()
	remote := cache.Must(redisstore.Open(srv.URL(), redisstore.Options{Prefix: "fleet:", OpTimeout: opts.StoreTimeout}))
	st := cache.Must(tiered.New(tiered.Options{Tiers: []tiered.Tier{{Store: memory(t)}, {Store: remote}}}))
	return abreastOf(open(t, st, opts))
}

// abreastOf returns c once it has read the log: the first who finds none makes one, and what is older is not
// known to be valid.
func abreastOf(c *cache.Cache) *cache.Cache {
	_, _ = c.Has(ctx, "anything")
	return c
}

// shared is a node without a first tier.
func shared(t testing.TB, srv *testserver.Server, opts cache.Options) *cache.Cache {
	t.Helper()
	return abreastOf(open(t, cache.Must(redisstore.Open(srv.URL(), redisstore.Options{Prefix: "fleet:", OpTimeout: opts.StoreTimeout})), opts))
}

// patient are options with which a machine that is busy is not taken for a server that is.
func patient() cache.Options {
	o := steady()
	o.StoreTimeout, o.Heartbeat, o.DegradedL1TTL = 5*time.Second, 5*time.Second, time.Minute
	return o
}

// within fails the test unless is becomes true soon.
func within(t testing.TB, d time.Duration, what string, is func() bool) {
	t.Helper()
	deadline := time.After(d)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: not within %v", what, d)
		}
	}
}

func TestAWriteOnOneNodeReachesTheOthers(t *testing.T) {
	srv := testserver.Redis(t)
	a, b, c := member(t, srv, patient()), member(t, srv, patient()), shared(t, srv, patient())
	nodes := []*cache.Cache{a, b, c}
	is := func(key string, v any) {
		t.Helper()
		for i, n := range nodes {
			within(t, 2*time.Second, fmt.Sprintf("node %d sees %v", i, v), func() bool {
				got, err := cache.Get[string](ctx, n, key)
				return err == nil && got == v || v == nil && err != nil
			})
		}
	}
	for round := range 3 {
		for i, n := range nodes {
			v := fmt.Sprint(round, i)
			must(t, cache.Set(ctx, n, "k", v, cache.Tags("t")))
			want(t, v)(cache.Get[string](ctx, n, "k")) // at once where it was written
			is("k", v)
		}
		want(t, true)(nodes[round].Delete(ctx, "k"))
		is("k", nil)
		must(t, cache.Set(ctx, a, "k", "tagged", cache.Tags("t")))
		is("k", "tagged")
		must(t, nodes[round].InvalidateTags(ctx, "t"))
		want(t, false)(nodes[round].Has(ctx, "k"))
		is("k", nil)
		must(t, cache.Set(ctx, b, "k", "cleared"))
		is("k", "cleared")
		must(t, nodes[round].Clear(ctx))
		is("k", nil)
		want(t, true)(cache.Add(ctx, nodes[round], "k", "added"))
		is("k", "added")
		want(t, true)(nodes[round].Touch(ctx, "k", time.Hour))
		is("k", "added")
		want(t, 2)(nodes[round].WithVersion(1).BumpVersion(ctx, "k", 1))
		is("k", nil)
		want[int64](t, 1)(nodes[round].IncrOrInit(ctx, "n", 1))
		want[int64](t, 2)(a.Incr(ctx, "n", 1))
		want(t, int64(2))(cache.Get[int64](ctx, b, "n"))
		want(t, true)(c.Delete(ctx, "n"))
	}
}

func TestAFleetLoadsOnce(t *testing.T) {
	srv := testserver.Redis(t)
	var nodes []*cache.Cache
	var rec recorder
	opts := patient()
	opts.Observer = rec.observer()
	for range 4 {
		nodes = append(nodes, member(t, srv, opts))
	}
	for round := range 20 {
		var loads atomic.Int32
		var wg sync.WaitGroup
		key := fmt.Sprint("k", round)
		for _, n := range nodes {
			for range 20 {
				wg.Go(func() {
					want(t, 1)(cache.Fetch(ctx, n, key, func(ctx context.Context) (int, error) {
						n := loads.Add(1)
						return int(n), pause(ctx, 5*time.Millisecond)
					}))
				})
			}
		}
		wg.Wait()
		if loads.Load() != 1 {
			t.Errorf("round %d: %d loads; %v, %v", round, loads.Load(), rec.errs, rec.reasons())
		}
	}
}

// TestAFleetRemembersWhatDoesNotExist: those who wait for another node's load hear of it, and a write ends it
// everywhere.
func TestAFleetRemembersWhatDoesNotExist(t *testing.T) {
	srv := testserver.Redis(t)
	a, b := member(t, srv, patient()), member(t, srv, patient())
	var loads atomic.Int32
	missing := func(ctx context.Context) (int, error) {
		loads.Add(1)
		_ = pause(ctx, 50*time.Millisecond)
		return 0, cache.ErrNotFound
	}
	once := 0
	for round := range 5 {
		loads.Store(0)
		var wg sync.WaitGroup
		for _, n := range []*cache.Cache{a, b, a, b} {
			wg.Go(func() { wantErr[int](t, cache.ErrNotFound)(cache.Fetch(ctx, n, fmt.Sprint("k", round), missing)) })
		}
		wg.Wait()
		if loads.Load() == 1 {
			once++
		}
	}
	// Without being told, each node loads in every round. One that was not told loads once more, which is an
	// economy lost, and no wrong answer.
	if once < 3 {
		t.Errorf("loaded once in %d rounds of 5", once)
	}
	_, _ = cache.Fetch(ctx, b, "k", missing)
	must(t, cache.Set(ctx, a, "k", 5))
	within(t, time.Second, "the value is there", func() bool {
		v, err := cache.Fetch(ctx, b, "k", missing)
		return v == 5 && err == nil
	})
}

// TestUpdateHoldsOnEveryNode: a load on another node that reads while the write is under way is not stored.
func TestUpdateHoldsOnEveryNode(t *testing.T) {
	srv := testserver.Redis(t)
	a, b := member(t, srv, patient()), member(t, srv, patient())
	var db atomic.Int32
	db.Store(1)
	load := func(context.Context) (int, error) { return int(db.Load()), nil }
	want(t, 1)(cache.Fetch(ctx, a, "k", load))
	want(t, 1)(cache.Fetch(ctx, b, "k", load))
	must(t, a.Update(ctx, "k", func(context.Context) error {
		want(t, 1)(cache.Fetch(ctx, b, "k", load))
		want(t, 1)(cache.Fetch(ctx, a, "k", load))
		db.Store(2)
		return nil
	}))
	want(t, 2)(cache.Fetch(ctx, a, "k", load))
	within(t, time.Second, "node b sees the write", func() bool {
		v, err := cache.Fetch(ctx, b, "k", load)
		return v == 2 && err == nil
	})
}

// TestDependentsOnOtherNodesFollow: a view on one node ends with an object that another one has written.
func TestDependentsOnOtherNodesFollow(t *testing.T) {
	srv := testserver.Redis(t)
	open := func() *composed {
		remote := cache.Must(redisstore.Open(srv.URL(), redisstore.Options{OpTimeout: 5 * time.Second}))
		return compose(t, cache.Must(tiered.New(tiered.Options{Tiers: []tiered.Tier{{Store: memory(t)}, {Store: remote}}})), patient())
	}
	a := open()
	abreastOf(a.Cache)
	b := open()
	abreastOf(b.Cache)
	want(t, "ann;")(a.views.Get(ctx, "v"))
	want(t, "ann;")(b.views.Get(ctx, "v"))
	if a.made.Load()+b.made.Load() != 1 {
		t.Errorf("made %d times", a.made.Load()+b.made.Load())
	}
	a.db[1], b.db[1] = "eve", "eve"
	must(t, b.users.Set(ctx, 1, "eve"))
	want(t, "eve;")(b.views.Get(ctx, "v"))
	within(t, time.Second, "node a sees it", func() bool {
		v, err := a.views.Get(ctx, "v")
		return v == "eve;" && err == nil
	})
}

func TestAHungServerCostsADeadlineAndServesOn(t *testing.T) {
	srv := testserver.Redis(t)
	var states []event.Log
	var mu sync.Mutex
	opts := steady()
	opts.Heartbeat, opts.DegradedL1TTL = 100*time.Millisecond, 500*time.Millisecond
	opts.Observer = &event.Observer{Log: func(l event.Log) { mu.Lock(); defer mu.Unlock(); states = append(states, l) }}
	a := member(t, srv, opts)
	var loads atomic.Int32
	load := func(context.Context) (int, error) { return int(loads.Add(1)), nil }
	want(t, 1)(cache.Fetch(ctx, a, "k", load))
	srv.Pause()
	want(t, 1)(cache.Fetch(ctx, a, "k", load)) // from the first tier
	within(t, 5*time.Second, "blind", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(states) > 0 && states[len(states)-1].State == event.LogBlind
	})
	// What is served is never older than DegradedL1TTL; what is loaded meanwhile stays in this process.
	within(t, 5*time.Second, "loaded anew", func() bool {
		v, err := cache.Fetch(ctx, a, "k", load)
		must(t, err)
		return v > 1
	})
	n := loads.Load()
	for range 50 {
		if _, err := cache.Fetch(ctx, a, "k", load); err != nil {
			t.Fatal(err)
		}
	}
	if d := loads.Load() - n; d > 3 {
		t.Errorf("%d loads for 50 calls", d)
	}
	if err := a.InvalidateTags(ctx, "t"); err == nil {
		t.Error("an invalidation that nobody could be told of was acknowledged")
	}
	srv.Resume()
	within(t, 10*time.Second, "in step again", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return states[len(states)-1].State == event.LogSynced
	})
	must(t, a.InvalidateTags(ctx, "t"))
}

// TestALoadDoesNotWaitForItsOwnLease: a loader that asks for its own key, and two that ask for each other's, on
// one node and on two.
func TestALoadDoesNotWaitForItsOwnLease(t *testing.T) {
	srv := testserver.Redis(t)
	a, b := member(t, srv, patient()), member(t, srv, patient())
	began := time.Now()
	want(t, 2)(cache.Fetch(ctx, a, "self", func(ctx context.Context) (int, error) {
		v, err := cache.Fetch(ctx, a, "self", func(context.Context) (int, error) { return 1, nil })
		return v + 1, err
	}))
	var inside sync.WaitGroup
	inside.Add(2)
	other := func(n *cache.Cache, key string) func(context.Context) (int, error) {
		return func(ctx context.Context) (int, error) {
			inside.Done()
			inside.Wait() // both hold their lease
			return cache.Fetch(ctx, n, key, func(context.Context) (int, error) { return 7, nil })
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() { want(t, 7)(cache.Fetch(ctx, a, "x", other(a, "y"))) })
	wg.Go(func() { want(t, 7)(cache.Fetch(ctx, b, "y", other(b, "x"))) })
	wg.Wait()
	if took := time.Since(began); took > cache.DefaultHardTimeout/2 {
		t.Errorf("they waited for each other for %v", took)
	}
}

var _ store.Fronted = (*tiered.Store)(nil)
