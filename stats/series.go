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

	unknown  atomic.Uint64 // look-ups that ended as this version does not know
	writes   [opCells][ends]atomic.Uint64
	loads    [loadCells]atomic.Uint64
	loadTime atomic.Int64
}

// lookupCells fill two cache lines.
type lookupCells struct {
	outcome    [outcomeCells]atomic.Uint64 // see outcomeCell
	coalesced  atomic.Uint64
	hits, rest timingCells
}

type timingCells struct {
	count atomic.Uint64
	nanos atomic.Int64
}

// Hits have a cell for each tier, so that telling their tier costs them nothing: the first is of those
// without one, the last of all tiers from the third on. The cells of the other outcomes follow.
const (
	tierCells    = 4
	outcomeCells = tierCells + int(event.OutcomeFallback-event.OutcomeHit)
)

// outcomeCell is valid for outcomes up to OutcomeFallback.
func outcomeCell(o event.Outcome, tier int) int {
	if o > event.OutcomeHit {
		return tierCells - 1 + int(o-event.OutcomeHit)
	}
	return min(max(tier, 0), tierCells-1)
}

// One cell more than there are values: for those that a later version of the engine may add.
const (
	opCells   = int(event.OpLock) + 2
	loadCells = int(event.LoadOverload) + 2
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
		cells.outcome[outcomeCell(event.OutcomeHit, c.Tier)].Add(uint64(c.Hits))
		cells.outcome[outcomeCell(event.OutcomeMiss, 0)].Add(uint64(c.Misses))
		return
	}
	if c.Outcome <= event.OutcomeFallback {
		cells.outcome[outcomeCell(c.Outcome, c.Tier)].Add(1)
	} else {
		s.unknown.Add(1)
	}
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
	if l.Result != event.LoadOverload {
		s.loadTime.Add(int64(l.Took))
	}
}

// counts reads the cells one by one.
func (s *series) counts() Counts {
	var sum [outcomeCells]uint64
	var c Counts
	for i := range s.shards {
		cells := &s.shards[i]
		for i := range sum {
			sum[i] += cells.outcome[i].Load()
		}
		c.Lookups.Coalesced += cells.coalesced.Load()
		cells.hits.addTo(&c.Lookups.HitTime)
		cells.rest.addTo(&c.Lookups.OtherTime)
	}
	l := &c.Lookups
	l.Tiers = Tiers{L1: sum[1], L2: sum[2], L3: sum[3]}
	l.Hits = sum[0] + sum[1] + sum[2] + sum[3]
	for o, n := range map[event.Outcome]*uint64{
		event.OutcomeNegative: &l.Negative, event.OutcomeStale: &l.Stale, event.OutcomeMiss: &l.Misses,
		event.OutcomeRejected: &l.Rejected, event.OutcomeError: &l.Errors, event.OutcomeFiltered: &l.Filtered,
		event.OutcomeFallback: &l.Fallback,
	} {
		*n = sum[outcomeCell(o, 0)]
	}
	l.Unknown = s.unknown.Load()

	for op, w := range map[event.Op]*Write{
		event.OpSet: &c.Writes.Set, event.OpAdd: &c.Writes.Add, event.OpDelete: &c.Writes.Delete,
		event.OpTouch: &c.Writes.Touch, event.OpIncr: &c.Writes.Incr, event.OpClear: &c.Writes.Clear,
		event.OpScan: &c.Writes.Scan, event.OpInvalidate: &c.Writes.Invalidate, event.OpUpdate: &c.Writes.Update,
		event.OpLock: &c.Writes.Lock, event.Op(opCells - 1): &c.Writes.Unknown,
	} {
		cells := &s.writes[op]
		*w = Write{Done: cells[done].Load(), NoOp: cells[noop].Load(), Failed: cells[failed].Load()}
	}
	c.Loads = Loads{
		OK: s.loads[event.LoadOK].Load(), NotFound: s.loads[event.LoadNotFound].Load(),
		Error: s.loads[event.LoadError].Load(), Panic: s.loads[event.LoadPanic].Load(),
		Timeout: s.loads[event.LoadTimeout].Load(), Canceled: s.loads[event.LoadCanceled].Load(),
		Unknown: s.loads[loadCells-1].Load(), Overload: s.loads[event.LoadOverload].Load(),
		Time: time.Duration(s.loadTime.Load()),
	}
	return c
}

func (t *timingCells) addTo(sum *Timing) {
	sum.Count += t.count.Load()
	sum.Total += time.Duration(t.nanos.Load())
}
