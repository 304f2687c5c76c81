package storetest

import (
	"testing"

	"github.com/strata-cache/strata/core/store"
)

// RunNull checks a store that keeps nothing: every write succeeds, every read misses, every capability
// agrees. Close is held to the same as in [Run].
func RunNull(t *testing.T, open func(t *testing.T) store.Store) {
	t.Helper()
	runCases(t, open, "Store", nullCases())
	runCases(t, open, "Close", closeCases())
	runCapability(t, open, "Batcher", []testCase[store.Batcher]{
		{"SetMany succeeds, GetMany misses", func(b box, c store.Batcher) {
			b.setMany(c)
			b.setMany(c, store.Item{Key: "a", Entry: entry("v")}, store.Item{Key: "b", Entry: entry("v")})
			b.wantMany(c, []string{"a", "b", "a"}, "", "", "")
			b.wantMany(c, nil)
		}},
	})
	runCapability(t, open, "Adder", []testCase[store.Adder]{
		{"always adds", func(b box, c store.Adder) {
			b.wantAdd(c, true, "k", entry("v"))
			b.wantAdd(c, true, "k", entry("v"))
			b.wantMiss("k")
		}},
	})
	runCapability(t, open, "Toucher", []testCase[store.Toucher]{
		{"never finds the entry", func(b box, c store.Toucher) {
			b.set("k", entry("v"))
			b.wantTouch(c, false, "k", entry("v"), lasting(nowMs()))
		}},
	})
	runCapability(t, open, "Counter", []testCase[store.Counter]{
		{"is ErrMiss, or begins anew each time", func(b box, c store.Counter) {
			b.set("k", counter("5", 0))
			b.wantIncrErr(c, store.ErrMiss, "k", 1, nil)
			b.wantIncr(c, 11, "k", 1, counter("10", 0))
			b.wantIncr(c, 11, "k", 1, counter("10", 0))
			b.wantIncrErr(c, store.ErrOverflow, "k", 1, counter("9223372036854775807", 0))
			b.wantIncrErr(c, store.ErrNotInteger, "k", 1, entry("text"))
		}},
	})
	runCapability(t, open, "Scanner", []testCase[store.Scanner]{
		{"shows nothing", func(b box, c store.Scanner) {
			b.set("k", entry("v"))
			b.wantScan(c, "")
		}},
	})
	runCapability(t, open, "Pinger", pingerCases())
	runCapability(t, open, "Sizer", []testCase[store.Sizer]{
		{"is zero", func(b box, c store.Sizer) {
			b.set("k", entry("v"))
			if n, size := c.Size(); n != 0 || size != 0 {
				b.t.Errorf("Size = %d, %d, want 0, 0", n, size)
			}
		}},
	})
}

func nullCases() []testCase[store.Store] {
	return []testCase[store.Store]{
		{"Set succeeds, Get misses", func(b box, _ store.Store) {
			for _, k := range oddKeys() {
				b.set(k, full("v"))
				b.wantMiss(k)
			}
			b.set("k", gone("v"))
			b.wantMiss("k")
		}},
		{"Delete counts nothing", func(b box, _ store.Store) {
			b.set("k", entry("v"))
			b.wantDeleted(0, "k", "other")
			b.wantDeleted(0)
		}},
		{"Clear succeeds", func(b box, _ store.Store) {
			b.set("k", entry("v"))
			b.clear("k")
			b.clear("")
		}},
	}
}
