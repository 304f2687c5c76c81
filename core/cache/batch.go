package cache

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/guard/flight"
	"github.com/strata-cache/strata/core/store"
)

// batch is one run of LoadMany, whose results go to one flight each.
type batch[K comparable, V any] struct {
	kind  *Kind[K, V]
	items []batchItem[K]
	known []bool // the items that are finished already
}

type batchItem[K comparable] struct {
	wanted[K]
	call *flight.Call[string, loaded]
	ctx  context.Context
}

// run loads all ids of the batch and finishes their flights.
func (b *batch[K, V]) run() {
	b.known = make([]bool, len(b.items))
	var failure error = &PanicError{} // after runtime.Goexit
	defer func() {
		for i, it := range b.items {
			if !b.known[i] {
				it.call.Finish(loaded{}, failure)
			}
		}
	}()
	_, failure = flight.Guard(context.Background(), func(context.Context) (struct{}, error) {
		b.recheck()
		if open := b.open(); len(open) > 0 {
			b.load(open)
		}
		return struct{}{}, nil
	})
}

func (b *batch[K, V]) open() (open []int) {
	for i := range b.items {
		if !b.known[i] {
			open = append(open, i)
		}
	}
	return open
}

func (b *batch[K, V]) finish(i int, res loaded, err error) {
	b.known[i] = true
	b.items[i].call.Finish(res, err)
}

// recheck looks again for ids whose load another caller has finished since this one looked.
func (b *batch[K, V]) recheck() {
	s := b.kind.space
	for i, it := range b.items {
		if it.hung || s.flights.Epoch(it.key) == it.epoch {
			continue
		}
		var e *store.Entry
		e, b.items[i].hung = s.lookup(it.ctx, it.key)
		v, outcome, err := serve(it.ctx, s, b.kind.types, it.key, e, s.clock.Now())
		if outcome != event.OutcomeMiss {
			b.finish(i, loaded{value: v, entry: e, outcome: outcome}, err)
		}
		if b.items[i].hung {
			b.hung()
			return
		}
	}
}

// load runs LoadMany for the items with these indexes.
func (b *batch[K, V]) load(open []int) {
	k := b.kind
	ids := make([]K, len(open))
	for n, i := range open {
		ids[n] = b.items[i].id
	}
	ctx, cancel := b.context(open)
	defer cancel()
	values, took, err := b.invoke(ctx, ids)
	results := make([]made, 0, len(open))
	for _, i := range open {
		v, ok := values[b.items[i].id]
		if err == nil && !ok {
			results = append(results, b.made(i, v, took, ErrNotFound))
		} else {
			results = append(results, b.made(i, v, took, err))
		}
	}
	b.put(k.space.detach(ctx), results)
	for _, m := range results {
		b.finish(m.index, m.res, m.err)
	}
}

// made is what LoadMany came to for one id.
type made struct {
	index int
	res   loaded
	err   error
	store *store.Entry // nil: nothing is stored
	end   func()       // of the commit, if one has begun
}

func (b *batch[K, V]) made(i int, v V, took time.Duration, err error) made {
	it, m := &b.items[i], made{index: i, err: err}
	p := b.kind.wantedPlan(it.wanted)
	switch {
	case err == nil:
		var store bool
		if m.res, store = p.entry(it.ctx, v, &Loading{}, took); store {
			m.store = m.res.entry
		}
	case !errors.Is(err, ErrNotFound):
		if v, e, ok := p.rescue(b.kind.space.detach(it.ctx), it.seen); ok && !it.call.Forgotten() {
			m.res, m.err = loaded{value: v, entry: e, outcome: event.OutcomeStale}, nil
		}
		if p.hung {
			b.hung() // asking for each of the others would cost as much again
		}
	case p.policy.NegativeTTL > 0:
		m.store = p.negative(nil, took)
	default:
		p.keepNegative(it.ctx, &Loading{}, took, it.seen)
	}
	return m
}

func (b *batch[K, V]) hung() {
	for i := range b.items {
		b.items[i].hung = true
	}
}

// invoke calls LoadMany and reports the load, after runtime.Goexit too.
func (b *batch[K, V]) invoke(ctx context.Context, ids []K) (values map[K]V, took time.Duration, err error) {
	start := time.Now()
	err = &PanicError{}
	defer func() {
		took = time.Since(start)
		b.kind.space.loadDone(ctx, "", took, err)
	}()
	values, err = flight.Guard(ctx, func(ctx context.Context) (map[K]V, error) { return b.kind.opts.LoadMany(ctx, ids) })
	return values, took, err
}

// put stores the results at once: see plan.put.
func (b *batch[K, V]) put(ctx context.Context, results []made) {
	s := b.kind.space
	defer func() {
		for _, m := range results {
			if m.end != nil {
				m.end()
			}
		}
	}()
	var items []store.Item
	for n := range results {
		m := &results[n]
		it := b.items[m.index]
		if m.store == nil {
			continue
		}
		if it.hung {
			s.refused(ctx, s.name, s.layer, "store-hung")
			continue
		}
		var ok bool
		if m.end, ok = it.call.Committing(); !ok {
			s.refused(ctx, s.name, s.layer, "overtaken")
			continue
		}
		items = append(items, store.Item{Key: it.key, Entry: m.store})
	}
	if len(items) == 0 {
		return
	}
	_, _ = s.putMany(ctx, items) // reported
	var late []string
	for _, m := range results {
		if it := b.items[m.index]; m.end != nil && it.call.Forgotten() {
			s.refused(ctx, s.name, s.layer, "overtaken")
			late = append(late, it.key)
		}
	}
	if len(late) > 0 {
		s.takeBack(ctx, late...)
	}
}

// context returns the context of LoadMany: it ends when those of all open flights have ended, or at the
// first one's deadline, and what LoadMany asks for never waits for the batch itself.
func (b *batch[K, V]) context(open []int) (context.Context, context.CancelFunc) {
	base := b.items[open[0]].ctx
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(base))
	var left atomic.Int64
	left.Store(int64(len(open)))
	stops := make([]func() bool, 0, len(open))
	calls := make([]*flight.Call[string, loaded], 0, len(open))
	for _, i := range open {
		lctx := b.items[i].ctx
		calls = append(calls, b.items[i].call)
		stops = append(stops, context.AfterFunc(lctx, func() {
			// A timeout is the deadline below: it must not look like somebody's cancellation.
			if cause := context.Cause(lctx); left.Add(-1) == 0 && !errors.Is(cause, flight.ErrTimeout) {
				cancel(cause)
			}
		}))
	}
	stop := func() {
		for _, s := range stops {
			s()
		}
		cancel(context.Canceled)
	}
	ctx = b.kind.space.flights.Within(ctx, calls...)
	ctx = context.WithValue(ctx, loadingKey{}, (*Loading)(nil))
	if deadline, ok := base.Deadline(); ok {
		timed, done := context.WithDeadlineCause(ctx, deadline, flight.ErrTimeout)
		return timed, func() { done(); stop() }
	}
	return ctx, stop
}
