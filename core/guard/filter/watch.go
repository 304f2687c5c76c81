package filter

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
)

// loop keeps an eye on the bitmap, and has it built when it must be. Looks of several processes drift apart.
func (f *Filter) loop() {
	for {
		wake := f.wake
		if f.sync(f.ctx) != nil {
			wake = nil // who cannot be reached is not asked more often than that
		}
		if f.opts.Source != nil && f.due() {
			f.buildBehind()
		}
		timer := time.NewTimer(time.Duration(float64(f.opts.Watch) * (0.9 + 0.1*rand.Float64())))
		select {
		case <-timer.C:
		case <-wake:
		case <-f.ctx.Done():
		}
		timer.Stop()
		if f.ctx.Err() != nil {
			return
		}
	}
}

// sync looks at the shared bitmaps and decides whether they can be trusted. Its error is that of a server
// that could not be asked.
func (f *Filter) sync(ctx context.Context) error {
	if f.opts.Shared == nil {
		return nil
	}
	seen := time.Now()
	err := f.look(ctx)
	if err == nil {
		err = f.pay(ctx)
	}
	if err != nil {
		f.doubt(f.trusted.Load(), err)
		return err
	}
	old := f.trusted.Load()
	g, why := f.decide(seen)
	switch {
	case why != nil:
		f.doubt(old, why)
	case old == nil || old.generation != g:
		f.counts.restart()
		f.emit(event.FilterReady, g, nil)
	}
	return nil
}

// decide puts the sealed generation in charge, or says why not. With f.mu held, so that a key which is owed
// from now on finds the trust that it must end.
func (f *Filter) decide(seen time.Time) (*generation, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	g := f.sealed
	switch {
	case f.closed:
		return nil, ErrClosed
	case g == nil || g.bad.Load():
		return nil, errNone
	case g.Run != f.run:
		return nil, errRun
	case len(f.owed) > 0 || f.lost:
		return nil, errOwed
	}
	f.trusted.Store(&trust{g, seen})
	if g.fetched.CompareAndSwap(false, true) {
		f.wg.Go(func() { f.fetch(g) })
	}
	return g, nil
}

// look finds out which bitmaps there are. One that is older than it was before, or was wrong, is dropped.
func (f *Filter) look(ctx context.Context) error {
	select {
	case f.looking <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-f.looking }()
	known := map[uint64]*generation{}
	seen := map[uint64]uint64{}
	for _, g := range f.generations() {
		known[g.Token], seen[g.Token] = g, g.seq.Load()
	}
	set, err := f.opts.Shared.LoadBitmaps(ctx, f.opts.Name)
	if err != nil {
		return err
	}
	var sealed, open *generation
	for _, m := range set.Bitmaps {
		g := known[m.Token]
		if g == nil {
			g = newGeneration(m)
		}
		if m.Seq < seen[m.Token] {
			g.bad.Store(true)
			f.doubt(f.trusted.Load(), errRewound)
		}
		if g.bad.Load() {
			m.Seq = g.seq.Load()
			if err := f.opts.Shared.DropBitmap(ctx, f.opts.Name, m); err != nil {
				return err
			}
			continue
		}
		g.saw(m.Seq, m.Count)
		if m.Sealed {
			sealed = g
		} else {
			open = g
		}
	}
	f.mu.Lock()
	f.sealed, f.open, f.run, f.looked = sealed, open, set.Run, true
	f.mu.Unlock()
	return nil
}

// openShared makes sure that there is an open bitmap: for a build one that this run of the server has made, of
// the right size.
func (f *Filter) openShared(ctx context.Context, build bool) (*generation, error) {
	for range addTries {
		f.mu.RLock()
		g, run, looked := f.open, f.run, f.looked
		want := store.Bitmap{Capacity: max(f.opts.Capacity, f.grown), Run: run}
		f.mu.RUnlock()
		want.Bits, want.Hashes = sizeFor(want.Capacity, f.opts.FalsePositives)
		if g != nil && (!build || g.Run == run && g.Bits == want.Bits && g.Hashes == want.Hashes && g.Capacity == want.Capacity) {
			return g, nil
		}
		if g != nil && g.Run != run {
			if err := f.opts.Shared.DropBitmap(ctx, f.opts.Name, g.at()); err != nil {
				return nil, err
			}
		}
		if looked {
			if _, err := f.opts.Shared.OpenBitmap(ctx, f.opts.Name, want); err != nil {
				return nil, err
			}
		}
		if err := f.look(ctx); err != nil {
			return nil, err
		}
	}
	return nil, store.ErrBitmapChanged
}

// fetch fills this process's copy from the shared bitmap, which spares its first callers their round trips.
func (f *Filter) fetch(g *generation) {
	for at := uint64(0); at < g.Bits/8; at += store.BitmapChunk {
		data, err := f.opts.Shared.ReadBitmap(f.ctx, f.opts.Name, g.at(), at, store.BitmapChunk)
		if err != nil {
			g.fetched.Store(false)
			if !errors.Is(err, store.ErrBitmapChanged) {
				f.opts.Logger.Debug("filter: copy not complete", "filter", f.opts.Name, "error", err)
			}
			return
		}
		g.bits.merge(at, data[:min(uint64(len(data)), g.Bits/8-at)/8*8])
	}
}
