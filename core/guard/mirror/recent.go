package mirror

import (
	"slices"

	"github.com/strata-cache/strata/core/store"
)

const (
	// itemsPerRecord is how many items a remembered record may have on average.
	itemsPerRecord = 16
	// maxDoubts is how many items of failed invalidations are recorded later.
	maxDoubts = 1000
)

// recent are the last records that were applied, each following on the one before it: what can be put back
// into a log that has lost them. The zero value remembers nothing.
type recent struct {
	limit   int // in records
	records []store.Record
	items   int
}

func (h *recent) add(r store.Record) {
	if h.limit <= 0 {
		return
	}
	h.records = append(h.records, r)
	h.items += len(r.Items)
	for len(h.records) > h.limit || h.items > h.limit*itemsPerRecord && len(h.records) > 1 {
		h.items -= len(h.records[0].Items)
		h.records[0] = store.Record{}
		h.records = h.records[1:]
	}
}

// cut keeps the oldest n.
func (h *recent) cut(n int) {
	for i := n; i < len(h.records); i++ {
		h.items -= len(h.records[i].Items)
		h.records[i] = store.Record{}
	}
	h.records = h.records[:min(n, len(h.records))]
}

// remember keeps the last n records from now on.
func (m *Mirror) remember(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.recent.limit = n
}

// tip returns the position that is applied, and the record there if it is remembered.
func (m *Mirror) tip() (at store.Position, newest store.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.recent.records); n > 0 {
		newest = m.recent.records[n-1]
	}
	return m.state.Load().applied, newest
}

// history returns the position that is applied, and the records that are remembered, oldest first.
func (m *Mirror) history() (at store.Position, records []store.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.Load().applied, slices.Clone(m.recent.records)
}

// start puts the mirror before the second record of a log, or before the first if that is no origin.
func (m *Mirror) start(first store.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !first.Prev.IsZero() {
		m.reset(first.Prev, store.Position{}, first.Prev)
		return
	}
	m.reset(first.Position, first.Position, store.Position{})
	m.recent.add(first)
}

// skip passes over the records between was, if that still is what is applied, and at.
func (m *Mirror) skip(was, at store.Position) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state.Load().applied != was {
		return false
	}
	m.reset(at, store.Position{}, at)
	return true
}

// jump goes on with other records than those that followed on the first keep that are remembered. They hang
// together; those up to was say nothing that the others do not. It does nothing if was is not what is applied
// any more, or if they do not lead beyond it.
func (m *Mirror) jump(was store.Position, keep int, records []store.Record) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state.Load().applied != was || len(records) == 0 || !before(was, records[len(records)-1].Position) {
		return false
	}
	c := m.begin()
	m.recent.cut(keep)
	var done []store.Invalidation
	for i := range records {
		r := &records[i]
		if !before(was, r.Position) {
			m.recent.add(*r)
			continue
		}
		c.take(r)
		done = append(done, r.Items...)
	}
	c.publish(records[len(records)-1].Position)
	m.tell(done)
	return true
}

// doubts returns what Doubt was told and the log was not.
func (m *Mirror) doubts() []store.Invalidation {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.doubted)
}

// settled says that these doubts are in the log. One that came again meanwhile stays.
func (m *Mirror) settled(items []store.Invalidation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, it := range items {
		if i := slices.Index(m.doubted, it); i >= 0 {
			m.doubted = slices.Delete(m.doubted, i, i+1)
		}
	}
}

// Told says that this process has told others of the items after all: what it was in doubt about before need
// not be told any more, and would end what was stored since.
func (m *Mirror) Told(items ...store.Invalidation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.doubted) == 0 {
		return
	}
	m.doubted = slices.DeleteFunc(m.doubted, func(d store.Invalidation) bool {
		return slices.ContainsFunc(items, func(it store.Invalidation) bool { return it.Kind == d.Kind && it.Name == d.Name })
	})
}
