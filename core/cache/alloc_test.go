//go:build !race

package cache_test

import "testing"

// Not with the race detector, which makes sync.Pool forget.
func TestHitsDoNotAllocate(t *testing.T) {
	for _, h := range hitBenches(t) {
		t.Run(h.name, func(t *testing.T) {
			i := 0
			h.get(0)
			if n := testing.AllocsPerRun(2000, func() { h.get(i); i++ }); n != 0 {
				t.Errorf("%v allocations a hit", n)
			}
		})
	}
}
