package cache

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/guard/flight"
	"github.com/strata-cache/strata/core/guard/mirror"
	"github.com/strata-cache/strata/core/store"
)

// loaded is the result of one flight: an entry, and the value it was made from. The entry is there even
// if it could not be stored, unless the value cannot be encoded. Of ErrNotFound it is a negative one.
type loaded struct {
	value any
	entry *store.Entry
	// stamp is the position up to which the load knew of invalidations.
	stamp store.Position
	// outcome tells what the waiters got: OutcomeMiss for a load, OutcomeHit or OutcomeNegative where
	// the value was found after all, OutcomeStale where the load failed.
	outcome event.Outcome
}

// plan is one look-up that may end in a load.
type plan[V any] struct {
	space  *Space
	types  *valueType[V]
	policy *Policy
	loads  *bulkhead
	key    string
	user   string // the user's part of key, where a filter asks for it
	call   call
	load   func(context.Context) (V, error)
	tags   func(V) []string
	// fleetName and fleetArg are the refresher and its argument for Options.Fleet, where there is one.
	fleetName, fleetArg string
	// fallback makes simplified data for a cold miss.
	fallback func(context.Context) (V, error)
	// inherit says that the value depends on what its loader reads.
	inherit bool
	// hung says that the store did not answer the look-up in time. It is then left alone: waiting for it
	// once is what a call may cost.
	hung bool
	// behind says that nobody waits: the load is a background refresh.
	behind bool
}

// run loads, stores, and falls back to the stale entry.
func (p *plan[V]) run(ctx context.Context, seen look) (res loaded, err error) {
	// The stamp is taken before anything of the value is read, and before the lease: who invalidates later
	// takes the lease away.
	r := right{stamp: p.space.mirror.Applied()}
	if res, done, err := p.lease(ctx, &r, seen); done {
		return res, err
	}
	// Where nothing else has ended the lease: a panic, an error, an overload.
	defer r.fail(ctx, p.space)
	leave, err := p.loads.enter(ctx)
	if err != nil {
		r.busy = true
		p.space.loadEvent(ctx, event.Load{Kind: p.space.name, Key: p.key, Layer: p.space.layer, Result: event.LoadOverload, Err: err})
		if v, e, ok := p.rescue(p.space.detach(ctx), seen); ok {
			return loaded{value: v, entry: e, stamp: e.Stamp, outcome: event.OutcomeStale}, nil
		}
		return loaded{stamp: r.stamp}, err
	}
	defer leave()
	return p.loadAndKeep(ctx, &r, seen)
}

func (p *plan[V]) loadAndKeep(ctx context.Context, r *right, seen look) (loaded, error) {
	ctl := &Loading{}
	if seen.entry != nil && p.space.judge(p.key, seen.entry, true) == mirror.Invalid {
		seen = look{} // it was invalidated while this load waited for its turn: it is not offered as still true
	}
	stale, isStale := p.stale(seen)
	if isStale {
		ctl.stale = &stale
	}
	lctx := untracked(ctx)
	if p.inherit {
		lctx, ctl.deps = p.space.Track(ctx)
	}
	if r.held != nil {
		lctx = p.space.holding(lctx, p.key)
	}
	lctx, cancel := p.bounded(lctx)
	defer cancel()
	v, took, err := p.invoke(context.WithValue(lctx, loadingKey{}, ctl))
	if isStale && errors.Is(err, ErrNotModified) {
		v, err = stale, nil
		ctl.tags = append(ctl.tags, seen.entry.Tags...)
		ctl.kept = seen.entry.Deps
	}
	p.space.loadDone(lctx, p.key, took, err)
	p.observed(err)
	switch {
	case err == nil:
		p.space.queue.Succeeded(p.key)
		return p.keep(ctx, v, ctl, took, r, seen), nil
	case errors.Is(err, ErrNotFound):
		p.space.queue.Succeeded(p.key)
		e := p.absence(ctl.tags, took)
		e.Stamp = r.stamp
		p.keepNegative(ctx, e, ctl, r, seen)
		return loaded{entry: e, stamp: r.stamp}, err
	}
	if v, e, ok := p.rescue(p.space.detach(ctx), seen); ok && !p.space.flights.Forgotten(ctx) {
		p.space.queue.Failed(p.key)
		return loaded{value: v, entry: e, stamp: e.Stamp, outcome: event.OutcomeStale}, nil
	}
	return loaded{stamp: r.stamp}, err
}

// bounded gives a load that may have waited for its turn a time of its own. Where there was no turn to wait
// for the flight's is the same.
func (p *plan[V]) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if p.policy.HardTimeout <= 0 || !p.fleet() {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, p.policy.HardTimeout, flight.ErrTimeout)
}

