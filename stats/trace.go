package stats

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/strata-cache/strata/core/event"
)

// MaxSteps is how many steps a trace keeps. Later ones are only counted, in Summary.Dropped and in the
// other numbers of the summary.
const MaxSteps = 256

// Trace is what one request did to its caches, in the order in which it was done. Make it with WithTrace;
// the observer of a Recorder fills it. It is safe for concurrent use, and its methods accept a nil trace,
// which stays empty.
type Trace struct {
	start time.Time
	// watched says that a Monitor reports this trace.
	watched atomic.Bool

	mu       sync.Mutex
	finished bool
	steps    []Step
	summary  Summary
	busy     spans   // calls and loads
	loading  spans   // loads, and waits for those of others
	first    [4]Step // where the steps of most requests fit
}

// Names of the steps that are not a Tally.
const (
	EventCall = "call"
	EventLoad = "load"
)

// Step is one event of a trace. Fields that the event does not have are zero.
type Step struct {
	// At is when it ended, counted from the beginning of the trace.
	At time.Duration
	// Event is EventCall, EventLoad or a name of a Tally.
	Event            string
	Cache, Kind, Key string // Key is empty where it would have cost an allocation
	Layer            event.Layer
	Op               event.Op
	Outcome          event.Outcome      // of a call
	Tier             int                // where a value was found, counted from 1; 0 where that is not known
	Result           event.LoadResult   // of a load
	Refresh          event.RefreshState // of a refresh
	Coalesced        bool
	Hits, Misses     int           // of a call over many keys
	Age              time.Duration // of the entry served
	// Took is zero where the engine did not read a clock: see event.TimedHits.
	Took   time.Duration
	Reason string // of refused and bypass
	Err    error
}

type traceKey struct{}

// WithTrace returns a context that carries a new trace. What is done with it and with contexts derived
// from it, by loaders on other goroutines too, goes into the trace until Finish. A trace that ctx carries
// already gets none of it.
func WithTrace(ctx context.Context) (context.Context, *Trace) {
	t := &Trace{start: time.Now()}
	t.steps = t.first[:0]
	return context.WithValue(ctx, traceKey{}, t), t
}

// FromContext returns the trace that ctx carries, or nil.
func FromContext(ctx context.Context) *Trace {
	t, _ := ctx.Value(traceKey{}).(*Trace)
	return t
}

// Steps returns a copy of the steps so far, MaxSteps at most.
func (t *Trace) Steps() []Step {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.steps)
}

// Finish closes the trace and returns its summary. What comes later, from loads that outlive the request,
// is dropped. It may be called more than once.
func (t *Trace) Finish() Summary {
	if t == nil {
		return Summary{}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.finished = true
	return t.summarize()
}

// isFinished reports whether Finish was called.
func (t *Trace) isFinished() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.finished
}

func (t *Trace) call(c *event.Call) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.finished {
		return
	}
	t.summary.call(c)
	at := time.Since(t.start)
	if c.Took > 0 {
		t.busy.add(at-c.Took, at)
		if c.Coalesced {
			t.loading.add(at-c.Took, at)
		}
	}
	t.keep(Step{
		At: at, Event: EventCall, Cache: c.Cache, Kind: c.Kind, Key: c.Key, Layer: c.Layer, Op: c.Op,
		Outcome: c.Outcome, Tier: c.Tier, Coalesced: c.Coalesced, Hits: c.Hits, Misses: c.Misses, Age: c.Age, Took: c.Took,
	})
}

func (t *Trace) load(l *event.Load) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.finished {
		return
	}
	t.summary.load(l)
	at := time.Since(t.start)
	t.busy.add(at-l.Took, at)
	if l.Result != event.LoadOverload {
		t.loading.add(at-l.Took, at)
	}
	t.keep(Step{
		At: at, Event: EventLoad, Cache: l.Cache, Kind: l.Kind, Key: l.Key, Layer: l.Layer,
		Result: l.Result, Took: l.Took, Err: l.Err,
	})
}

// step adds an event that is neither a call nor a load.
func (t *Trace) step(s Step) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.finished {
		return
	}
	switch s.Event {
	case EventStoreError:
		t.summary.StoreErrors++
	case EventBypass:
		t.summary.Bypassed++
	case EventRefresh:
		if s.Refresh == event.RefreshQueued {
			t.summary.Refreshes++
		}
	}
	s.At = time.Since(t.start)
	t.keep(s)
}

func (t *Trace) keep(s Step) {
	if len(t.steps) == MaxSteps {
		t.summary.Dropped++
		return
	}
	t.steps = append(t.steps, s)
}
