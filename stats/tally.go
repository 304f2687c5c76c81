package stats

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/strata-cache/strata/core/event"
)

// The names of the events that are counted as a Tally, and that appear as Step.Event beside EventCall and
// EventLoad where they belong to a request: evictions, logs, filters and breakers do not.
const (
	EventStoreError = "store-error"
	EventCorrupt    = "corrupt"
	EventRejected   = "rejected"
	EventRefused    = "refused"
	EventBypass     = "bypass"
	EventEvict      = "evict"
	EventRefresh    = "refresh"
	EventLog        = "log"
	EventFilter     = "filter"
	EventBreaker    = "breaker"
)

// Tally counts the events of one name with the same labels. Labels that an event does not have are empty;
// all of them come from small fixed sets.
type Tally struct {
	Event    string `json:"event"`
	Cache    string `json:"cache,omitempty"`
	Kind     string `json:"kind,omitempty"`     // of corrupt, rejected, refused and refresh
	Layer    string `json:"layer,omitempty"`    // of refused
	Op       string `json:"op,omitempty"`       // of store-error
	Reason   string `json:"reason,omitempty"`   // of refused and bypass
	Store    string `json:"store,omitempty"`    // of evict
	Priority string `json:"priority,omitempty"` // of evict
	Filter   string `json:"filter,omitempty"`   // of filter: its name
	State    string `json:"state,omitempty"`    // of refresh, log and filter; open or closed, of breaker
	Count    uint64 `json:"count"`
	Bytes    uint64 `json:"bytes,omitempty"` // the weight of what was evicted
}

// labels returns t without its counts.
func (t Tally) labels() Tally {
	t.Count, t.Bytes = 0, 0
	return t
}

func (t Tally) compare(u Tally) int {
	return cmp.Or(
		cmp.Compare(t.Event, u.Event), cmp.Compare(t.Cache, u.Cache), cmp.Compare(t.Kind, u.Kind),
		cmp.Compare(t.Layer, u.Layer), cmp.Compare(t.Op, u.Op), cmp.Compare(t.Reason, u.Reason),
		cmp.Compare(t.Store, u.Store), cmp.Compare(t.Priority, u.Priority),
		cmp.Compare(t.Filter, u.Filter), cmp.Compare(t.State, u.State),
	)
}

// tallyKey is a Tally's labels in a form that is cheap to hash: evictions come while a store holds locks.
type tallyKey struct {
	event  string
	a, b   string // cache and kind, store and priority, or the name of a filter
	reason string
	layer  event.Layer
	op     event.Op
	state  uint8 // of the type that goes with the event; of a breaker 1 is open
}

func (k tallyKey) other() tallyKey {
	o := tallyKey{event: k.event, a: Other, layer: k.layer, op: k.op, state: k.state}
	if k.b != "" {
		o.b = Other
	}
	if k.reason != "" {
		o.reason = Other
	}
	return o
}

type tally struct {
	key          tallyKey
	count, bytes atomic.Uint64
}

func newTally(k tallyKey) *tally { return &tally{key: k} }

// tally counts an event and returns its counters.
func (r *Recorder) tally(k tallyKey) *tally {
	hint := &r.tallyHints[(place(k.a, k.b, uint8(k.op)+k.state)^place(k.reason, k.event, uint8(k.layer)))%tallyHints]
	t := hint.Load()
	if t == nil || t.key != k {
		seen := t
		t = r.tallies.get(k, k.other(), newTally)
		remember(hint, seen, t)
	}
	t.count.Add(1)
	return t
}

func (r *Recorder) storeError(ctx context.Context, e event.StoreError) {
	r.tally(tallyKey{event: EventStoreError, a: e.Cache, op: e.Op})
	r.trace(ctx).step(Step{Event: EventStoreError, Cache: e.Cache, Op: e.Op, Err: e.Err})
}

