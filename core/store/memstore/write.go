package memstore

import (
	"fmt"
	"hash/maphash"
	"math/bits"
	"sync"

	"github.com/strata-cache/strata/core/store"
)

// stripes is how many locks the keys' writers share: enough for writers on many cores to seldom meet.
const stripes = 128

type stripe struct {
	sync.Mutex
	_ [56]byte // one cache line each
}

// lock excludes the other writers of key. It is never held while another stripe is taken, except by
// lockAll, which takes them in order.
func (s *Store) lock(key string) *stripe {
	l := &s.stripes[maphash.String(s.seed, key)%stripes]
	l.Lock()
	return l
}

func (s *Store) lockAll() {
	for i := range s.stripes {
		s.stripes[i].Lock()
	}
}

func (s *Store) unlockAll() {
	for i := range s.stripes {
		s.stripes[i].Unlock()
	}
}

// The functions below are called with the key's lock held.

// find returns the live entry under key and its partition, without counting as a use of it.
func (s *Store) find(key string) (int, *store.Entry) {
	for m := s.state.Load() &^ closedBit; m != 0; m &= m - 1 {
		i := bits.TrailingZeros32(m)
		if e, ok := s.parts[i].cache.GetEntryQuietly(key); ok {
			return i, e.Value
		}
	}
	return -1, nil
}

// put stores e under key, in place of whatever is there.
func (s *Store) put(key string, e *store.Entry) error {
	if err := s.check(); err != nil {
		return err
	}
	if e.IsGone(s.clock.Now()) {
		s.remove(key)
		return nil
	}
	size := int64(e.Weight(key))
	if size > s.opts.MaxEntryBytes {
		s.remove(key)
		return fmt.Errorf("memstore: %w: %d bytes, the limit is %d", store.ErrTooLarge, size, s.opts.MaxEntryBytes)
	}
	to := s.partitionOf(e)
	if others := s.state.Load() &^ (1 << to); others != 0 {
		defer s.leave(others, key)()
	}
	if s.state.Load()&(1<<to) == 0 {
		s.state.Or(1 << to)
	}
	p := &s.parts[to]
	p.used.Add(size)
	p.count.Add(1)
	p.cache.Set(key, e)
	return nil
}

// leave takes key out of the given partitions before it is put into another one; the function that it
// returns is called when it is there. The old entry goes first: a look-up that sees neither knows by the
// counts that it has to come back, whereas the other way round it could see the old one after the new.
func (s *Store) leave(from uint32, key string) (arrived func()) {
	i, _ := s.find(key)
	if i >= 0 && from&(1<<i) != 0 {
		s.begun.Add(1)
		arrived = func() { s.done.Add(1) }
	} else {
		arrived = func() {}
	}
	s.removeFrom(from, key)
	return arrived
}

// remove returns the live entry that it removed, or nil.
func (s *Store) remove(key string) *store.Entry {
	return s.removeFrom(s.state.Load()&^closedBit, key)
}

// removeFrom also removes what has expired and is not freed yet: a wall clock that is set back would
// bring it to life again.
func (s *Store) removeFrom(from uint32, key string) *store.Entry {
	var removed *store.Entry
	for m := from; m != 0; m &= m - 1 {
		if old, live := s.parts[bits.TrailingZeros32(m)].cache.Invalidate(key); live {
			removed = old
		}
	}
	return removed
}