// observed tells the filter that let the key through whether it exists.
func (p *plan[V]) observed(err error) {
	if f := p.policy.Filter; f != nil && (err == nil || errors.Is(err, ErrNotFound)) {
		f.Observe(p.user, err == nil)
	}
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

// stale returns the value of what was found past its TTL, or expired by a tag.
func (p *plan[V]) stale(seen look) (v V, ok bool) {
	e := seen.entry
	if e == nil || e.Flags&store.FlagNegative != 0 || e.IsGone(p.space.clock.Now()) {
		return v, false
	}
	v, err := p.types.decode(e)
	return v, err == nil
}

// rescue returns the stale value that may be served instead of a load's error. It looks again: what was
// removed or invalidated while the load ran must not be served, not even now.
func (p *plan[V]) rescue(ctx context.Context, seen look) (v V, e *store.Entry, ok bool) {
	if seen.entry == nil || p.policy.StaleFor < 0 || p.hung || p.behind {
		return v, nil, false
	}
	l := p.space.lookup(ctx, p.key)
	p.hung = l.hung
	v, ok = p.stale(l)
	return v, l.entry, ok
}

// keep makes the entry of a loaded value and stores it, unless something speaks against it.
func (p *plan[V]) keep(ctx context.Context, v V, ctl *Loading, took time.Duration, r *right, seen look) loaded {
	res, keeps := p.entry(ctx, v, ctl, took, r.stamp)
	if !keeps {
		r.end(p.space.detach(ctx), p.space, store.LeaseUncacheable, uncacheableBackOff)
		return res
	}
	if p.put(ctx, res.entry, r) {
		p.tellDependents(ctx, res.entry, seen)
	}
	r.end(p.space.detach(ctx), p.space, store.LeaseFree, 0)
	return res
}

// entry makes the entry of a loaded value and reports whether it is to be stored.
func (p *plan[V]) entry(ctx context.Context, v V, ctl *Loading, took time.Duration, stamp store.Position) (res loaded, store bool) {
	s := p.space
	res = loaded{value: v, outcome: event.OutcomeMiss, stamp: stamp}
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
	var own []string
	if p.tags != nil {
		own = p.tags(v)
	}
	e.Stamp = stamp
	e.Tags = labels(p.call.tags, own, ctl.tags)
	e.Priority, e.LoadCost = p.policy.Priority, took
	now := s.clock.milli()
	if ctl.noStore || ttl < 0 {
		e.Times = lifetime(now, time.Millisecond, 0, 0)
		s.refused(ctx, s.name, s.layer, "no-store")
		return res, false
	}
	jittered := p.policy.jittered(ttl)
	refresh := p.call.refresh
	if refresh == 0 {
		refresh = p.policy.refreshAfter(jittered, took)
	}
	e.Times = lifetime(now, jittered, refresh, p.policy.staleFor(ttl))
	e.Deps = append(e.Deps, ctl.kept...)
	if ctl.deps != nil {
		ctl.deps.Inherit(e, now)
	}
	return res, true
}

// labels joins lists of tags, each tag once.
func labels(lists ...[]string) []string {
	tags := slices.Concat(lists...)
	slices.Sort(tags)
	return slices.Compact(tags)
}

// put stores the result of a load, unless a write, a removal or an invalidation has overtaken it. A write
// that comes while it is being stored waits; one that could not wait is noticed, and what was stored is
// taken away again.
func (p *plan[V]) put(ctx context.Context, e *store.Entry, r *right) (stored bool) {
	s := p.space
	if reason := s.against(p.key, e, p.hung, r); reason != "" {
		s.refused(ctx, s.name, s.layer, reason)
		return false
	}
	committed := p.commit(ctx, func(ctx context.Context) {
		stored = r.store(ctx, s, p.key, e)
		if s.flights.Forgotten(ctx) {
			stored = false
			s.refused(ctx, s.name, s.layer, "overtaken")
			s.takeBackLoaded(ctx, p.key)
		}
	})
	if !committed {
		s.refused(ctx, s.name, s.layer, "overtaken")
	}
	return stored
}

// against returns what speaks against storing e, or "".
func (e *engine) against(key string, en *store.Entry, hung bool, r *right) string {
	switch {
	case hung && !r.frontOnly:
		return "store-hung"
	case r.none:
		return "no-lease"
	case e.mirror.Held(key, en.Tags, en.Deps...):
		return "held"
	case e.judge(key, en, true) == mirror.Invalid:
		return "overtaken"
	default:
		return ""
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
