package stats

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/strata-cache/strata/core/event"
)

// Log is how the process stands with the invalidation log of a cache. Its changes are counted by state in
// the Tally named EventLog.
type Log struct {
	Cache string `json:"cache"`
	// State is the name of an event.LogState: the last that was reported.
	State string `json:"state"`
	// Since is when it was reported.
	Since time.Time `json:"since"`
}

// Filter is how a filter of existing keys stands.
type Filter struct {
	Name string `json:"name"`
	// State is the name of an event.FilterState: the last that was reported, self-checks left aside.
	State string `json:"state"`
	// Since is when it was reported.
	Since time.Time `json:"since"`
	// Keys is how many keys the filter is estimated to hold, Capacity how many it was made for.
	Keys     uint64 `json:"keys"`
	Capacity uint64 `json:"capacity"`
	// FalsePositives and FalseNegatives are rates from 0 to 1, as the last self-check has measured them: of
	// keys that do not exist and passed, and of keys that exist and were refused. Zero before the first.
	FalsePositives float64 `json:"false_positives"`
	FalseNegatives float64 `json:"false_negatives"`
}

func (f *Filter) update(e *event.Filter) {
	f.Name, f.Keys, f.Capacity = e.Name, e.Keys, e.Capacity
	if e.State == event.FilterChecked || e.FalsePositives != 0 || e.FalseNegatives != 0 {
		f.FalsePositives, f.FalseNegatives = e.FalsePositives, e.FalseNegatives
	}
	if e.State != event.FilterChecked || f.State == "" {
		f.State, f.Since = e.State.String(), time.Now()
	}
}

// Breaker is how the breaker in front of a cache's shared store stands. Its changes are counted in the Tally
// named EventBreaker. One that has never opened is not there.
type Breaker struct {
	Cache string `json:"cache"`
	// Open says that the store is not asked.
	Open bool `json:"open"`
	// Since is when the last change was reported.
	Since time.Time `json:"since"`
}

// statuses holds the last status by name, of a bounded number of names: unlike counts, those of several
// cannot be merged into one. Changes are rare.
type statuses[S any] struct {
	max    int
	mu     sync.Mutex
	byName map[string]*S
}

func (s *statuses[S]) update(name string, change func(*S)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := s.byName[name]
	if status == nil {
		if len(s.byName) >= s.max {
			return
		}
		if s.byName == nil {
			s.byName = map[string]*S{}
		}
		status = new(S)
		s.byName[name] = status
	}
	change(status)
}

// sorted returns copies.
func (s *statuses[S]) sorted(name func(S) string) []S {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]S, 0, len(s.byName))
	for _, status := range s.byName {
		out = append(out, *status)
	}
	slices.SortFunc(out, func(a, b S) int { return cmp.Compare(name(a), name(b)) })
	return out
}
