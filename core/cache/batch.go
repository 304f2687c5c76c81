package cache

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/guard/flight"
	"github.com/strata-cache/strata/core/guard/lease"
	"github.com/strata-cache/strata/core/store"
)

// batch is one run of LoadMany, whose results go to one flight each.
type batch[K comparable, V any] struct {
	kind   *Kind[K, V]
	items  []batchItem[K]
	known  []bool  // the items that are finished already, or left to others
	rights []right // what may be done with their results
	waits  sync.WaitGroup
}

type batchItem[K comparable] struct {
	wanted[K]
	call *flight.Call[string, loaded]
	ctx  context.Context
}

// run loads all ids of the batch and finishes their flights.
func (b *batch[K, V]) run() {
	b.known = make([]bool, len(b.items))
	b.rights = make([]right, len(b.items))
	var failure error = &PanicError{} // after runtime.Goexit
	defer b.waits.Wait()
	defer func() {
		for i, it := range b.items {
			if !b.known[i] {
				it.call.Finish(loaded{}, failure)
			}
			b.rights[i].fail(it.ctx, b.kind.space)
		}
	}()
	_, failure = flight.Guard(context.Background(), func(context.Context) (struct{}, error) {
		stamp := b.kind.space.mirror.Applied()
		for i := range b.rights {
			b.rights[i].stamp = stamp
		}
		b.recheck()
		b.lease()
		if open := b.open(); len(open) > 0 {
			b.load(open)
		}
		return struct{}{}, nil
	})
}

// lease takes the leases of those items that nobody has the lease of. Another process's load is waited for
// beside the batch, each on its own.
func (b *batch[K, V]) lease() {
	var asks errgroup.Group
	asks.SetLimit(loadWidth)
	for _, i := range b.open() {
		it := b.items[i]
		p := b.kind.wantedPlan(it.wanted)
		if !p.fleet() || p.hung {
			p.hung = it.seen.hung
			b.rights[i].frontOnly = p.hung && p.space.front != nil
			continue
		}
		asks.Go(func() error {
			out, err := p.space.leases.TryAcquire(it.ctx, it.key, it.seen.entry)
			switch {
			case err != nil:
				p.space.storeFailed(it.ctx, event.OpGet, err)
				b.rights[i].frontOnly = true
			case out.Status == lease.Granted:
				b.rights[i].held = out.Held
			default:
				b.known[i] = true
				b.waits.Go(func() { b.alone(p, it) })
			}
			return nil
		})
	}
	_ = asks.Wait() // it has none
}

// alone makes one item's result without the batch.
func (b *batch[K, V]) alone(p *plan[V], it batchItem[K]) {
	var res loaded
	var err error = &PanicError{} // after runtime.Goexit
	defer func() { it.call.Finish(res, err) }()
	res, err = flight.Guard(it.ctx, func(ctx context.Context) (loaded, error) { return p.run(ctx, it.seen) })
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
		if it.seen.hung || s.flights.Epoch(it.key) == it.epoch {
			continue
		}
		if e := s.negative(it.key); e != nil {
			b.finish(i, loaded{entry: e, stamp: e.Stamp, outcome: event.OutcomeNegative}, ErrNotFound)
			continue
		}
		l := s.lookup(it.ctx, it.key)
		b.items[i].seen.hung = l.hung
		v, outcome, err := serve(it.ctx, s, b.kind.types, it.key, l, s.clock.Now())
		if outcome != event.OutcomeMiss {
			b.finish(i, loaded{value: v, entry: l.entry, stamp: l.entry.Stamp, outcome: outcome}, err)
		}
		if l.hung {
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
	var values map[K]V
	var took time.Duration
	leave, err := k.loads.enter(ctx)
	if err == nil {
		values, took, err = b.invoke(ctx, ids)
		leave()
	}
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
		if m.err == nil {
			// What was loaded and not stored is no failure: the next one may load at once.
			b.rights[m.index].end(k.space.detach(b.items[m.index].ctx), k.space, store.LeaseFree, 0)
		}
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
	r := &b.rights[i]
	p.observed(err)
	switch {
	case err == nil:
		p.space.queue.Succeeded(p.key)
		var keeps bool
		if m.res, keeps = p.entry(it.ctx, v, &Loading{}, took, r.stamp); keeps {
			m.store = m.res.entry
		}
	case !errors.Is(err, ErrNotFound):
		m.res.stamp = r.stamp
		if v, e, ok := p.rescue(b.kind.space.detach(it.ctx), it.seen); ok && !it.call.Forgotten() {
			p.space.queue.Failed(p.key)
			m.res, m.err = loaded{value: v, entry: e, stamp: e.Stamp, outcome: event.OutcomeStale}, nil
		}
		if p.hung {
			b.hung() // asking for each of the others would cost as much again
		}
	default:
		e := p.absence(nil, took)
		e.Stamp = r.stamp
		m.res = loaded{entry: e, stamp: r.stamp}
		p.keepNegative(it.ctx, e, &Loading{}, r, it.seen)
	}
	return m
}

func (b *batch[K, V]) hung() {
	for i := range b.items {
		b.items[i].seen.hung = true
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
		if reason := s.against(it.key, m.store, it.seen.hung, &b.rights[m.index]); reason != "" {
			s.refused(ctx, s.name, s.layer, reason)
			continue
		}
		var ok bool
		if m.end, ok = it.call.Committing(); !ok {
			s.refused(ctx, s.name, s.layer, "overtaken")
			continue
		}
		if r := &b.rights[m.index]; r.held != nil || r.frontOnly {
			r.store(ctx, s, it.key, m.store)
			continue
		}
		items = append(items, store.Item{Key: it.key, Entry: m.store})
	}
	if len(items) > 0 {
		_, _ = s.putMany(ctx, items) // reported
	}
	var late []string
	for _, m := range results {
		it := b.items[m.index]
		switch {
		case m.end == nil:
		case it.call.Forgotten():
			s.refused(ctx, s.name, s.layer, "overtaken")
			late = append(late, it.key)
		default:
			b.kind.wantedPlan(it.wanted).tellDependents(ctx, m.store, it.seen)
		}
	}
	if len(late) > 0 {
		s.takeBackLoaded(ctx, late...)
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
	for _, i := range open {
		if b.rights[i].held != nil {
			ctx = b.kind.space.holding(ctx, b.items[i].key) //nolint:fatcontext // one link for each lease
		}
	}
	ctx = context.WithValue(ctx, loadingKey{}, (*Loading)(nil))
	if deadline, ok := base.Deadline(); ok {
		timed, done := context.WithDeadlineCause(ctx, deadline, flight.ErrTimeout)
		return timed, func() { done(); stop() }
	}
	return ctx, stop
}
