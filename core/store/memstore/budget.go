package memstore

import "sync"

// budget divides the store's bytes between the partitions: each may have what those above it leave. So
// the sum is bounded, and a growing priority takes its room from the lowest.
type budget struct {
	total int64
	// step is the grain in which limits change, since each change costs a run of maintenance.
	step int64
	// slack is how far writers may run ahead of the eviction before one of them has to wait for it.
	slack int64
	// mu makes computing a limit and setting it one step: the last to set one has seen the newest use.
	mu sync.Mutex
}

func newBudget(total int64) budget {
	return budget{total: total, step: max(total/128, 1), slack: total / 32}
}

func (s *Store) used() int64 {
	var n int64
	for i := range s.parts {
		n += s.parts[i].used.Load()
	}
	return n
}

// quota is what partition i may hold now, rounded down to a step.
func (s *Store) quota(i int) int64 {
	left := s.budget.total
	for j := i + 1; j < partitions; j++ {
		left -= s.parts[j].used.Load()
	}
	if left < s.budget.total {
		left -= left % s.budget.step
	}
	return max(left, 0)
}

// outOfLine reports whether a partition's limit has to follow its quota. It grows only by more than one
// step, so that a use that swings about a step's edge does not change it each time.
func (b *budget) outOfLine(limit, quota int64) bool {
	return quota < limit || quota >= limit+2*b.step || quota == b.total && limit != b.total
}

// resize brings the limit of partition i in line with its quota; what is over it is evicted on return.
func (s *Store) resize(i int) {
	p := &s.parts[i]
	if !s.budget.outOfLine(p.limit.Load(), s.quota(i)) {
		return
	}
	s.budget.mu.Lock()
	defer s.budget.mu.Unlock()
	if q := s.quota(i); s.budget.outOfLine(p.limit.Load(), q) {
		p.limit.Store(q)
		p.cache.SetMaximum(uint64(q))
	}
}

// settle makes the partitions up to i fit after something was written to i.
func (s *Store) settle(i int) {
	for j := range i + 1 {
		if s.parts[j].count.Load() > 0 {
			s.resize(j)
		}
	}
	if s.used() > s.budget.total+s.budget.slack {
		s.parts[i].cache.CleanUp()
	}
}
