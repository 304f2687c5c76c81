package cache_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/redisstore"
	"github.com/strata-cache/strata/internal/testserver"
)

// TestANullThatWasToldEndsWithItsTag: that something does not exist, told from node to node, ends with its tags and with what clears it.
func TestANullThatWasToldEndsWithItsTag(t *testing.T) {
	for name, end := range map[string]func(*cache.Cache) error{
		"tag":   func(c *cache.Cache) error { return c.InvalidateTags(ctx, "t") },
		"clear": func(c *cache.Cache) error { return c.Clear(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			_, n := fleetOf(t, 2, patient())
			var exists atomic.Bool
			load := func(ctx context.Context) (int, error) {
				cache.LoadFrom(ctx).AddTags("t")
				if exists.Load() {
					return 1, nil
				}
				return 0, cache.ErrNotFound
			}
			wantErr[int](t, cache.ErrNotFound)(cache.Fetch(ctx, n[0], "k", load))
			exists.Store(true)
			must(t, end(n[0]))
			must(t, end(n[1])) // who has written has applied what came before
			want(t, 1)(cache.Fetch(ctx, n[1], "k", load))
			want(t, 1)(cache.Get[int](ctx, n[1], "k"))
		})
	}
}

// TestJoiningALoadKeepsTheOrderOfLeases: who holds a lease and joins a load that waits for another one waits for nobody who waits for him.
func TestJoiningALoadKeepsTheOrderOfLeases(t *testing.T) {
	_, n := fleetOf(t, 2, patient())
	holdsA, holdsB, joins := make(chan struct{}), make(chan struct{}), make(chan struct{})
	began := time.Now()
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := cache.Fetch(ctx, n[0], "a", func(ctx context.Context) (int, error) {
			close(holdsA)
			<-holdsB
			return cache.Fetch(ctx, n[0], "b", func(context.Context) (int, error) { return 2, nil })
		})
		if err != nil {
			t.Errorf("a: %v", err)
		}
	})
	<-holdsA
	wg.Go(func() {
		close(joins)
		_, _ = cache.Fetch(ctx, n[1], "a", func(context.Context) (int, error) { return 3, nil })
	})
	<-joins
	_ = pause(ctx, settling)
	wg.Go(func() {
		_, err := cache.Fetch(ctx, n[1], "b", func(ctx context.Context) (int, error) {
			close(holdsB)
			_ = pause(ctx, settling)
			return cache.Fetch(ctx, n[1], "a", func(context.Context) (int, error) { return 4, nil })
		})
		if err != nil {
			t.Errorf("b: %v", err)
		}
	})
	wg.Wait()
	if took := time.Since(began); took > cache.DefaultHardTimeout/2 {
		t.Errorf("they waited for each other for %v", took)
	}
}

// gatedWrites is a node's store whose leased writes wait at a gate.
type gatedWrites struct {
	*redisstore.Store
	in, goOn chan struct{}
}

func (g *gatedWrites) SetLeased(ctx context.Context, key, token string, e *store.Entry) (bool, error) {
	close(g.in)
	<-g.goOn
	return g.Store.SetLeased(ctx, key, token, e)
}

// TestALoadThatWasOvertakenRemovesNobodysValue: a load whose write comes after another node's leaves that one's value in place.
func TestALoadThatWasOvertakenRemovesNobodysValue(t *testing.T) {
	srv := testserver.Redis(t)
	b := shared(t, srv, patient())
	_, _ = b.Has(ctx, "k")
	st := &gatedWrites{
		Store: cache.Must(redisstore.Open(srv.URL(), redisstore.Options{Prefix: "fleet:", OpTimeout: 5 * time.Second})),
		in:    make(chan struct{}), goOn: make(chan struct{}),
	}
	a := open(t, st, patient())
	_, _ = a.Has(ctx, "k")
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = cache.Fetch(ctx, a, "k", func(context.Context) (string, error) { return "old", nil })
	})
	<-st.in
	must(t, cache.Set(ctx, b, "k", "new"))
	abreast(t, b, a)
	close(st.goOn)
	wg.Wait()
	want(t, "new")(cache.Get[string](ctx, b, "k"))
}

// TestAQueuedRenewalIsNotOfferedWhatWasInvalidated: what ends while its renewal waits for a worker is not there to be confirmed.
func TestAQueuedRenewalIsNotOfferedWhatWasInvalidated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := steady()
		opts.RefreshWorkers = 1
		c := open(t, memory(t), opts)
		inside, goOn := make(chan struct{}, 1), make(chan struct{})
		var renewing, offered atomic.Bool
		kind := cache.Must(cache.NewKind(c, "k", cache.KindOptions[string, int]{
			Policy: cache.Policy{TTL: 100 * time.Second, RefreshAt: 0.5, StaleFor: time.Hour},
			Tags:   func(string, int) []string { return []string{"t"} },
			Load: func(ctx context.Context, id string) (int, error) {
				if !renewing.Load() {
					return 1, nil
				}
				if id == "before" {
					inside <- struct{}{}
					<-goOn
					return 1, nil
				}
				if _, ok := cache.Stale[int](cache.LoadFrom(ctx)); ok {
					offered.Store(true)
					return 0, cache.ErrNotModified
				}
				return 2, nil
			},
		}))
		want(t, 1)(kind.Get(ctx, "before"))
		want(t, 1)(kind.Get(ctx, "k"))
		renewing.Store(true)
		sleep(time.Minute)
		want(t, 1)(kind.Get(ctx, "before"))
		<-inside
		want(t, 1)(kind.Get(ctx, "k")) // its renewal is queued
		must(t, c.InvalidateTags(ctx, "t"))
		close(goOn)
		synctest.Wait()
		if offered.Load() {
			t.Error("the loader was offered a value that was invalidated")
		}
		want(t, 2)(kind.Peek(ctx, "k"))
		must(t, c.Close())
	})
}

// TestASoftTimeoutServesNothingInvalidated: a stale value that ends while its load is under way does not stand in for it.
func TestASoftTimeoutServesNothingInvalidated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := steady()
		opts.Policy.SoftTimeout, opts.Policy.StaleFor = 300*time.Millisecond, time.Hour
		opts.Policy.TTL = time.Second
		c := open(t, memory(t), opts)
		want(t, 1)(cache.Fetch(ctx, c, "k", func(context.Context) (int, error) { return 1, nil }, cache.Tags("t")))
		sleep(2 * time.Second)
		want(t, 2)(cache.Fetch(ctx, c, "k", func(context.Context) (int, error) {
			must(t, c.InvalidateTags(ctx, "t"))
			sleep(time.Second)
			return 2, nil
		}, cache.Tags("t")))
		sleep(2 * time.Second) // for a load that was not waited for
		must(t, c.Close())
	})
}
