package cache

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/guard/flight"
	"github.com/strata-cache/strata/core/store"
)

// GetMany returns the values for the ids; an id that does not exist is left out. What is cached is read
// in one round trip where the store can do that; only the rest is loaded, with LoadMany where the kind has
// one, and never an id that another caller is loading already. Repeated ids count once.
//
// Where loads fail the error is one of theirs, and the map holds what could be had.
func (k *Kind[K, V]) GetMany(ctx context.Context, ids []K) (map[K]V, error) {
	start := time.Now()
	found := make(map[K]V, len(ids))
	missing, err := k.readMany(ctx, ids, found)
	if err != nil {
		return nil, err
	}
	hits := len(found)
	if len(missing) > 0 && (k.opts.Load != nil || k.opts.LoadMany != nil) {
		err = k.loadMissing(ctx, missing, found)
	}
	k.space.reportMany(ctx, event.OpGet, hits, hits+len(missing), start, nil)
	return found, err
}

// wanted is one id that was not found fresh.
type wanted[K comparable] struct {
	id    K
	key   string
	epoch uint64
	seen  *store.Entry // past its TTL
}

func (k *Kind[K, V]) readMany(ctx context.Context, ids []K, found map[K]V) ([]wanted[K], error) {
	want := make([]wanted[K], 0, len(ids))
	keys := make([]string, 0, len(ids))
	known := make(map[K]bool, len(ids))
	for _, id := range ids {
		if known[id] {
			continue
		}
		known[id] = true
		key, err := k.keyString(ctx, id)
		if err != nil {
			return nil, err
		}
		want = append(want, wanted[K]{id: id, key: key, epoch: k.space.flights.Epoch(key)})
		keys = append(keys, key)
	}
	missing := want[:0]
	now := k.space.clock.Now()
	for i, e := range k.space.lookupMany(ctx, keys) {
		v, outcome, _ := serve(ctx, k.space, k.types, keys[i], e, now)
		switch outcome {
		case event.OutcomeHit:
			found[want[i].id] = v
		case event.OutcomeNegative:
		default:
			want[i].seen = e
			missing = append(missing, want[i])
		}
	}
	return missing, nil
}

func (k *Kind[K, V]) loadMissing(ctx context.Context, missing []wanted[K], found map[K]V) error {
	if k.opts.LoadMany == nil {
		return k.loadEach(ctx, missing, found)
	}
	b := &batch[K, V]{kind: k}
	var follow []follower[K]
	for _, w := range missing {
		call, lctx, leader := k.space.flights.Join(ctx, w.key, k.policy.HardTimeout)
		if leader {
			b.add(w, call, lctx)
		} else {
			// A nil call belongs to a load that waits for this one: it is made here, unshared.
			follow = append(follow, follower[K]{w, call})
		}
	}
	if len(b.items) > 0 {
		go b.run(ctx)
	}
	var first error
	take := func(id K, res loaded, shared bool, err error) {
		if err == nil {
			var v V
			if v, _, _, err = handOut(k.types, res, shared); err == nil {
				found[id] = v
			}
		}
		if err != nil && !errors.Is(err, ErrNotFound) && first == nil {
			first = err
		}
	}
	for _, it := range b.items {
		res, err := it.call.Result(ctx)
		take(it.id, res, false, err)
	}
	for _, f := range follow {
		if f.call == nil {
			res, err := k.loadAlone(ctx, f.wanted)
			take(f.id, res, false, err)
			continue
		}
		res, err := f.call.Wait(ctx)
		take(f.id, res, true, err)
	}
	return first
}

type follower[K comparable] struct {
	wanted[K]
	call *flight.Call[string, loaded]
}

func (k *Kind[K, V]) loadAlone(ctx context.Context, w wanted[K]) (loaded, error) {
	p := k.plan(w.key, w.id, k.loadOne, k.whole)
	return p.run(ctx, w.seen)
}

// loadOne is Load, or LoadMany for one id.
func (k *Kind[K, V]) loadOne(ctx context.Context, id K) (V, error) {
	if k.opts.Load != nil {
		return k.opts.Load(ctx, id)
	}
	m, err := k.opts.LoadMany(ctx, []K{id})
	if err != nil {
		return *new(V), err
	}
	v, ok := m[id]
	if !ok {
		return v, ErrNotFound
	}
	return v, nil
}

// loadWidth is how many ids GetMany loads at a time where it must load one by one.
const loadWidth = 16

