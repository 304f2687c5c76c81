// Package breaker stops asking a store that does not answer: the first callers pay its deadline, those that
// follow pay nothing, and a probe in the background finds out when it is well again.
package breaker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Defaults of Options.
const (
	// DefaultFailures is how many failures in a row open the breaker.
	DefaultFailures = 5
	// DefaultWindow is how many of the last results are looked at: half of them being failures opens it too.
	DefaultWindow = 20
	// DefaultProbe is the pause before the first probe; each is twice the one before, up to DefaultProbeMax.
	DefaultProbe = 250 * time.Millisecond
	// DefaultProbeMax is the longest pause between two probes.
	DefaultProbeMax = time.Second
)

// Options configure a Breaker. In every field zero means the default.
type Options struct {
	// Failures is how many failures in a row open it. Default: 5.
	Failures int
	// Window is how many of the last results it looks at; when half of them are failures it opens. Default:
	// 20.
	Window int
	// Probe is the first pause between two probes while it is open, ProbeMax the longest. Each is shortened
	// by up to a quarter at random, so that the processes of a fleet do not come at once. Defaults: 250
	// milliseconds, 1 second.
	Probe, ProbeMax time.Duration
	// Changed is called with true when it has opened, and with false when it has closed again, in order. It
	// must not call the breaker. Nil: nobody is told.
	Changed func(open bool)
}

// Breaker is safe for concurrent use. Make it with New, and Close it.
type Breaker struct {
	opts  Options
	probe func(context.Context) error
	open  atomic.Bool

	mu      sync.Mutex
	row     int    // failures since the last success
	results []bool // a ring of the last ones: true is a failure
	at      int
	failed  int // in results
	seen    int

	ctx    context.Context
	cancel context.CancelFunc
	closed bool
	prober sync.WaitGroup
}

// New returns a closed breaker, which lets everybody through. probe asks the store whether it is well; it
// must heed its context, which gives it a second. It starts no goroutine until the breaker opens.
func New(probe func(context.Context) error, opts Options) (*Breaker, error) {
	if probe == nil {
		return nil, fmt.Errorf("breaker: New needs a probe")
	}
	for _, f := range []struct {
		name     string
		value    *int
		standard int
	}{{"Failures", &opts.Failures, DefaultFailures}, {"Window", &opts.Window, DefaultWindow}} {
		if *f.value < 0 {
			return nil, fmt.Errorf("breaker: %s %d is negative", f.name, *f.value)
		}
		if *f.value == 0 {
			*f.value = f.standard
		}
	}
	if opts.Probe <= 0 {
		opts.Probe = DefaultProbe
	}
	if opts.ProbeMax <= 0 {
		opts.ProbeMax = max(DefaultProbeMax, opts.Probe)
	}
	b := &Breaker{opts: opts, probe: probe, results: make([]bool, opts.Window)}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b, nil
}

// Allow reports whether the store may be asked. It costs one atomic load.
func (b *Breaker) Allow() bool { return !b.open.Load() }

// Success notes that the store has answered.
func (b *Breaker) Success() { b.note(false) }

// Failure notes that it has not, or not in time.
func (b *Breaker) Failure() { b.note(true) }

func (b *Breaker) note(failure bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open.Load() || b.closed {
		return // what was under way when it opened
	}
	if b.seen == len(b.results) {
		if b.results[b.at] {
			b.failed--
		}
	} else {
		b.seen++
	}
	b.results[b.at] = failure
	b.at = (b.at + 1) % len(b.results)
	if !failure {
		b.row = 0
		return
	}
	b.row++
	b.failed++
	if b.row >= b.opts.Failures || b.seen == len(b.results) && 2*b.failed >= b.seen {
		b.trip()
	}
}

// trip is called with the lock held.
func (b *Breaker) trip() {
	b.open.Store(true)
	if b.opts.Changed != nil {
		b.opts.Changed(true)
	}
	b.prober.Go(b.recover)
}

// recover probes until the store is well, or the breaker is closed.
func (b *Breaker) recover() {
	pause := b.opts.Probe
	for {
		t := time.NewTimer(pause - rand.N(pause/4+1))
		select {
		case <-b.ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
		ctx, cancel := context.WithTimeout(b.ctx, time.Second)
		err := b.probe(ctx)
		cancel()
		if err == nil {
			b.reset()
			return
		}
		pause = min(2*pause, b.opts.ProbeMax)
	}
}

func (b *Breaker) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.results)
	b.row, b.at, b.failed, b.seen = 0, 0, 0, 0
	b.open.Store(false)
	if b.opts.Changed != nil {
		b.opts.Changed(false)
	}
}

// Close stops the probe and waits for it. The breaker stays as it is. It is idempotent.
func (b *Breaker) Close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.cancel()
	b.prober.Wait()
}
