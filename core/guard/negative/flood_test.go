package negative_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/strata-cache/strata/core/guard/negative"
)

// TestHotNullsSurviveAFlood asks for keys that do not exist: most of them at random, never twice, and a few
// again and again. Between two questions for one of these come several times more random ones than there is
// room for, so that whoever evicts by age or by last use remembers none of them.
func TestHotNullsSurviveAFlood(t *testing.T) {
	const maxKeys, rounds = 400, 16
	for _, tc := range []struct {
		name   string
		hot    int
		random int     // for each question for a hot key
		before bool    // the hot keys were known before the flood began
		atRest float64 // the share of hot questions that is answered, in the second half
	}{
		{"1 to 1", 80, 1, false, 0.99},
		{"10 to 1", 80, 10, false, 0.98},
		{"half of the room, 10 to 1", 200, 10, false, 0.93}, // 0.79 without ghosts
		{"half of the room, known before", 200, 10, true, 0.93},
		{"100 to 1", 80, 100, false, 0.75}, // 0.44 without ghosts
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := open(t, negative.Options{MaxKeys: maxKeys})
			r := rand.New(rand.NewPCG(1, 2))
			ask := func(key string) bool {
				if s.Get(key) != nil {
					return true
				}
				s.Set(key, null(0))
				return false
			}
			if tc.before {
				for range 2 {
					for i := range tc.hot {
						ask(fmt.Sprint("hot", i))
					}
				}
			}
			questions, found := rounds*tc.hot, 0
			for i := range questions {
				if ask(fmt.Sprint("hot", r.IntN(tc.hot))) && i >= questions/2 {
					found++
				}
				for range tc.random {
					ask(fmt.Sprint("random", r.Uint64()))
				}
			}
			share := float64(found) / float64(questions/2)
			t.Logf("%.3f of the hot questions answered", share)
			if share < tc.atRest {
				t.Errorf("%.3f of the hot questions answered, want %.2f", share, tc.atRest)
			}
			if s.Len() > maxKeys {
				t.Errorf("%d keys", s.Len())
			}
		})
	}
}
