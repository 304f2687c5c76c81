package cachetest

import (
	"context"
	"sync"

	"github.com/strata-cache/strata/core/event"
)

// Recorder counts the events of one or several caches. Kinds are told apart by their names; the untyped verbs
// are the kind "". Make it with NewRecorder. It is safe for concurrent use.
type Recorder struct {
	mu      sync.Mutex
	counts  map[count]int
	errs    []error       // of stores
	changed chan struct{} // closed with the next event
}

// count is what is counted for one kind.
type count struct {
	kind, what string
}

// What is counted, beside the outcomes of calls and the results of loads by their names.
const (
	loads     = "loads"
	refreshes = "refreshes"
	corrupt   = "corrupt"
)

// NewRecorder returns a recorder that has seen nothing.
func NewRecorder() *Recorder {
	return &Recorder{counts: make(map[count]int), changed: make(chan struct{})}
}

// Observer returns what feeds the recorder: New has set it already.
func (r *Recorder) Observer() *event.Observer {
	return &event.Observer{
		Call: func(_ context.Context, c event.Call) { r.call(c) },
		Load: func(_ context.Context, l event.Load) {
			r.add(l.Kind, loads, 1)
			r.add(l.Kind, "load "+l.Result.String(), 1)
		},
		StoreError: func(_ context.Context, e event.StoreError) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.errs = append(r.errs, e.Err)
			r.tell()
		},
		Corrupt: func(_ context.Context, c event.Corrupt) { r.add(c.Kind, corrupt, 1) },
		Refused: func(_ context.Context, f event.Refused) { r.add(f.Kind, "refused "+f.Reason, 1) },
		Refresh: func(_ context.Context, f event.Refresh) {
			if f.State == event.RefreshDone {
				r.add(f.Kind, refreshes, 1)
			}
		},
	}
}

// call counts look-ups, each key of a call over many.
func (r *Recorder) call(c event.Call) {
	if c.Op != event.OpGet {
		return
	}
	if c.Hits+c.Misses == 0 {
		r.add(c.Kind, c.Outcome.String(), 1)
		return
	}
	r.add(c.Kind, event.OutcomeHit.String(), c.Hits)
	r.add(c.Kind, event.OutcomeMiss.String(), c.Misses)
}

func (r *Recorder) add(kind, what string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[count{kind, what}] += n
	r.tell()
}

// tell wakes those who wait. It is called with the lock held.
func (r *Recorder) tell() {
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *Recorder) get(kind, what string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts[count{kind, what}]
}

// Hits returns how many keys were found fresh.
func (r *Recorder) Hits(kind string) int { return r.Outcomes(kind, event.OutcomeHit) }

// Misses returns how many keys were not found: what a loader was needed for, whether it succeeded or not.
func (r *Recorder) Misses(kind string) int {
	return r.Outcomes(kind, event.OutcomeMiss) + r.Outcomes(kind, event.OutcomeError) + r.Outcomes(kind, event.OutcomeFallback)
}

// Outcomes returns how many look-ups ended so. Calls over many keys count as hits and misses, by key.
func (r *Recorder) Outcomes(kind string, o event.Outcome) int { return r.get(kind, o.String()) }

// Loads returns how often a loader has run, however it ended.
func (r *Recorder) Loads(kind string) int { return r.get(kind, loads) }

// LoadResults returns how many loads ended so.
func (r *Recorder) LoadResults(kind string, result event.LoadResult) int {
	return r.get(kind, "load "+result.String())
}

// Refreshes returns how many background refreshes were done.
func (r *Recorder) Refreshes(kind string) int { return r.get(kind, refreshes) }

// Corrupt returns how many entries could not be used.
func (r *Recorder) Corrupt(kind string) int { return r.get(kind, corrupt) }

// Refused returns how many values were made and not stored, for the reason that event.Refused gives.
func (r *Recorder) Refused(kind, reason string) int { return r.get(kind, "refused "+reason) }

// StoreErrors returns the errors of stores that callers did not see.
func (r *Recorder) StoreErrors() []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]error(nil), r.errs...)
}

// Reset forgets what was counted.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.counts)
	r.errs = nil
}
