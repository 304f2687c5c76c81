package memstore

import "time"

// freeEvery is how often a store that nobody writes to frees what has expired. Every run wakes the
// clock up for a second, hence not more often.
const freeEvery = 5 * time.Second

// maintain runs the partitions' maintenance (replaying reads and writes into the eviction policies,
// evicting, freeing what has expired) off the callers' goroutines, until the store is closed.
func (s *Store) maintain() {
	defer close(s.stopped)
	t := time.NewTicker(freeEvery)
	defer t.Stop()
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
		case <-t.C:
			for i := range s.parts {
				if s.parts[i].count.Load() > 0 {
					s.parts[i].cache.CleanUp()
				}
			}
			s.hideEmpty()
		}
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
