package memstore

import (
	"fmt"

	"github.com/strata-cache/strata/core/store"
)

// Quiesce runs all maintenance that is due. Where nobody writes meanwhile, nothing changes afterwards but
// by the passing of time.
func (s *Store) Quiesce() { s.cleanUp() }

// Audit compares what the store has counted with what its tables hold, and checks that no key is in two
// partitions. Nobody may write meanwhile.
func (s *Store) Audit() error {
	s.Quiesce()
	seen := map[string]int{}
	for i := range s.parts {
		p := &s.parts[i]
		count, used := p.count.Load(), p.used.Load()
		if n, size := p.cache.EstimatedSize(), p.cache.WeightedSize(); count != int64(n) || used != int64(size) {
			return fmt.Errorf("partition %d: counted %d entries of %d bytes, the table has %d of %d", i, count, used, n, size)
		}
		var n, size int64
		for k, e := range p.cache.All() {
			if j, twice := seen[k]; twice {
				return fmt.Errorf("%q is in partitions %d and %d", k, i, j)
			}
			seen[k] = i
			n++
			size += int64(e.Weight(k))
		}
		// The walk leaves out what has expired and is not freed yet.
		if n > count || size > used || n == count && size != used {
			return fmt.Errorf("partition %d: counted %d entries of %d bytes, %d of %d are live", i, count, used, n, size)
		}
		if n > 0 && s.state.Load()&(1<<i) == 0 {
			return fmt.Errorf("partition %d is hidden, and holds %d entries", i, n)
		}
		if limit := p.limit.Load(); used > limit {
			return fmt.Errorf("partition %d: %d bytes, its limit is %d", i, used, limit)
		}
	}
	if used := s.used(); used > s.budget.total {
		return fmt.Errorf("%d bytes are in use, the bound is %d", used, s.budget.total)
	}
	return nil
}

// Below returns how many bytes the entries of lower priorities than p take.
func (s *Store) Below(p store.Priority) (bytes int64) {
	for j := range s.partitionOf(&store.Entry{Priority: p}) {
		bytes += s.parts[j].used.Load()
	}
	return bytes
}
