package stats

import (
	"cmp"
	"slices"
	"time"
)

// Snapshot is what a recorder had counted at one time. It is the caller's own. It marshals to JSON, with
// durations in nanoseconds, and back.
//
// Numbers are read one by one while others are being counted: each only grows, but two of them may stand
// for moments some microseconds apart.
type Snapshot struct {
	Taken time.Time `json:"taken"`
	// Window is how long the counting lasted: since New, or since the snapshot that was subtracted.
	Window time.Duration `json:"window_ns"`
	// Series are sorted by cache, kind and layer.
	Series []Series `json:"series"`
	// Events are the rarer ones, sorted by name and labels.
	Events []Tally `json:"events"`
	// Logs, Filters and Breakers are what they were at the time the snapshot was taken, sorted by name.
	Logs     []Log     `json:"logs"`
	Filters  []Filter  `json:"filters"`
	Breakers []Breaker `json:"breakers"`
}

// Series are the counts of one kind of one cache in one layer. Kind is empty for the untyped verbs.
type Series struct {
	Cache string `json:"cache"`
	Kind  string `json:"kind"`
	Layer string `json:"layer"`
	Counts
}

// Snapshot returns the counts so far.
func (r *Recorder) Snapshot() Snapshot {
	now := time.Now()
	s := Snapshot{
		Taken: now, Window: now.Sub(r.began), Events: sortedTallies(r.tallies.all()),
		Logs:     r.logs.sorted(func(l Log) string { return l.Cache }),
		Filters:  r.filters.sorted(func(f Filter) string { return f.Name }),
		Breakers: r.breakers.sorted(func(b Breaker) string { return b.Cache }),
	}
	all := r.series.all()
	s.Series = make([]Series, 0, len(all))
	for k, cells := range all {
		s.Series = append(s.Series, Series{k.cache, k.kind, k.layer.String(), cells.counts()})
	}
	slices.SortFunc(s.Series, Series.compare)
	return s
}

// Sub returns what was counted between prev and s, without what has not changed. Logs, Filters and Breakers
// are those of s. prev is an earlier snapshot of the same recorder.
func (s Snapshot) Sub(prev Snapshot) Snapshot {
	out := Snapshot{
		Taken: s.Taken, Window: s.Taken.Sub(prev.Taken), Series: []Series{}, Events: []Tally{},
		Logs: slices.Clone(s.Logs), Filters: slices.Clone(s.Filters), Breakers: slices.Clone(s.Breakers),
	}
	old := make(map[[3]string]Counts, len(prev.Series))
	for _, p := range prev.Series {
		old[p.name()] = p.Counts
	}
	for _, n := range s.Series {
		n.sub(old[n.name()])
		if n.Counts != (Counts{}) {
			out.Series = append(out.Series, n)
		}
	}
	oldEvents := make(map[Tally]Tally, len(prev.Events))
	for _, p := range prev.Events {
		oldEvents[p.labels()] = p
	}
	for _, n := range s.Events {
		p := oldEvents[n.labels()]
		n.Count, n.Bytes = since(n.Count, p.Count), since(n.Bytes, p.Bytes)
		if n.Count != 0 {
			out.Events = append(out.Events, n)
		}
	}
	return out
}

// Total returns the sum over all series.
func (s Snapshot) Total() Counts {
	var sum Counts
	for _, n := range s.Series {
		sum.add(n.Counts)
	}
	return sum
}

// Count returns how many events of one name there were, whatever their labels.
func (s Snapshot) Count(event string) uint64 {
	var n uint64
	for _, t := range s.Events {
		if t.Event == event {
			n += t.Count
		}
	}
	return n
}

func (s Series) name() [3]string { return [3]string{s.Cache, s.Kind, s.Layer} }

func (s Series) compare(t Series) int {
	return cmp.Or(cmp.Compare(s.Cache, t.Cache), cmp.Compare(s.Kind, t.Kind), cmp.Compare(s.Layer, t.Layer))
}
