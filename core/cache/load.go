package cache

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/guard/flight"
	"github.com/strata-cache/strata/core/store"
)

// loaded is the result of one flight: an entry, and the value it was made from. The entry is there even
// if it could not be stored, unless the value cannot be encoded.
type loaded struct {
	value any
	entry *store.Entry
	// outcome tells what the waiters got: OutcomeMiss for a load, OutcomeHit or OutcomeNegative where
	// the value was found after all, OutcomeStale where the load failed.
	outcome event.Outcome
}

// plan is one look-up that may end in a load.
type plan[V any] struct {
	space  *Space
	types  *valueType[V]
	policy *Policy
	key    string
	call   call
	load   func(context.Context) (V, error)
	tags   func(V) []string
	// hung says that the store did not answer the look-up in time. It is then left alone: waiting for it
	// once is what a call may cost.
	hung bool
}

// serve returns the value of e, if e may be served as fresh at now. A negative entry answers with
// ErrNotFound. What cannot be decoded is reported and is a miss.
func serve[V any](ctx context.Context, s *Space, t *valueType[V], key string, e *store.Entry, now int64) (v V, outcome event.Outcome, err error) {
	if e == nil || !e.IsFresh(now) {
		return v, event.OutcomeMiss, ErrMiss
	}
	if e.Flags&store.FlagNegative != 0 {
		return v, event.OutcomeNegative, ErrNotFound
	}
	v, err = t.decode(e)
	if err != nil {
		s.corrupt(ctx, s.name, key, err)
		return v, event.OutcomeMiss, ErrMiss
	}
	return v, event.OutcomeHit, nil
}

// fill is the way of every miss: it waits for the load of p.key that is running, or runs one. epoch is
// the flight's epoch from before the look-up that missed, and seen the stale entry that it found, if
// any.
func fill[V any](ctx context.Context, p *plan[V], epoch uint64, seen *store.Entry) (v V, outcome event.Outcome, shared bool, err error) {
	own, known := *p, seen // the load's: the caller may leave, and goes on with its own
	res, shared, err := p.space.flights.Do(ctx, p.key, p.policy.HardTimeout, func(ctx context.Context) (loaded, error) {
		if own.hung || own.space.flights.Epoch(own.key) == epoch {
			return own.run(ctx, known)
		}
		// Another load has ended since this caller looked: it may have stored what was missing.
		var e *store.Entry
		e, own.hung = own.space.lookup(ctx, own.key)
		v, outcome, err := serve(ctx, own.space, own.types, own.key, e, own.space.clock.Now())
		if outcome != event.OutcomeMiss {
			return loaded{value: v, entry: e, outcome: outcome}, err
		}
		if e != nil {
			known = e
		}
		return own.run(ctx, known)
	})
	return p.result(ctx, res, shared, seen, err)
}

// result is what one waiter gets of a load.
func (p *plan[V]) result(ctx context.Context, res loaded, shared bool, seen *store.Entry, err error) (V, event.Outcome, bool, error) {
	if err == nil {
		return handOut(p.types, res, shared)
	}
	var gone *PanicError
	if errors.Is(err, flight.ErrTimeout) || errors.As(err, &gone) && gone.Value == nil {
		// The loader is still running, or its goroutine has ended: it could not offer the stale value.
		if v, _, ok := p.rescue(ctx, seen); ok {
			return v, event.OutcomeStale, shared, nil
		}
	}
	return *new(V), failed(res.outcome, err), shared, err
}

func failed(o event.Outcome, err error) event.Outcome {
	switch {
	case o == event.OutcomeNegative:
		return o
	case errors.Is(err, ErrNotFound):
		return event.OutcomeMiss
	default:
		return event.OutcomeError
	}
}

// handOut gives one waiter its own value. The first may keep what the loader returned; the others share
// it only if the type allows that, or if it cannot be encoded.
func handOut[V any](t *valueType[V], res loaded, shared bool) (v V, outcome event.Outcome, _ bool, err error) {
	own, _ := res.value.(V)
	switch {
	case t.clone != nil:
		return t.clone(own), res.outcome, shared, nil
	case !shared, t.memo, res.entry == nil:
		return own, res.outcome, shared, nil
	}
	v, err = t.decode(res.entry)
	return v, res.outcome, shared, err
}

// run loads, stores, and falls back to the stale entry.
func (p *plan[V]) run(ctx context.Context, seen *store.Entry) (loaded, error) {
	ctl := &Loading{}
	stale, isStale := p.stale(seen)
	if isStale {
		ctl.stale = &stale
	}
	v, took, err := p.invoke(context.WithValue(ctx, loadingKey{}, ctl))
	if isStale && errors.Is(err, ErrNotModified) {
		v, err = stale, nil
		ctl.tags = append(ctl.tags, seen.Tags...)
	}
	p.space.loadDone(ctx, p.key, took, err)
	switch {
	case err == nil:
		return p.keep(ctx, v, ctl, took), nil
	case errors.Is(err, ErrNotFound):
		p.keepNegative(ctx, ctl, took, seen)
		return loaded{}, err
	}
	if v, e, ok := p.rescue(p.space.detach(ctx), seen); ok && !p.space.flights.Forgotten(ctx) {
		return loaded{value: v, entry: e, outcome: event.OutcomeStale}, nil
	}
	return loaded{}, err
}

// invoke calls the loader. A panic becomes an error here already, where the stale value can still stand in
// for it; after runtime.Goexit the load is reported on the way out.
func (p *plan[V]) invoke(ctx context.Context) (v V, took time.Duration, err error) {
	start, returned := time.Now(), false
	defer func() {
		took = time.Since(start)
		if !returned {
			p.space.loadDone(ctx, p.key, took, &PanicError{})
		}
	}()
	v, err = flight.Guard(ctx, p.load)
	returned = true
	return v, took, err
}

