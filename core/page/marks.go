package page

import (
	"hash/maphash"
	"sync/atomic"
)

// markSlots is how many pages can be marked at a time: 128 KiB.
const markSlots = 8192

// marks remembers for a short time which pages are not cacheable, so that their requests do not wait for
// each other (hit-for-miss). It is a table without chains: two pages on one slot push each other out, and
// a false mark costs the coalescing of one page for some seconds, nothing else.
type marks struct {
	seed  maphash.Seed
	slots [markSlots]struct{ hash, until atomic.Int64 }
}

func (m *marks) slot(key string) (int64, int) {
	h := maphash.String(m.seed, key)
	return int64(h), int(h % markSlots)
}

// has reports whether key is marked at now, in Unix milliseconds.
func (m *marks) has(key string, now int64) bool {
	h, i := m.slot(key)
	s := &m.slots[i]
	return s.hash.Load() == h && now < s.until.Load()
}

func (m *marks) set(key string, until int64) {
	h, i := m.slot(key)
	s := &m.slots[i]
	s.until.Store(until)
	s.hash.Store(h)
}

func (m *marks) clear(key string) {
	h, i := m.slot(key)
	s := &m.slots[i]
	if s.hash.Load() == h {
		s.until.Store(0)
	}
}
