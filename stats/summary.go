package stats

import (
	"time"

	"github.com/strata-cache/strata/core/event"
)

// Summary is a trace in numbers. Look-ups are counted in keys, as in Lookups.
type Summary struct {
	Hits, Negative, Stale, Misses, Errors, Rejected, Filtered, Fallback int
	// L1Hits, L2Hits and L3Hits are the hits by tier, as in Tiers.
	L1Hits, L2Hits, L3Hits int
	// Coalesced are those of the above that waited for a load of another request.
	Coalesced int
	// Writes are calls that write or remove, whatever came of them.
	Writes int
	// Loads are finished loads, LoadErrors those of them that brought neither a value nor the certainty
	// that there is none.
	Loads, LoadErrors int
	// Overload is how many loads were refused, because too many were running.
	Overload int
	// Refreshes are background refreshes that the request has queued.
	Refreshes int
	// StoreErrors are operations in which the store failed. The request went on without it.
	StoreErrors int
	// Bypassed says that the request went past the page cache.
	Bypassed int
	// Dropped is how many events are not among the steps, since there were more than MaxSteps.
	Dropped int

	// LoadTime is for how long at least one load was running, or was waited for that another request had
	// started. CacheTime is for how long calls were under way otherwise. Both are spans of wall time, so
	// what happens at once or within another call is not counted twice. Most in-process hits are not
	// timed, and take less than a microsecond; they count as nothing.
	CacheTime, LoadTime time.Duration
}

// Summary returns the numbers so far.
func (t *Trace) Summary() Summary {
	if t == nil {
		return Summary{}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.summarize()
}

func (t *Trace) summarize() Summary {
	s := t.summary
	s.LoadTime = t.loading.total()
	s.CacheTime = max(0, t.busy.total()-s.LoadTime)
	return s
}

func (s *Summary) call(c *event.Call) {
	switch {
	case c.Op != event.OpGet:
		s.Writes++
	case c.Hits != 0 || c.Misses != 0:
		s.hits(c.Hits, c.Tier)
		s.Misses += c.Misses
	default:
		s.lookup(c)
	}
	if c.Coalesced {
		s.Coalesced++
	}
}

func (s *Summary) hits(n, tier int) {
	s.Hits += n
	switch {
	case tier >= 3:
		s.L3Hits += n
	case tier == 2:
		s.L2Hits += n
	case tier == 1:
		s.L1Hits += n
	}
}

func (s *Summary) lookup(c *event.Call) {
	switch c.Outcome {
	case event.OutcomeHit, event.OutcomeOK:
		s.hits(1, c.Tier)
	case event.OutcomeNegative:
		s.Negative++
	case event.OutcomeStale:
		s.Stale++
	case event.OutcomeMiss:
		s.Misses++
	case event.OutcomeRejected:
		s.Rejected++
	case event.OutcomeFiltered:
		s.Filtered++
	case event.OutcomeFallback:
		s.Fallback++
	default:
		s.Errors++
	}
}

func (s *Summary) load(l *event.Load) {
	if l.Result == event.LoadOverload {
		s.Overload++
		return
	}
	s.Loads++
	if l.Result != event.LoadOK && l.Result != event.LoadNotFound {
		s.LoadErrors++
	}
}