// stale returns the value of a live entry past its TTL.
func (p *plan[V]) stale(seen *store.Entry) (v V, ok bool) {
	if seen == nil || seen.Flags&store.FlagNegative != 0 || seen.IsGone(p.space.clock.Now()) {
		return v, false
	}
	v, err := p.types.decode(seen)
	return v, err == nil
}

// rescue returns the stale value that may be served instead of a load's error. It looks again: what was
// removed while the load ran must not be served, not even now.
func (p *plan[V]) rescue(ctx context.Context, seen *store.Entry) (v V, e *store.Entry, ok bool) {
	if seen == nil || p.policy.StaleFor < 0 || p.hung {
		return v, nil, false
	}
	e, p.hung = p.space.lookup(ctx, p.key)
	v, ok = p.stale(e)
	return v, e, ok
}

// keep makes the entry of a loaded value and stores it, unless something speaks against it.
func (p *plan[V]) keep(ctx context.Context, v V, ctl *Loading, took time.Duration) loaded {
	res, store := p.entry(ctx, v, ctl, took)
	if store {
		p.put(ctx, res.entry)
	}
	return res
}

// entry makes the entry of a loaded value and reports whether it is to be stored.
func (p *plan[V]) entry(ctx context.Context, v V, ctl *Loading, took time.Duration) (res loaded, store bool) {
	s := p.space
	res = loaded{value: v, outcome: event.OutcomeMiss}
	e, err := p.types.entry(v, false, true)
	if err != nil {
		s.refused(ctx, s.name, s.layer, "encode")
		return res, false
	}
	res.entry = e
	ttl := p.call.ttl
	if ctl.ttl != 0 {
		ttl = ctl.ttl
	}
	if ctl.noStore || ttl < 0 {
		s.refused(ctx, s.name, s.layer, "no-store")
		return res, false
	}
	var own []string
	if p.tags != nil {
		own = p.tags(v)
	}
	e.Tags = labels(p.call.tags, own, ctl.tags)
	e.Times = lifetime(time.Now().UnixMilli(), p.policy.jittered(ttl), p.call.refresh, p.policy.staleFor(ttl))
	e.Priority, e.LoadCost = p.policy.Priority, took
	return res, true
}

// labels joins lists of tags, each tag once.
func labels(lists ...[]string) []string {
	tags := slices.Concat(lists...)
	slices.Sort(tags)
	return slices.Compact(tags)
}

// keepNegative remembers that there is no value; where it must not, the stale value goes nevertheless.
func (p *plan[V]) keepNegative(ctx context.Context, ctl *Loading, took time.Duration, seen *store.Entry) {
	ttl := p.policy.NegativeTTL
	if ttl > 0 && !ctl.noStore {
		p.put(ctx, p.negative(ctl.tags, took))
		return
	}
	if seen != nil && !p.hung {
		p.commit(ctx, func(ctx context.Context) { p.space.takeBack(ctx, p.key) })
	}
}

func (p *plan[V]) negative(tags []string, took time.Duration) *store.Entry {
	return &store.Entry{
		Times:    lifetime(time.Now().UnixMilli(), p.policy.jittered(p.policy.NegativeTTL), 0, 0),
		Flags:    store.FlagNegative,
		Priority: store.PriorityLow,
		LoadCost: took,
		Tags:     labels(p.call.tags, tags),
	}
}

// put stores the result of a load, unless a write or removal has overtaken it. A write that comes while it
// is being stored waits; one that could not wait is noticed, and what was stored is taken away again.
func (p *plan[V]) put(ctx context.Context, e *store.Entry) {
	s := p.space
	if p.hung {
		s.refused(ctx, s.name, s.layer, "store-hung")
		return
	}
	stored := p.commit(ctx, func(ctx context.Context) {
		_ = s.Put(ctx, p.key, e) // reported
		if s.flights.Forgotten(ctx) {
			s.refused(ctx, s.name, s.layer, "overtaken")
			s.takeBack(ctx, p.key)
		}
	})
	if !stored {
		s.refused(ctx, s.name, s.layer, "overtaken")
	}
}

// commit runs fn, which changes the store on behalf of the load, if the load still counts. A caller that
// leaves at this point does not cancel it, since the work is done.
func (p *plan[V]) commit(ctx context.Context, fn func(context.Context)) bool {
	ctx = p.space.detach(ctx)
	return p.space.flights.Commit(ctx, p.key, func() { fn(ctx) })
}

func (e *engine) loadEvent(ctx context.Context, l event.Load) {
	if o := e.opts.Observer; o != nil && o.Load != nil {
		l.Cache = e.opts.Name
		o.Load(ctx, l)
	}
}

// loadDone reports a finished run of a loader.
func (s *Space) loadDone(ctx context.Context, key string, took time.Duration, err error) {
	s.loadEvent(ctx, event.Load{Kind: s.name, Key: key, Layer: s.layer, Result: loadResult(ctx, err), Took: took, Err: err})
}

func loadResult(ctx context.Context, err error) event.LoadResult {
	var panicked *PanicError
	switch {
	case err == nil:
		return event.LoadOK
	case errors.Is(err, ErrNotFound):
		return event.LoadNotFound
	case errors.As(err, &panicked):
		return event.LoadPanic
	case errors.Is(context.Cause(ctx), flight.ErrTimeout):
		return event.LoadTimeout
	case errors.Is(context.Cause(ctx), flight.ErrAbandoned):
		return event.LoadCanceled
	default:
		return event.LoadError
	}
}
