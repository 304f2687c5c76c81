package stats

import (
	"maps"
	"sync"
	"sync/atomic"
)

// table maps a bounded number of keys to counters. Reading takes no lock: the map is copied when a key is
// added, which happens max times at most.
type table[K comparable, V any] struct {
	max   int
	cells atomic.Pointer[map[K]*V]
	mu    sync.Mutex
}

// get returns the counters of k. Where the table is full and k is not in it, they are those of other.
func (t *table[K, V]) get(k, other K, create func(K) *V) *V {
	if v := t.seen(k, other); v != nil {
		return v
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if v := t.seen(k, other); v != nil {
		return v
	}
	old := t.all()
	if len(old) >= t.max {
		k = other
	}
	all := maps.Clone(old)
	if all == nil {
		all = map[K]*V{}
	}
	v := create(k)
	all[k] = v
	t.cells.Store(&all)
	return v
}

func (t *table[K, V]) seen(k, other K) *V {
	all := t.all()
	if v := all[k]; v != nil || len(all) < t.max {
		return v
	}
	return all[other]
}

// all returns the map, which must not be modified.
func (t *table[K, V]) all() map[K]*V {
	if p := t.cells.Load(); p != nil {
		return *p
	}
	return nil
}
