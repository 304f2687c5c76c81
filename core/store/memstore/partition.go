package memstore

import (
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/internal/coarse"
)

// The partitions, from what is evicted first to what is evicted last.
const (
	low = iota
	normal
	important
	critical
	partitions
)

// partition holds the entries of one priority.
type partition struct {
	cache *otter.Cache[string, *store.Entry]
	// used and count are what the table holds, in bytes and in entries. An entry is counted before it
	// appears, so that neither is ever too low.
	used, count atomic.Int64
	// limit is the maximum that the eviction policy was given last.
	limit atomic.Int64
	// pending says that maintenance was asked for and has not begun.
	pending atomic.Bool

	_ [64]byte // keeps the counts of neighbours out of each other's cache lines
}

// partitionOf returns the index of the partition that e belongs to.
func (s *Store) partitionOf(e *store.Entry) int {
	switch e.Priority {
	case store.PriorityLow:
		return low
	case store.PriorityImportant:
		return important
	case store.PriorityCritical:
		return critical
	default:
		return normal
	}
}

var priorities = [partitions]store.Priority{
	low: store.PriorityLow, normal: store.PriorityNormal,
	important: store.PriorityImportant, critical: store.PriorityCritical,
}

func (s *Store) openPartition(i int) error {
	p := &s.parts[i]
	priority := priorities[i].String()
	cache, err := otter.New(&otter.Options[string, *store.Entry]{
		MaximumWeight:    uint64(s.opts.MaxBytes),
		Weigher:          func(key string, e *store.Entry) uint32 { return uint32(e.Weight(key)) },
		ExpiryCalculator: otter.ExpiryWritingFunc(untilGone),
		Clock:            policyClock{s.clock},
		Logger:           &otter.NoopLogger{},
		// Without a deletion listener, loaders or refreshes the only tasks are maintenance runs of this
		// cache, and one run does the work of any number of requests.
		Executor: func(func()) {
			p.pending.Store(true)
			select {
			case s.wake <- struct{}{}:
			default: // the goroutine has not yet taken the last call
			}
		},
		OnAtomicDeletion: func(d otter.DeletionEvent[string, *store.Entry]) {
			size := d.Value.Weight(d.Key)
			p.used.Add(-int64(size))
			p.count.Add(-1)
			// Close runs the evictions that are due as well, but they make room for nothing.
			if d.Cause == otter.CauseOverflow && s.opts.Observer.Evict != nil && s.check() == nil {
				s.opts.Observer.Evict(event.Evict{Store: s.opts.Name, Priority: priority, Size: size})
			}
		},
	})
	if err != nil {
		return fmt.Errorf("memstore: %w", err)
	}
	p.cache = cache
	p.limit.Store(s.opts.MaxBytes)
	return nil
}

// untilGone makes otter's deadline the entry's Gone exactly: both stand for the same wall clock, so a
// look-up needs no further comparison.
func untilGone(e otter.Entry[string, *store.Entry]) time.Duration {
	const never = math.MaxInt64
	if e.Value.Gone <= 0 || e.Value.Gone > never/int64(time.Millisecond) {
		return never
	}
	left := e.Value.Gone*int64(time.Millisecond) - e.SnapshotAtNano
	// otter takes zero and less for "leave the deadline as it is".
	return time.Duration(max(left, 1))
}

// policyClock is the store's clock as otter wants it. It gives no ticks: the store's own goroutine does
// the periodic work of all partitions.
type policyClock struct{ *coarse.Clock }

// NowNano returns the coarse time in Unix nanoseconds.
func (c policyClock) NowNano() int64 { return c.Now() * int64(time.Millisecond) }

// Tick returns nil: no ticks.
func (policyClock) Tick(time.Duration) <-chan time.Time { return nil }