func (k *Kind[K, V]) loadEach(ctx context.Context, missing []wanted[K], found map[K]V) error {
	var (
		mu    sync.Mutex
		first error
		wg    sync.WaitGroup
		next  atomic.Int64
	)
	for range min(loadWidth, len(missing)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(missing); i = int(next.Add(1)) - 1 {
				w := missing[i]
				v, _, _, err := fill(ctx, k.plan(w.key, w.id, k.opts.Load, k.whole), w.epoch, w.seen)
				mu.Lock()
				switch {
				case err == nil:
					found[w.id] = v
				case !errors.Is(err, ErrNotFound) && first == nil:
					first = err
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return first
}

// batch is one run of LoadMany, whose results go to one flight each.
type batch[K comparable, V any] struct {
	kind  *Kind[K, V]
	items []batchItem[K]
}

type batchItem[K comparable] struct {
	wanted[K]
	call *flight.Call[string, loaded]
	ctx  context.Context
}

func (b *batch[K, V]) add(w wanted[K], call *flight.Call[string, loaded], lctx context.Context) {
	b.items = append(b.items, batchItem[K]{w, call, lctx})
}

// run loads all ids of the batch and finishes their flights. Its context ends with the last of theirs.
func (b *batch[K, V]) run(ctx context.Context) {
	k := b.kind
	results := make([]func() (loaded, error), len(b.items))
	defer func() {
		// After runtime.Goexit in LoadMany the results are missing.
		for i, it := range b.items {
			if results[i] == nil {
				it.call.Finish(loaded{}, &PanicError{})
				continue
			}
			res, err := results[i]()
			it.call.Finish(res, err)
		}
	}()
	b.recheck(ctx, results)
	var ids []K
	var open []int
	for i, it := range b.items {
		if results[i] == nil {
			ids, open = append(ids, it.id), append(open, i)
		}
	}
	if len(ids) == 0 {
		return
	}
	lctx, cancel := b.context(open)
	defer cancel()
	start := time.Now()
	values, err := flight.Guard(lctx, func(ctx context.Context) (map[K]V, error) { return k.opts.LoadMany(ctx, ids) })
	took := time.Since(start)
	k.space.loadDone(lctx, "", took, err)
	for _, i := range open {
		it := b.items[i]
		p := k.plan(it.key, it.id, nil, k.whole)
		v, ok := values[it.id]
		switch {
		case err == nil && ok:
			results[i] = func() (loaded, error) { return p.keep(it.ctx, v, &Loading{}, took), nil }
		case err == nil || errors.Is(err, ErrNotFound):
			results[i] = func() (loaded, error) {
				p.keepNegative(it.ctx, &Loading{}, took)
				return loaded{}, ErrNotFound
			}
		default:
			results[i] = func() (loaded, error) {
				if v, e, ok := p.rescue(context.WithoutCancel(it.ctx), it.seen); ok {
					return loaded{value: v, entry: e, outcome: event.OutcomeStale}, nil
				}
				return loaded{}, err
			}
		}
	}
}

// recheck looks again for ids whose load another caller has finished since this one looked.
func (b *batch[K, V]) recheck(ctx context.Context, results []func() (loaded, error)) {
	k := b.kind
	for i, it := range b.items {
		if k.space.flights.Epoch(it.key) == it.epoch {
			continue
		}
		e := k.space.lookup(ctx, it.key)
		v, outcome, err := serve(ctx, k.space, k.types, it.key, e, k.space.clock.Now())
		if outcome != event.OutcomeMiss {
			results[i] = func() (loaded, error) { return loaded{value: v, entry: e, outcome: outcome}, err }
		}
	}
}

// context returns the first open flight's context without its cancellation, cancelled when all of them
// are.
func (b *batch[K, V]) context(open []int) (context.Context, context.CancelFunc) {
	base := b.items[open[0]].ctx
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(base))
	var left atomic.Int64
	left.Store(int64(len(open)))
	stops := make([]func() bool, 0, len(open))
	for _, i := range open {
		lctx := b.items[i].ctx
		stops = append(stops, context.AfterFunc(lctx, func() {
			if left.Add(-1) == 0 {
				cancel(context.Cause(lctx))
			}
		}))
	}
	stop := func() {
		for _, s := range stops {
			s()
		}
		cancel(context.Canceled)
	}
	if deadline, ok := base.Deadline(); ok {
		timed, done := context.WithDeadline(ctx, deadline)
		return timed, func() { done(); stop() }
	}
	return ctx, stop
}
