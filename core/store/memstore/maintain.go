package memstore

import "time"

// freeEvery is how often a store that nobody writes to frees what has expired, and evicts what the last
// writers left over.
const freeEvery = 5 * time.Second

// restFor is how long maintenance rests after each run. Every few dozen hits ask for one: waking a
// goroutine that often would cost them more than the look-ups. What is asked for meanwhile waits; reads
// beyond what otter has room to note are not counted as uses, of which a sample is enough.
const restFor = time.Millisecond

// maintain runs the partitions' maintenance (replaying reads and writes into the eviction policies,
// evicting, freeing what has expired) off the callers' goroutines, until the store is closed.
func (s *Store) maintain() {
	defer close(s.stopped)
	t := time.NewTicker(freeEvery)
	defer t.Stop()
	rest := time.NewTimer(restFor)
	defer rest.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-s.wake:
			for i := range s.parts {
				// Taken back first: a request made from here on gets a run of its own.
				if s.parts[i].pending.Swap(false) {
					s.parts[i].cache.CleanUp()
				}
			}
			rest.Reset(restFor)
			select {
			case <-s.stop:
				return
			case <-rest.C:
			}
		case <-t.C:
			// Otherwise each run would wake the clock up for a second, and an unused store would keep
			// the process awake for as long as it holds anything.
			s.clock.Quietly(s.cleanUp)
			s.hideEmpty()
		}
	}
}

// cleanUp runs all maintenance that is due; also of empty partitions, whose last deletions may still be
// waiting for it and keep the entries in memory.
func (s *Store) cleanUp() {
	for i := range s.parts {
		s.parts[i].cache.CleanUp()
	}
}

// hideEmpty spares look-ups the partitions that have become empty. It stops all writers for some
// microseconds, and only where there is such a partition.
func (s *Store) hideEmpty() {
	if s.emptyButShown() == 0 {
		return
	}
	s.lockAll()
	defer s.unlockAll()
	s.state.And(^s.emptyButShown())
}

func (s *Store) emptyButShown() uint32 {
	var m uint32
	for i := range s.parts {
		if s.parts[i].count.Load() == 0 {
			m |= 1 << i
		}
	}
	return m & s.state.Load()
}
