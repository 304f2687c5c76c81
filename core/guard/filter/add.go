package filter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/strata-cache/strata/core/store"
)

// addBatch is how many keys one round trip adds at most: a server is not to be held up.
const addBatch = 200

// addTries is how often an Add looks anew at what there is before it gives up.
const addTries = 8

// Add says that keys are about to exist. It is called before the transaction that makes them commits, which
// must follow within CommitWithin. Keys that then do not exist are false positives, no more.
//
// With Shared it returns nil when the shared bitmap has the keys. After an error it may have them or not, and
// the caller should not commit. One that commits all the same loses nothing for good: the filter owes the
// keys, lets them through itself, and adds them as soon as the server answers, before it says another no; until
// then other processes that do reach the server may refuse them. What is owed is lost with the process. More
// than 100,000 keys are not remembered: the bitmap is dropped instead, and built anew.
func (f *Filter) Add(ctx context.Context, keys ...string) error {
	if f.opts.Shared == nil {
		return f.addLocal(keys)
	}
	if f.ctx.Err() != nil {
		return ErrClosed
	}
	for batch := range slices.Chunk(keys, addBatch) {
		if err := f.addShared(ctx, batch); err != nil {
			f.owe(keys)
			return fmt.Errorf("filter: add: %w", err)
		}
	}
	return nil
}

// addLocal holds off a build: one that begins later waits for the commit, one that has begun gets the keys.
func (f *Filter) addLocal(keys []string) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.closed {
		return ErrClosed
	}
	for _, g := range []*generation{f.sealed, f.open} {
		if g != nil {
			g.count.Add(g.bits.add(keys...))
		}
	}
	return nil
}

func (f *Filter) addShared(ctx context.Context, keys []string) error {
	for range addTries {
		gens := f.generations()
		if len(gens) == 0 {
			if _, err := f.openShared(ctx, false); err != nil {
				return err
			}
			continue
		}
		writes := make([]store.BitmapWrite, len(gens))
		for i, g := range gens {
			writes[i] = store.BitmapWrite{Bitmap: g.at(), Set: g.bits.positions(keys...)}
		}
		seqs, err := f.opts.Shared.SetBits(ctx, f.opts.Name, writes)
		switch {
		case err == nil:
			for i, g := range gens {
				g.saw(seqs[i], 0)
				g.bits.add(keys...)
			}
			return nil
		case !errors.Is(err, store.ErrBitmapChanged):
			f.doubt(f.trusted.Load(), err)
			return err
		}
		if err := f.look(ctx); err != nil {
			return err
		}
	}
	return store.ErrBitmapChanged
}

// owe remembers keys that the shared bitmap may lack.
func (f *Filter) owe(keys []string) {
	for _, g := range f.generations() {
		g.bits.add(keys...)
	}
	f.mu.Lock()
	for _, key := range keys {
		if len(f.owed) >= maxOwed {
			clear(f.owed)
			f.lost = true
		}
		if f.lost {
			break
		}
		f.owed[key] = struct{}{}
	}
	f.mu.Unlock()
	f.doubt(f.trusted.Load(), errOwed)
}

// pay adds what is owed, or drops the bitmaps that lack it.
func (f *Filter) pay(ctx context.Context) error {
	f.mu.RLock()
	keys, lost := slices.Collect(maps.Keys(f.owed)), f.lost
	f.mu.RUnlock()
	if lost {
		for _, g := range f.generations() {
			if err := f.opts.Shared.DropBitmap(ctx, f.opts.Name, g.at()); err != nil {
				return err
			}
		}
		f.mu.Lock()
		f.lost = false
		f.mu.Unlock()
		return errOwed
	}
	for batch := range slices.Chunk(keys, addBatch) {
		if err := f.addShared(ctx, batch); err != nil {
			return err
		}
		f.mu.Lock()
		for _, key := range batch {
			delete(f.owed, key)
		}
		f.mu.Unlock()
	}
	return nil
}

// generations are those that take adds.
func (f *Filter) generations() []*generation {
	f.mu.RLock()
	defer f.mu.RUnlock()
	gens := make([]*generation, 0, 2)
	for _, g := range []*generation{f.sealed, f.open} {
		if g != nil {
			gens = append(gens, g)
		}
	}
	return gens
}
