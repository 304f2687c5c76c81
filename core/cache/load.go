package cache

import (
	"context"
	"errors"
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
	res, shared, err := p.space.flights.Do(ctx, p.key, p.policy.HardTimeout, func(ctx context.Context) (loaded, error) {
		if p.space.flights.Epoch(p.key) != epoch {
			// Another load has ended since this caller looked: it may have stored what was missing.
			now := p.space.clock.Now()
			e := p.space.lookup(ctx, p.key)
			if v, outcome, err := serve(ctx, p.space, p.types, p.key, e, now); outcome != event.OutcomeMiss {
				return loaded{value: v, entry: e, outcome: outcome}, err
			}
			if e != nil {
				seen = e
			}
		}
		return p.run(ctx, seen)
	})
	if errors.Is(err, flight.ErrTimeout) {
		// The loader may still be running: it cannot offer the stale value any more, but it is there.
		if v, _, ok := p.rescue(ctx, seen); ok {
			return v, event.OutcomeStale, shared, nil
		}
	}
	if err != nil {
		return v, failed(res.outcome, err), shared, err
	}
	return handOut(p.types, res, shared)
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
// it only if the type allows that.
func handOut[V any](t *valueType[V], res loaded, shared bool) (v V, outcome event.Outcome, _ bool, err error) {
	own, _ := res.value.(V)
	switch {
	case !shared && t.clone == nil, t.memo && t.clone == nil, res.entry == nil:
		return own, res.outcome, shared, nil
	case t.clone != nil:
		return t.clone(own), res.outcome, shared, nil
	}
	v, err = t.decode(res.entry)
	return v, res.outcome, shared, err
}

// run loads, stores, and falls back to the stale entry.
func (p *plan[V]) run(ctx context.Context, seen *store.Entry) (loaded, error) {
	ctl := &Loading{}
	if stale, ok := p.stale(seen); ok {
		ctl.stale = stale
	}
	start := time.Now()
	// A panic becomes an error here already, where the stale value can still stand in for it.
	v, err := flight.Guard(context.WithValue(ctx, loadingKey{}, ctl), p.load)
	took := time.Since(start)
	if errors.Is(err, ErrNotModified) && ctl.stale != nil {
		v, err = ctl.stale.(V), nil
	}
	p.space.loadDone(ctx, p.key, took, err)
	switch {
	case err == nil:
		return p.keep(ctx, v, ctl, took), nil
	case errors.Is(err, ErrNotFound):
		p.keepNegative(ctx, ctl, took)
		return loaded{}, err
	}
	if v, e, ok := p.rescue(context.WithoutCancel(ctx), seen); ok {
		return loaded{value: v, entry: e, outcome: event.OutcomeStale}, nil
	}
	return loaded{}, err
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
	if seen == nil || p.policy.StaleFor < 0 || p.space.flights.Forgotten(ctx) {
		return v, nil, false
	}
	e = p.space.lookup(ctx, p.key)
	v, ok = p.stale(e)
	return v, e, ok
}

// keep makes the entry of a loaded value and stores it, unless something speaks against it.
func (p *plan[V]) keep(ctx context.Context, v V, ctl *Loading, took time.Duration) loaded {
	res := loaded{value: v, outcome: event.OutcomeMiss}
	e, err := p.types.entry(v, false, true)
	if err != nil {
		p.space.refused(ctx, p.space.name, p.space.layer, "encode")
		return res
	}
	res.entry = e
	ttl := p.call.ttl
	if ctl.ttl != 0 {
		ttl = ctl.ttl
	}
	e.Tags = p.call.tags
	if p.tags != nil {
		e.Tags = append(e.Tags[:len(e.Tags):len(e.Tags)], p.tags(v)...)
	}
	e.Tags = append(e.Tags[:len(e.Tags):len(e.Tags)], ctl.tags...)
	if ctl.noStore || ttl < 0 {
		p.space.refused(ctx, p.space.name, p.space.layer, "no-store")
		return res
	}
	e.Times = lifetime(p.space.clock.Now(), p.policy.jittered(ttl), p.call.refresh, p.policy.staleFor(ttl))
	e.Priority, e.LoadCost = p.policy.Priority, took
	p.put(ctx, e)
	return res
}

func (p *plan[V]) keepNegative(ctx context.Context, ctl *Loading, took time.Duration) {
	ttl := p.policy.NegativeTTL
	if ttl < 0 || ctl.noStore {
		return
	}
	p.put(ctx, &store.Entry{
		Times:    lifetime(p.space.clock.Now(), p.policy.jittered(ttl), 0, 0),
		Flags:    store.FlagNegative,
		Priority: store.PriorityLow,
		LoadCost: took,
		Tags:     append(p.call.tags[:len(p.call.tags):len(p.call.tags)], ctl.tags...),
	})
}

// put stores the result of a load that no write or invalidation has overtaken. One that comes between
// the check and the store is seen by the second check, and what was stored is taken away again.
func (p *plan[V]) put(ctx context.Context, e *store.Entry) {
	if p.space.flights.Forgotten(ctx) {
		p.space.refused(ctx, p.space.name, p.space.layer, "overtaken")
		return
	}
	if p.space.Put(ctx, p.key, e) == nil && p.space.flights.Forgotten(ctx) {
		p.space.refused(ctx, p.space.name, p.space.layer, "overtaken")
		if _, err := p.space.store.Delete(ctx, p.key); err != nil {
			p.space.storeFailed(ctx, event.OpDelete, err)
		}
	}
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
