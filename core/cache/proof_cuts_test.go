package cache_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/internal/testserver"
)

// TestCutsLoseNoInvalidation: while one node invalidates a thousand keys, the other one loses its connections
// nine times, for 100 milliseconds each, in each way there is.
func TestCutsLoseNoInvalidation(t *testing.T) {
	t.Parallel()
	const keys, kept, cuts, away = 1000, 50, 9, 100 * time.Millisecond
	srv := testserver.Redis(t)
	admin := adminOf(t, srv)
	w := wireTo(t, srv.Addr)
	var mu sync.Mutex
	states := map[event.LogState]int{}
	opts := patient()
	// Short enough for a cut to be noticed while it lasts, and no more patience with the log than that takes.
	opts.Heartbeat = 500 * time.Millisecond
	opts.Observer = &event.Observer{Log: func(l event.Log) { mu.Lock(); defer mu.Unlock(); states[l.State]++ }}
	a, b := nodeAt(t, w.url(), opts), member(t, srv, patient())
	must(t, cache.Set(ctx, a, "warm", "x"))

	values := map[string]string{}
	for i := range keys + kept {
		values[fmt.Sprint("k", i)] = "old"
	}
	failed, err := cache.SetMany(ctx, a, values, cache.Tags("t"))
	if err != nil || len(failed) > 0 {
		t.Fatal(failed, err)
	}

	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range cuts {
			_ = pause(ctx, 200*time.Millisecond)
			switch i % 3 {
			case 0:
				w.to(refuses)
			case 1:
				w.to(stalls)
			default:
				for _, kind := range []string{"normal", "pubsub"} {
					must(t, admin.Do(ctx, "client", "kill", "type", kind, "skipme", "yes").Err())
				}
				w.to(swallows)
			}
			_ = pause(ctx, away)
			w.to(carries)
		}
	})
	pace := time.NewTicker(2500 * time.Microsecond)
	defer pace.Stop()
	for i := range keys {
		<-pace.C
		// Its own connections are killed, too: what counts is what was acknowledged.
		must(t, eventually(func() error { _, err := b.Delete(ctx, fmt.Sprint("k", i)); return err }))
	}
	wg.Wait()
	for i := range keys {
		key := fmt.Sprint("k", i)
		within(t, 5*time.Second, key+" is invalidated", func() bool {
			_, err := cache.Get[string](ctx, a, key)
			return err != nil
		})
	}
	// It was each of them that was heard of: nothing was dropped in doubt.
	for i := range kept {
		want(t, "old")(cache.Fetch(ctx, a, fmt.Sprint("k", keys+i), func(context.Context) (string, error) { return "new", nil }))
	}
	mu.Lock()
	defer mu.Unlock()
	if n := states[event.LogTrimmed] + states[event.LogFlushed] + states[event.LogRebased]; n > 0 {
		t.Errorf("the log was lost %d times: %v", n, states)
	}
}
