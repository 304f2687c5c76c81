package stats

import (
	"sync/atomic"
	"time"

	"github.com/strata-cache/strata/core/event"
)

type seriesKey struct {
	cache, kind string
	layer       event.Layer
}

// series counts the calls and loads of one cache, kind and layer. Look-ups have shards, since hits come
// by the million; the rest is as rare as writes are.
type series struct {
	key    seriesKey
	shards []lookupCells

	writes   [opCells][ends]atomic.Uint64
	loads    [loadCells]atomic.Uint64
	loadTime atomic.Int64
}

// lookupCells fill two cache lines.
type lookupCells struct {
	outcome    [outcomeCells]atomic.Uint64
	coalesced  atomic.Uint64
	hits, rest timingCells
	_          [24]byte
}

type timingCells struct {
	count atomic.Uint64
	nanos atomic.Int64
}

// One cell more than there are values: for those that a later version of the engine may add.
const (
	outcomeCells = int(event.OutcomeError) + 2
	opCells      = int(event.OpScan) + 2
	loadCells    = int(event.LoadCanceled) + 2
)

// How a write can end.
const (
	done = iota
	noop
	failed
	ends
)

func (r *Recorder) newSeries(k seriesKey) *series {
	return &series{key: k, shards: make([]lookupCells, r.shards)}
}

func (s *series) lookup(c *event.Call) {
	cells := &s.shards[shard()&uintptr(len(s.shards)-1)]
	if c.Hits != 0 || c.Misses != 0 {
		cells.outcome[event.OutcomeHit].Add(uint64(c.Hits))
		cells.outcome[event.OutcomeMiss].Add(uint64(c.Misses))
		return
	}
	cells.outcome[min(int(c.Outcome), outcomeCells-1)].Add(1)
	if c.Coalesced {
		cells.coalesced.Add(1)
	}
	if c.Took > 0 {
		if !c.Coalesced && (c.Outcome == event.OutcomeHit || c.Outcome == event.OutcomeNegative) {
			cells.hits.add(c.Took)
		} else {
			cells.rest.add(c.Took)
		}
	}
}

func (t *timingCells) add(d time.Duration) {
	t.count.Add(1)
	t.nanos.Add(int64(d))
}

func (s *series) write(c *event.Call) {
	end := done
	switch c.Outcome {
	case event.OutcomeMiss:
		end = noop
	case event.OutcomeError, event.OutcomeRejected:
		end = failed
	default:
	}
	cells := &s.writes[min(int(c.Op), opCells-1)]
	if c.Hits == 0 && c.Misses == 0 {
		cells[end].Add(1)
		return
	}
	cells[done].Add(uint64(c.Hits))
	cells[max(end, noop)].Add(uint64(c.Misses))
}

func (s *series) load(l *event.Load) {
	s.loads[min(int(l.Result), loadCells-1)].Add(1)
	s.loadTime.Add(int64(l.Took))
}

// counts reads the cells one by one.
func (s *series) counts() Counts {
	var outcome [outcomeCells]uint64
	var c Counts
	for i := range s.shards {
		cells := &s.shards[i]
		for o := range outcome {
			outcome[o] += cells.outcome[o].Load()
		}
		c.Lookups.Coalesced += cells.coalesced.Load()
		cells.hits.addTo(&c.Lookups.HitTime)
		cells.rest.addTo(&c.Lookups.OtherTime)
	}
	l := &c.Lookups
	l.Hits = outcome[event.OutcomeHit] + outcome[event.OutcomeOK]
	l.Negative, l.Stale = outcome[event.OutcomeNegative], outcome[event.OutcomeStale]
	l.Misses, l.Rejected = outcome[event.OutcomeMiss], outcome[event.OutcomeRejected]
	l.Errors, l.Unknown = outcome[event.OutcomeError], outcome[outcomeCells-1]

	for op, w := range map[event.Op]*Write{
		event.OpSet: &c.Writes.Set, event.OpAdd: &c.Writes.Add, event.OpDelete: &c.Writes.Delete,
		event.OpTouch: &c.Writes.Touch, event.OpIncr: &c.Writes.Incr, event.OpClear: &c.Writes.Clear,
		event.OpScan: &c.Writes.Scan, event.Op(opCells - 1): &c.Writes.Unknown,
	} {
		cells := &s.writes[op]
		*w = Write{Done: cells[done].Load(), NoOp: cells[noop].Load(), Failed: cells[failed].Load()}
	}
	c.Loads = Loads{
		OK: s.loads[event.LoadOK].Load(), NotFound: s.loads[event.LoadNotFound].Load(),
		Error: s.loads[event.LoadError].Load(), Panic: s.loads[event.LoadPanic].Load(),
		Timeout: s.loads[event.LoadTimeout].Load(), Canceled: s.loads[event.LoadCanceled].Load(),
		Unknown: s.loads[loadCells-1].Load(), Time: time.Duration(s.loadTime.Load()),
	}
	return c
}

func (t *timingCells) addTo(sum *Timing) {
	sum.Count += t.count.Load()
	sum.Total += time.Duration(t.nanos.Load())
}
