package cache_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/internal/testserver"
)

// TestTheBreakerIsReported: a server that hangs opens it once, and one that answers again closes it.
func TestTheBreakerIsReported(t *testing.T) {
	srv := testserver.Redis(t)
	var mu sync.Mutex
	var got []event.Breaker
	opts := steady()
	opts.Name = "shop"
	opts.Observer = &event.Observer{Breaker: func(b event.Breaker) { mu.Lock(); defer mu.Unlock(); got = append(got, b) }}
	c := shared(t, srv, opts)
	is := func(want ...event.Breaker) func() bool {
		return func() bool { mu.Lock(); defer mu.Unlock(); return slices.Equal(got, want) }
	}
	srv.Pause()
	open, closed := event.Breaker{Cache: "shop", Open: true}, event.Breaker{Cache: "shop"}
	within(t, 10*time.Second, "open", func() bool {
		_, _ = cache.Get[string](ctx, c, "k")
		return is(open)()
	})
	srv.Resume()
	within(t, 10*time.Second, "closed", is(open, closed))
}
