//go:build !race

package mirror

import "testing"

// Not with the race detector, which allocates.
func TestJudgeDoesNotAllocate(t *testing.T) {
	for _, b := range judgeBenches() {
		t.Run(b.name, func(t *testing.T) {
			if n := testing.AllocsPerRun(1000, b.run); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}
