package cache_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/internal/testserver"
)

// TestAWriterThatIsKilledLeavesNothingStale: it dies between the commit of its database and the invalidation.
// What others have read before the commit is not stored, and when its hold has ended they store again.
func TestAWriterThatIsKilledLeavesNothingStale(t *testing.T) {
	t.Parallel()
	srv := testserver.Redis(t)
	a, b := member(t, srv, patient()), member(t, srv, patient())
	var db, loads atomic.Int32
	db.Store(1)
	load := func(context.Context) (int, error) { loads.Add(1); return int(db.Load()), nil }
	for _, c := range []*cache.Cache{a, b} {
		want(t, 1)(cache.Fetch(ctx, c, "k", load))
	}
	writer := startOther(t, "writer", srv.URL())
	writer.expect("ready")
	writer.begin()
	writer.expect("committed") // as it will say when it holds the key; the commit comes now
	within(t, 5*time.Second, "node a has heard of the hold", func() bool {
		_, err := cache.Get[int](ctx, a, "k")
		return err != nil
	})
	inside, goOn := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		want(t, 1)(cache.Fetch(ctx, a, "k", func(context.Context) (int, error) {
			v := int(db.Load())
			close(inside)
			<-goOn
			return v, nil
		}))
	})
	select {
	case <-inside:
	case <-time.After(5 * time.Second):
		t.Fatal("node a serves what is being written")
	}
	db.Store(2)
	writer.kill()
	killed := time.Now()
	close(goOn)
	wg.Wait()

	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for cached := 0; cached < 2; {
		cached = 0
		for _, c := range []*cache.Cache{a, b} {
			n := loads.Load()
			want(t, 2)(cache.Fetch(ctx, c, "k", load))
			if loads.Load() == n {
				cached++
			}
		}
		if time.Since(killed) > 30*time.Second {
			t.Fatal("nothing is stored any more")
		}
		<-tick.C
	}
	t.Logf("cached again after %v", time.Since(killed))
	for _, c := range []*cache.Cache{a, b, member(t, srv, patient())} {
		want(t, 2)(cache.Fetch(ctx, c, "k", load))
	}
}
