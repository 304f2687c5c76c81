package cachetest

import (
	"context"
	"testing"
	"time"
)

// patience is how long Await waits for what happens in the background: it is spent only where it does not.
const patience = 10 * time.Second

// AssertHits fails the test unless n keys of the kind were found fresh.
func (r *Recorder) AssertHits(tb testing.TB, kind string, n int) {
	tb.Helper()
	assert(tb, kind, "hits", r.Hits(kind), n)
}

// AssertMisses fails the test unless n keys of the kind were not found.
func (r *Recorder) AssertMisses(tb testing.TB, kind string, n int) {
	tb.Helper()
	assert(tb, kind, "misses", r.Misses(kind), n)
}

// AssertLoads fails the test unless loaders of the kind have run n times.
func (r *Recorder) AssertLoads(tb testing.TB, kind string, n int) {
	tb.Helper()
	assert(tb, kind, "loads", r.Loads(kind), n)
}

// AssertNoStoreErrors fails the test if a store could not answer.
func (r *Recorder) AssertNoStoreErrors(tb testing.TB) {
	tb.Helper()
	for _, err := range r.StoreErrors() {
		tb.Errorf("cachetest: a store failed: %v", err)
	}
}

func assert(tb testing.TB, kind, what string, got, want int) {
	tb.Helper()
	if got != want {
		tb.Errorf("cachetest: kind %q has %d %s, want %d", kind, got, what, want)
	}
}

// Await waits until is reports true, which is asked again with each event, and fails the test where it does
// not within ten seconds. It is for what happens in the background:
//
//	c.Recorder.Await(t, "a refresh", func() bool { return c.Recorder.Refreshes("user") == 1 })
func (r *Recorder) Await(tb testing.TB, what string, is func() bool) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	if !r.await(ctx, is) {
		tb.Fatalf("cachetest: no %s", what)
	}
}

func (r *Recorder) await(ctx context.Context, is func() bool) bool {
	for {
		r.mu.Lock()
		changed := r.changed
		r.mu.Unlock()
		if is() {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}
