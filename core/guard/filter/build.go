package filter

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
)

// maxBackOff is how many times RebuildPause a build waits after failures.
const maxBackOff = 16

// mergeTries is how often a chunk is sent: a round trip may take too long, and setting bits twice is harmless.
const mergeTries = 3

// Rebuild builds the filter from Source, and returns when it is in use. The one in use until then stays so. It
// takes CommitWithin longer than Source does. Where another process is building, Rebuild waits for that one's
// result instead.
func (f *Filter) Rebuild(ctx context.Context) error {
	if f.opts.Source == nil {
		return ErrNoSource
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(f.ctx, func() { cancel(ErrClosed) })()
	if f.ctx.Err() != nil {
		return ErrClosed
	}
	select {
	case f.building <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-f.building }()
	before := f.sealedToken()
	tick := time.NewTicker(f.opts.Watch)
	defer tick.Stop()
	for {
		err := f.build(ctx)
		if err == nil || !errors.Is(err, errSettling) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := f.sync(ctx); err == nil && f.Ready() && f.sealedToken() != before {
			return nil
		}
	}
}

func (f *Filter) sealedToken() uint64 {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.sealed == nil {
		return 0
	}
	return f.sealed.Token
}

// due reports whether the filter is to be built, and notes how large.
func (f *Filter) due() bool {
	f.mu.RLock()
	g, run, early := f.sealed, f.run, time.Now().Before(f.pause)
	f.mu.RUnlock()
	switch {
	case early:
		return false
	case g == nil, g.bad.Load(), g.Run != run:
		return true
	case f.saturated(g):
		return f.grow(g)
	case g.Capacity < f.opts.Capacity:
		return true
	default:
		return f.opts.RebuildEvery > 0 && time.Since(g.since) > f.opts.RebuildEvery
	}
}

// saturated reports whether g holds more than it was made for, or lets through twice as much as it should.
func (f *Filter) saturated(g *generation) bool {
	if g.count.Load() > g.Capacity {
		return true
	}
	rate, n := f.counts.falsePositives()
	return n >= minSample && rate > 2*f.opts.FalsePositives
}

// grow notes what g's keys need, and reports whether there is such a size.
func (f *Filter) grow(g *generation) bool {
	need := max(2*g.count.Load(), g.Capacity)
	m, _ := sizeFor(min(need, math.MaxUint32), f.opts.FalsePositives)
	possible := need <= math.MaxUint32 && m <= store.MaxBitmapBits
	f.mu.Lock()
	news := !possible && !f.full || possible && need > f.grown
	f.full = !possible
	if possible {
		f.grown = max(f.grown, need)
	}
	f.mu.Unlock()
	if news {
		f.emit(event.FilterSaturated, g, nil)
	}
	return possible
}

// buildBehind builds in the background, unless a build is running.
func (f *Filter) buildBehind() {
	select {
	case f.building <- struct{}{}:
	default:
		return
	}
	f.wg.Go(func() {
		defer func() { <-f.building }()
		err := f.build(f.ctx)
		if errors.Is(err, errSettling) || f.ctx.Err() != nil {
			return
		}
		f.mu.Lock()
		f.fails++
		if err == nil {
			f.fails = 0
		}
		f.pause = time.Now().Add(f.opts.RebuildPause * time.Duration(min(1<<min(f.fails, 10), maxBackOff)))
		f.mu.Unlock()
		if err != nil {
			f.opts.Logger.Error("filter: build failed", "filter", f.opts.Name, "error", err)
		}
		f.awaken()
	})
}

// build makes one generation. A panic of Source is an error.
func (f *Filter) build(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("filter: Source panicked: %v", p)
		}
	}()
	if f.ctx.Err() != nil {
		return ErrClosed // it had to wait for another build until then
	}
	if f.opts.Shared == nil {
		return f.buildLocal(ctx)
	}
	return f.buildShared(ctx)
}

