package stats

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/strata-cache/strata/core/event"
)

// Limits of Options.MaxSeries.
const (
	// DefaultMaxSeries is how many series a recorder keeps apart by default.
	DefaultMaxSeries = 1024
	// LimitMaxSeries is the most that may be asked for. A series takes 0.5 to 5 KiB, the more the more
	// CPUs there are.
	LimitMaxSeries = 8192
)

// Other stands in place of all names of what came after Options.MaxSeries was reached.
const Other = "other"

// Options configure a Recorder. The zero value is ready for use.
type Options struct {
	// MaxSeries bounds the combinations of cache, kind and layer that are counted apart, and likewise
	// the label sets of the rarer events (Tally). What comes later is counted under the name Other.
	// Zero means DefaultMaxSeries, negative means that everything is counted under Other. The states of as
	// many logs, filters and breakers are kept; later ones are only counted.
	MaxSeries int
	// NoTraces says that the observer leaves traces alone: for a second recorder of one cache, whose
	// events would otherwise appear twice in them. It also saves the look-up in the context.
	NoTraces bool
}

// Recorder counts events. Make it with New. It is safe for concurrent use. Counting takes no lock and,
// once a series was seen, allocates nothing; only a change of a log's, filter's or breaker's state takes one.
// Its memory is bounded by Options.MaxSeries.
type Recorder struct {
	opts     Options
	began    time.Time
	observer event.Observer
	shards   int
	// The hints find counters by the addresses of their names, which are nearly always those of the last
	// time. An address only leads to a guess: the names themselves are compared.
	hints      [hints]atomic.Pointer[series]
	tallyHints [tallyHints]atomic.Pointer[tally]
	series     table[seriesKey, series]
	tallies    table[tallyKey, tally]
	logs       statuses[Log]
	filters    statuses[Filter]
	breakers   statuses[Breaker]
}

const (
	hints      = 512
	tallyHints = 64
)

// New returns a recorder that has counted nothing.
func New(opts Options) (*Recorder, error) {
	switch {
	case opts.MaxSeries > LimitMaxSeries:
		return nil, fmt.Errorf("stats: MaxSeries %d is more than %d", opts.MaxSeries, LimitMaxSeries)
	case opts.MaxSeries == 0:
		opts.MaxSeries = DefaultMaxSeries
	}
	r := &Recorder{opts: opts, began: time.Now(), shards: shardCount()}
	r.series.max, r.tallies.max = opts.MaxSeries, opts.MaxSeries
	r.logs.max, r.filters.max, r.breakers.max = opts.MaxSeries, opts.MaxSeries, opts.MaxSeries
	r.observer = event.Observer{
		Call: r.call, Load: r.load, StoreError: r.storeError, Corrupt: r.corrupt,
		Rejected: r.rejected, Refused: r.refused, Bypass: r.bypass, Evict: r.evict,
		Refresh: r.refresh, Log: r.log, Filter: r.filter, Breaker: r.breaker,
	}
	return r, nil
}

// Observer returns what feeds the recorder, and the traces of the contexts that its events come with. One
// observer serves any number of caches and stores. To be observed by others as well, see event.Join.
func (r *Recorder) Observer() *event.Observer { return &r.observer }

func (r *Recorder) trace(ctx context.Context) *Trace {
	if r.opts.NoTraces {
		return nil
	}
	return FromContext(ctx)
}

func (r *Recorder) call(ctx context.Context, c event.Call) {
	s := r.find(c.Cache, c.Kind, c.Layer)
	if c.Op == event.OpGet {
		s.lookup(&c)
	} else {
		s.write(&c)
	}
	if t := r.trace(ctx); t != nil {
		t.call(&c)
	}
}

func (r *Recorder) load(ctx context.Context, l event.Load) {
	r.find(l.Cache, l.Kind, l.Layer).load(&l)
	if t := r.trace(ctx); t != nil {
		t.load(&l)
	}
}

// find returns the series of the names, or the one of all others.
func (r *Recorder) find(cache, kind string, layer event.Layer) *series {
	hint := &r.hints[place(cache, kind, uint8(layer))%hints]
	seen := hint.Load()
	if seen != nil && seen.key.layer == layer && seen.key.kind == kind && seen.key.cache == cache {
		return seen
	}
	s := r.series.get(seriesKey{cache, kind, layer}, seriesKey{Other, Other, layer}, r.newSeries)
	remember(hint, seen, s)
	return s
}

// place hashes the addresses of the names, which are never followed.
func place(a, b string, n uint8) uintptr {
	h := uintptr(unsafe.Pointer(unsafe.StringData(a)))*mix + uintptr(unsafe.Pointer(unsafe.StringData(b)))
	return (h*mix + uintptr(n)*mix) >> (wordBits - 9)
}

// remember puts found in the place of a hint that led to something else. Of two that share a place,
// neither may push the other out at each turn: they would bounce a cache line between CPUs. Nor may one
// stay that is not seen any more.
func remember[T any](hint *atomic.Pointer[T], seen, found *T) {
	if seen == nil || rand.Uint32()%64 == 0 {
		hint.Store(found)
	}
}
