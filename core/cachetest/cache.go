package cachetest

import (
	"testing"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
)

// Cache is a cache with what a test needs to move and to watch it.
type Cache struct {
	*cache.Cache
	Clock    *Clock    // by which its values expire
	Recorder *Recorder // of its events
}

// New returns an empty cache over a Store of its own, which is closed with the test. Options are those of
// cache.New, but for these: Now is Clock.Now; without a Jitter in the policy there is none, so that lifetimes
// are exact; and an Observer hears of everything beside the Recorder.
func New(tb testing.TB, opts cache.Options) *Cache {
	tb.Helper()
	clock := NewClock()
	return Over(tb, NewStore(clock), clock, opts)
}

// Over is New over a store of the caller's, such as a Chaos, and with the clock by which that goes. The cache
// closes it, unless Options.KeepStore is set. A nil clock stands for a new one: entries of a store with another
// clock end by whichever says so first.
func Over(tb testing.TB, st store.Store, clock *Clock, opts cache.Options) *Cache {
	tb.Helper()
	if clock == nil {
		clock = NewClock()
	}
	rec := NewRecorder()
	opts.Now = clock.Now
	opts.Observer = event.Join(rec.Observer(), opts.Observer)
	if opts.Policy.Jitter == 0 {
		opts.Policy.Jitter = -1
	}
	c, err := cache.New(st, opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Errorf("cachetest: close: %v", err)
		}
	})
	return &Cache{Cache: c, Clock: clock, Recorder: rec}
}