func (f *Filter) buildLocal(ctx context.Context) error {
	f.mu.Lock()
	want := store.Bitmap{Token: f.counts.builds.Load() + 1, Capacity: max(f.opts.Capacity, f.grown)}
	want.Bits, want.Hashes = sizeFor(want.Capacity, f.opts.FalsePositives)
	g := newGeneration(want)
	f.open = g
	f.mu.Unlock()
	added, err := f.fill(ctx, g)
	g.count.Add(added)
	f.mu.Lock()
	f.open = nil
	if err == nil && f.closed {
		err = ErrClosed
	}
	if err == nil {
		f.sealed = g
		f.trusted.Store(&trust{generation: g})
	}
	f.mu.Unlock()
	if err != nil {
		return err
	}
	f.counts.builds.Add(1)
	f.counts.restart()
	f.emit(event.FilterReady, g, nil)
	return nil
}

func (f *Filter) buildShared(ctx context.Context) (err error) {
	held, err := f.opts.Shared.HoldBitmaps(ctx, f.opts.Name, f.owner, f.opts.HoldTTL)
	if err != nil {
		return err
	}
	if !held {
		return errSettling
	}
	ctx, stop := f.keepHold(ctx)
	defer stop()
	defer func() {
		if cause := context.Cause(ctx); err != nil && cause != nil {
			err = cause
		}
	}()
	if err := f.look(ctx); err != nil { // the run of the server may be another by now
		return err
	}
	g, err := f.openShared(ctx, true)
	if err != nil {
		return err
	}
	added, err := f.fill(ctx, g)
	if err != nil {
		return err
	}
	if err := f.send(ctx, g); err != nil {
		return err
	}
	if err := f.look(ctx); err != nil {
		return err
	}
	f.mu.RLock()
	run := f.run
	f.mu.RUnlock()
	if run != g.Run {
		return errRun // adds of other processes may be lost
	}
	if err := f.opts.Shared.SealBitmap(ctx, f.opts.Name, g.at(), added); err != nil {
		return err
	}
	g.fetched.Store(true)
	f.counts.builds.Add(1)
	return f.sync(ctx)
}

// fill adds what Source yields to g's copy, and returns how many keys there were. It begins when everything
// that was added before g took adds is committed.
func (f *Filter) fill(ctx context.Context, g *generation) (added uint64, err error) {
	f.emit(event.FilterBuilding, g, nil)
	wait := time.NewTimer(f.opts.CommitWithin - time.Since(g.since))
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	batch := make([]string, 0, 256)
	for key, err := range f.opts.Source(ctx) {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return 0, fmt.Errorf("filter: Source: %w", err)
		}
		if batch = append(batch, key); len(batch) == cap(batch) {
			added += g.bits.add(batch...)
			batch = batch[:0]
		}
	}
	// A source that ends because its context has ended has not yielded everything.
	return added + g.bits.add(batch...), context.Cause(ctx)
}

// send merges g's copy into the shared bitmap.
func (f *Filter) send(ctx context.Context, g *generation) error {
	data := make([]byte, 0, store.BitmapChunk)
	for at := uint64(0); at < g.Bits/8; at += store.BitmapChunk {
		data, some := g.bits.read(data[:0], at, int(min(store.BitmapChunk, g.Bits/8-at)))
		if !some {
			continue
		}
		var err error
		for range mergeTries {
			var seq uint64
			seq, err = f.opts.Shared.MergeBitmap(ctx, f.opts.Name, g.at(), at, data)
			if err == nil {
				g.saw(seq, 0)
			}
			if err == nil || errors.Is(err, store.ErrBitmapChanged) || ctx.Err() != nil {
				break
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// keepHold renews the right to build until stop is called, which gives it back. The context ends when it is
// lost to another process.
func (f *Filter) keepHold(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(f.opts.HoldTTL / 3)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			if held, err := f.opts.Shared.HoldBitmaps(ctx, f.opts.Name, f.owner, f.opts.HoldTTL); err == nil && !held {
				cancel(errSettling)
			}
		}
	}()
	return ctx, func() {
		close(done)
		<-ended
		_, _ = f.opts.Shared.HoldBitmaps(context.WithoutCancel(ctx), f.opts.Name, f.owner, 0) // or it ends by itself
		cancel(nil)
	}
}
