package filter

import (
	"sync/atomic"

	"github.com/strata-cache/strata/core/event"
)

// minSample is how many keys that do not exist a measured rate of false positives speaks of, at least, before
// it counts.
const minSample = 10_000

// counters are the filter's own. passed, refused and those of checks begin anew with each bitmap that this
// process has built.
type counters struct {
	open, asked, refused, passed, checked, wrong, builds atomic.Uint64
}

func (c *counters) restart() {
	for _, n := range []*atomic.Uint64{&c.refused, &c.passed, &c.checked, &c.wrong} {
		n.Store(0)
	}
}

// falsePositives is the share of keys that do not exist and were let through, and of how many.
func (c *counters) falsePositives() (rate float64, of uint64) {
	passed := c.passed.Load()
	return share(passed, passed+c.refused.Load()), passed + c.refused.Load()
}

func share(n, of uint64) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}

// Stats are a filter's figures. All but Opened, Asked and Builds count from this process's last build on.
type Stats struct {
	// Ready says that the filter refuses keys: it is not open.
	Ready bool
	// Saturated says that it holds more than Capacity, and cannot be made larger.
	Saturated bool
	// Keys is about how many keys it holds, Capacity how many it was made for.
	Keys, Capacity uint64
	// Bytes is what this process's copies take.
	Bytes uint64
	// Refused is how many keys were refused, Opened how many were let through because the filter was open,
	// Asked how many questions the shared bitmap was asked.
	Refused, Opened, Asked uint64
	// Checked is how many refused keys were checked, Wrong how many of them exist.
	Checked, Wrong uint64
	// FalsePositives and FalseNegatives are the measured rates, 0 to 1: of keys that do not exist and were let
	// through, as far as Observe was told, and of checked keys that were refused and exist.
	FalsePositives, FalseNegatives float64
	// Owed is how many keys the shared bitmap still lacks.
	Owed int
	// Builds is how many bitmaps this process has completed.
	Builds uint64
}

// Stats returns the figures of now. They are taken one after the other.
func (f *Filter) Stats() Stats {
	c := &f.counts
	s := Stats{
		Ready: f.Ready(), Refused: c.refused.Load(), Opened: c.open.Load(), Asked: c.asked.Load(),
		Checked: c.checked.Load(), Wrong: c.wrong.Load(), Builds: c.builds.Load(),
	}
	s.FalsePositives, _ = c.falsePositives()
	s.FalseNegatives = share(s.Wrong, s.Checked)
	f.mu.RLock()
	defer f.mu.RUnlock()
	s.Owed, s.Saturated = len(f.owed), f.full
	if g := f.sealed; g != nil {
		s.Keys, s.Capacity = g.count.Load(), g.Capacity
	}
	for _, g := range []*generation{f.sealed, f.open} {
		if g != nil {
			s.Bytes += g.Bits / 8
		}
	}
	return s
}

// current is the generation that answers, or nil.
func (f *Filter) current() *generation {
	if t := f.trusted.Load(); t != nil {
		return t.generation
	}
	return nil
}

// emit reports a state. g may be nil.
func (f *Filter) emit(state event.FilterState, g *generation, err error) {
	o := f.opts.Observer
	if o == nil || o.Filter == nil {
		return
	}
	e := event.Filter{Name: f.opts.Name, State: state, Err: err}
	if g != nil {
		e.Keys, e.Capacity = g.count.Load(), g.Capacity
	}
	e.FalsePositives, _ = f.counts.falsePositives()
	e.FalseNegatives = share(f.counts.wrong.Load(), f.counts.checked.Load())
	o.Filter(e)
}
