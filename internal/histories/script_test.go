//go:build unix

package histories_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/strata-cache/strata/internal/histories"
)

// script is what the processes of one history are to do.
type script struct {
	Seed               uint64
	Processes, Clients int
	Ops                int // of each client
	Prefix             string
	Origin             time.Time // of all stamps

	Tiered   bool // or the shared store alone
	LoadMany bool
	Missing  bool // every seventh version is the absence of a value
	Faults   bool // loaders fail now and then
	Hasty    bool // some readers leave early
	Stuck    bool // a writer never comes to the end of its Update
	Cut      bool // connections are cut, and the server stands still

	TTL, StoreTimeout, Heartbeat, Degraded time.Duration
}

// lag is how late a process may heed what another one has invalidated: one that hears nothing serves what it
// has for Degraded after it has heard for the last time, or made it, and at least until it finds itself blind.
// The rest is for a machine that is busy.
func (s *script) lag() time.Duration {
	return max(s.Degraded, 3*s.Heartbeat) + 2*time.Second
}

func (s *script) absent(version uint64) bool { return s.Missing && version%7 == 0 }

// newScript draws the script of history n of a run.
func newScript(seed uint64, n, ops int, cut bool) script {
	rng := rand.New(rand.NewPCG(seed, uint64(n)))
	s := script{
		Seed: rng.Uint64(), Processes: 2 + rng.IntN(2), Clients: 2 + rng.IntN(4),
		Prefix: fmt.Sprintf("h%d:", n), Cut: cut,
		Tiered: rng.IntN(4) > 0, Faults: rng.IntN(4) == 0, Hasty: rng.IntN(4) == 0,
		TTL: time.Minute, StoreTimeout: 5 * time.Second, Heartbeat: time.Second, Degraded: 2 * time.Second,
	}
	s.Ops = (ops + s.Processes*s.Clients - 1) / (s.Processes * s.Clients)
	if rng.IntN(4) == 0 {
		s.TTL = time.Duration(20+rng.IntN(100)) * time.Millisecond // values expire, and are renewed before
	}
	// What a loader of many keys does not find bears no tags.
	s.Missing = rng.IntN(3) == 0
	s.LoadMany = !s.Missing && rng.IntN(2) == 0
	if s.Stuck = !cut && rng.IntN(3) == 0; s.Stuck {
		// The lag ends before the hold is renewed, which would end what was wrongly stored.
		s.Heartbeat, s.Degraded = 200*time.Millisecond, 500*time.Millisecond
	}
	if cut {
		s.Heartbeat = 200 * time.Millisecond
		s.StoreTimeout = []time.Duration{30 * time.Millisecond, 250 * time.Millisecond, 2 * time.Second}[rng.IntN(3)]
	}
	return s
}

// account is what one process says of a history.
type account struct {
	Reads    []histories.Read
	Barriers []histories.Barrier
	Ops      int
	Loads    int
	Refused  int // values that were loaded and not stored
	// Failed counts the operations that failed by their name; Errs has one error of each.
	Failed map[string]int
	Errs   map[string]string
}
