package filter

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
)

// Errors of a filter.
var (
	// ErrClosed is returned by Add and Rebuild of a closed filter.
	ErrClosed = errors.New("filter: closed")
	// ErrNoSource is returned by Rebuild of a filter without Source.
	ErrNoSource = errors.New("filter: no Source to build from")
)

// Why a filter is open.
var (
	errNone     = errors.New("filter: there is no complete bitmap")
	errRun      = errors.New("filter: the server has restarted or failed over since the bitmap was made")
	errRewound  = errors.New("filter: the bitmap is an older copy of itself")
	errUnseen   = errors.New("filter: the bitmap was not looked at for too long")
	errWrong    = errors.New("filter: a key that exists was refused")
	errOwed     = errors.New("filter: keys are owed to the shared bitmap")
	errSettling = errors.New("filter: another process is building")
)

// minUnseen is for how long a confirmed state holds at least: a machine that is busy is no reason for doubt.
const minUnseen = time.Second

// Filter tells which keys may exist. It is safe for concurrent use. Make one with New; it owns a goroutine,
// which Close stops.
type Filter struct {
	opts Options
	// trusted is what answers; nil: the filter is open.
	trusted atomic.Pointer[trust]

	// mu guards what follows. With Shared it is not held while the server is asked.
	mu     sync.RWMutex
	sealed *generation // may lack trust
	open   *generation // takes adds, and is being built
	run    uint64
	looked bool // run is known
	owed   map[string]struct{}
	lost   bool // too many were owed to be remembered
	full   bool // it should be larger, and cannot be
	closed bool

	grown uint64    // the capacity that was found to be needed
	pause time.Time // until when nothing is built unasked
	fails int       // builds, one after the other

	looking  chan struct{} // one look at the shared state at a time
	building chan struct{} // one build at a time
	wake     chan struct{}
	owner    uint64
	check    checker
	counts   counters

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// trust is a generation that may say no, and when this was last confirmed.
type trust struct {
	*generation
	seen time.Time
}

// generation is one bitmap, and this process's copy of it.
type generation struct {
	store.Bitmap // as first seen; Seq and Count are below
	bits         *bitmap
	seq, count   atomic.Uint64
	since        time.Time   // when this process first saw it
	fetched      atomic.Bool // bits has what the shared bitmap had, or is getting it
	bad          atomic.Bool // it must not answer again
}

func newGeneration(m store.Bitmap) *generation {
	g := &generation{Bitmap: m, bits: newBitmap(m.Bits, m.Hashes), since: time.Now()}
	g.saw(m.Seq, m.Count)
	return g
}

// at is the bitmap with the highest seq that this process has seen.
func (g *generation) at() store.Bitmap {
	m := g.Bitmap
	m.Seq = g.seq.Load()
	return m
}

// saw remembers the highest numbers.
func (g *generation) saw(seq, count uint64) {
	raise(&g.seq, seq)
	raise(&g.count, count)
}

func raise(a *atomic.Uint64, to uint64) {
	for {
		is := a.Load()
		if is >= to || a.CompareAndSwap(is, to) {
			return
		}
	}
}

// New starts a filter. It asks nobody before it returns: until its first look at the shared bitmap, or its
// first build, the filter is open.
func New(opts Options) (*Filter, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	f := &Filter{
		opts: opts, owed: map[string]struct{}{},
		owner: rand.Uint64() | 1, looking: make(chan struct{}, 1), building: make(chan struct{}, 1), wake: make(chan struct{}, 1),
	}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	f.wg.Go(f.loop)
	if opts.Exists != nil && opts.SelfCheck > 0 {
		f.wg.Go(f.checkLoop)
	}
	return f, nil
}

// MayContain reports whether key may exist. False means that it does not: it was neither in Source nor added.
// It is one look into memory where the process's copy has the key, and one round trip of at most CheckTimeout
// where it has not; an open filter costs nothing. Where SelfCheck asks for it, a key is let through that
// would have been refused.
func (f *Filter) MayContain(ctx context.Context, key string) bool {
	t := f.trusted.Load()
	if t == nil {
		f.counts.open.Add(1)
		return true
	}
	if t.bits.has(key) {
		return true
	}
	if f.opts.Shared != nil && f.ask(ctx, t, key) {
		return true
	}
	if f.opts.SelfCheck > 0 && rand.Float64() < f.opts.SelfCheck && f.letThrough(key) {
		return true
	}
	f.counts.refused.Add(1)
	return false
}

// ask confirms on the shared bitmap that key is not there.
func (f *Filter) ask(ctx context.Context, t *trust, key string) (maybe bool) {
	if time.Since(t.seen) > max(3*f.opts.Watch, minUnseen) {
		f.doubt(t, errUnseen)
		return true
	}
	timed, cancel := ctx, context.CancelFunc(func() {})
	if f.opts.CheckTimeout > 0 {
		timed, cancel = context.WithTimeout(ctx, f.opts.CheckTimeout)
	}
	defer cancel()
	f.counts.asked.Add(1)
	all, seq, err := f.opts.Shared.TestBits(timed, f.opts.Name, t.at(), t.bits.positions(key))
	switch {
	case err != nil && ctx.Err() != nil:
		return true // it says nothing about the bitmap
	case err != nil:
		f.doubt(t, err)
		return true
	case all:
		t.bits.add(key)
	}
	t.saw(seq, 0)
	return all
}

// doubt opens the filter, unless what is doubted does not answer any more, and has it looked at. t may be nil.
func (f *Filter) doubt(t *trust, err error) {
	defer f.awaken()
	for {
		now := f.trusted.Load()
		if t == nil || now == nil || now.generation != t.generation {
			return
		}
		if f.trusted.CompareAndSwap(now, nil) {
			f.emit(event.FilterOpen, t.generation, err)
			return
		}
	}
}

func (f *Filter) awaken() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Ready reports whether the filter refuses anything: it is not open.
func (f *Filter) Ready() bool { return f.trusted.Load() != nil }

// Close stops the filter and waits for its goroutines, among them a build, and so Source. It is idempotent. An
// Add or Rebuild under way may still end in ErrClosed. MayContain of a closed filter says maybe.
func (f *Filter) Close() error {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.cancel()
	f.wg.Wait()
	f.trusted.Store(nil)
	return nil
}