func (r *Recorder) corrupt(ctx context.Context, e event.Corrupt) {
	r.tally(tallyKey{event: EventCorrupt, a: e.Cache, b: e.Kind})
	r.trace(ctx).step(Step{Event: EventCorrupt, Cache: e.Cache, Kind: e.Kind, Key: e.Key, Err: e.Err})
}

func (r *Recorder) rejected(ctx context.Context, e event.Rejected) {
	r.tally(tallyKey{event: EventRejected, a: e.Cache, b: e.Kind})
	r.trace(ctx).step(Step{Event: EventRejected, Cache: e.Cache, Kind: e.Kind, Err: e.Err})
}

func (r *Recorder) refused(ctx context.Context, e event.Refused) {
	r.tally(tallyKey{event: EventRefused, a: e.Cache, b: e.Kind, layer: e.Layer, reason: e.Reason})
	r.trace(ctx).step(Step{Event: EventRefused, Cache: e.Cache, Kind: e.Kind, Layer: e.Layer, Reason: e.Reason})
}

func (r *Recorder) bypass(ctx context.Context, e event.Bypass) {
	r.tally(tallyKey{event: EventBypass, a: e.Cache, reason: e.Reason})
	r.trace(ctx).step(Step{Event: EventBypass, Cache: e.Cache, Layer: event.LayerPage, Reason: e.Reason})
}

func (r *Recorder) evict(e event.Evict) {
	r.tally(tallyKey{event: EventEvict, a: e.Store, b: e.Priority}).bytes.Add(uint64(e.Size))
}

func (r *Recorder) refresh(ctx context.Context, e event.Refresh) {
	r.tally(tallyKey{event: EventRefresh, a: e.Cache, b: e.Kind, state: uint8(e.State)})
	r.trace(ctx).step(Step{
		Event: EventRefresh, Cache: e.Cache, Kind: e.Kind, Key: e.Key, Refresh: e.State, Took: e.Took, Err: e.Err,
	})
}

func (r *Recorder) log(e event.Log) {
	r.tally(tallyKey{event: EventLog, a: e.Cache, state: uint8(e.State)})
	r.logs.update(e.Cache, func(l *Log) {
		*l = Log{Cache: e.Cache, State: e.State.String(), Since: time.Now()}
	})
}

func (r *Recorder) filter(e event.Filter) {
	r.tally(tallyKey{event: EventFilter, a: e.Name, state: uint8(e.State)})
	r.filters.update(e.Name, func(f *Filter) { f.update(&e) })
}

func (r *Recorder) breaker(e event.Breaker) {
	k := tallyKey{event: EventBreaker, a: e.Cache}
	if e.Open {
		k.state = 1
	}
	r.tally(k)
	r.breakers.update(e.Cache, func(b *Breaker) {
		*b = Breaker{Cache: e.Cache, Open: e.Open, Since: time.Now()}
	})
}

func (k tallyKey) export(t *tally) Tally {
	out := Tally{Event: k.event, Reason: k.reason, Count: t.count.Load(), Bytes: t.bytes.Load()}
	switch k.event {
	case EventEvict:
		out.Store, out.Priority = k.a, k.b
	case EventFilter:
		out.Filter = k.a
	default:
		out.Cache, out.Kind = k.a, k.b
	}
	switch k.event {
	case EventRefused:
		out.Layer = k.layer.String()
	case EventStoreError:
		out.Op = k.op.String()
	case EventRefresh:
		out.State = event.RefreshState(k.state).String()
	case EventLog:
		out.State = event.LogState(k.state).String()
	case EventFilter:
		out.State = event.FilterState(k.state).String()
	case EventBreaker:
		out.State = "closed"
		if k.state == 1 {
			out.State = "open"
		}
	}
	return out
}

func sortedTallies(all map[tallyKey]*tally) []Tally {
	out := make([]Tally, 0, len(all))
	for k, t := range all {
		out = append(out, k.export(t))
	}
	slices.SortFunc(out, Tally.compare)
	return out
}
