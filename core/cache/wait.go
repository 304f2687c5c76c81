package cache

import (
	"context"
	"errors"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/guard/flight"
	"github.com/strata-cache/strata/core/guard/mirror"
	"github.com/strata-cache/strata/core/guard/refresh"
	"github.com/strata-cache/strata/core/store"
)

// serve returns the value of what was found, if it may be served as fresh at now. A negative entry answers
// with ErrNotFound. What cannot be decoded is reported and is a miss.
func serve[V any](ctx context.Context, s *Space, t *valueType[V], key string, l look, now int64) (v V, outcome event.Outcome, err error) {
	if !l.fresh(now) {
		return v, event.OutcomeMiss, ErrMiss
	}
	if l.entry.Flags&store.FlagNegative != 0 {
		return v, event.OutcomeNegative, ErrNotFound
	}
	v, err = t.decode(l.entry)
	if err != nil {
		s.corrupt(ctx, s.name, key, err)
		return v, event.OutcomeMiss, ErrMiss
	}
	return v, event.OutcomeHit, nil
}

// fill is the way of every miss: it waits for the load of p.key that is running, or runs one. epoch is
// the flight's epoch from before the look-up that missed, and seen what it found, if anything, that cannot
// be served as it is.
func fill[V any](ctx context.Context, p *plan[V], epoch uint64, seen look) (v V, outcome event.Outcome, shared bool, err error) {
	s := p.space
	if s.disabled(ctx) {
		v, err := p.unguarded(ctx)
		return v, failed(event.OutcomeMiss, err), false, err
	}
	stale, isStale := p.stale(seen)
	if isStale && p.policy.StaleFor >= 0 && !s.queue.Allowed(p.key, time.Now()) {
		// The last load has failed a moment ago: the next one waits a little, the callers do not.
		s.note(ctx, p.key, seen.entry, true)
		return p.types.own(stale), event.OutcomeStale, false, nil
	}
	if isStale && p.policy.SoftTimeout > 0 && p.policy.StaleFor >= 0 {
		return p.soft(ctx, epoch, seen)
	}
	if !isStale && p.fallback != nil {
		v, outcome, err = p.simplified(ctx, seen)
		return v, outcome, false, err
	}
	return p.wait(ctx, epoch, seen)
}

// unguarded runs the loader for one caller alone.
func (p *plan[V]) unguarded(ctx context.Context) (V, error) {
	v, took, err := p.invoke(context.WithValue(ctx, loadingKey{}, &Loading{}))
	p.space.loadDone(ctx, p.key, took, err)
	return v, err
}

// wait waits for the load. What a load returns that began before the caller came may be older than an
// invalidation that this process had applied by then. The caller then waits for the next load, which has
// begun after it came, whoever leads it.
func (p *plan[V]) wait(ctx context.Context, epoch uint64, seen look) (v V, outcome event.Outcome, shared bool, err error) {
	v, outcome, shared, e, err := p.await(ctx, epoch, seen)
	if err == nil || errors.Is(err, ErrNotFound) {
		p.space.note(ctx, p.key, e, outcome == event.OutcomeStale)
	}
	return v, outcome, shared, err
}

// await is wait that notes nothing and returns the entry, where there is one.
func (p *plan[V]) await(ctx context.Context, epoch uint64, seen look) (v V, outcome event.Outcome, shared bool, e *store.Entry, err error) {
	own := *p // the load's: the caller may leave, and goes on with its own
	for first := true; ; first = false {
		var res loaded
		if p.fleet() && !p.space.mayWait(ctx, p.key) {
			res, err = own.outOfTurn(ctx, epoch, seen)
			v, outcome, shared, err = p.result(ctx, res, false, seen, err)
			return v, outcome, shared, res.entry, err
		}
		res, shared, err = p.space.flights.Do(ctx, p.key, p.timeout(), func(ctx context.Context) (loaded, error) {
			return own.lookAgain(ctx, epoch, seen)
		})
		if shared && errors.Is(err, refresh.ErrSkip) {
			continue // a background refresh that has left the work to another process: it answers nobody
		}
		if !first || !shared || p.counts(res, err) {
			v, outcome, shared, err = p.result(ctx, res, shared, seen, err)
			return v, outcome, shared, res.entry, err
		}
	}
}

// outOfTurn loads for work that must not wait: neither for the lease, nor for a flight that may be waiting for
// it. Where one is running, this load is for its caller alone.
func (p *plan[V]) outOfTurn(ctx context.Context, epoch uint64, seen look) (res loaded, err error) {
	call, lctx, leader := p.space.flights.Join(ctx, p.key, p.timeout())
	if call != nil && !leader {
		gone, cancel := context.WithCancel(ctx)
		cancel()
		_, _ = call.Wait(gone) // gives the place in it up
	}
	if !leader {
		r := right{stamp: p.space.mirror.Applied(), none: true}
		return flight.Guard(ctx, func(ctx context.Context) (loaded, error) { return p.loadAndKeep(ctx, &r, seen) })
	}
	err = &PanicError{} // after runtime.Goexit
	defer func() { call.Finish(res, err) }()
	stop := context.AfterFunc(ctx, call.Leave)
	defer stop()
	res, err = flight.Guard(lctx, func(ctx context.Context) (loaded, error) { return p.lookAgain(ctx, epoch, seen) })
	return res, err
}

// timeout is how long a flight lasts at most: the load, and as long again for its turn in the fleet.
func (p *plan[V]) timeout() time.Duration {
	if p.policy.HardTimeout > 0 && p.fleet() {
		return 2 * p.policy.HardTimeout
	}
	return p.policy.HardTimeout
}

// counts reports whether nothing was invalidated since the load began that would have ended its result.
func (p *plan[V]) counts(res loaded, err error) bool {
	if err != nil && !errors.Is(err, ErrNotFound) {
		return true // a failure is not out of date
	}
	e := res.entry
	if e == nil {
		e = &store.Entry{Stamp: res.stamp, Times: store.Times{Created: p.space.clock.milli()}}
	}
	return p.space.judge(p.key, e, true) != mirror.Invalid
}

// lookAgain is run, unless another load has ended since the caller looked: it may have stored what was
// missing.
func (p *plan[V]) lookAgain(ctx context.Context, epoch uint64, seen look) (loaded, error) {
	s := p.space
	if p.hung || p.behind || s.flights.Epoch(p.key) == epoch {
		return p.run(ctx, seen)
	}
	if e := s.negative(p.key); e != nil {
		return loaded{entry: e, stamp: e.Stamp, outcome: event.OutcomeNegative}, ErrNotFound
	}
	l := s.lookup(ctx, p.key)
	p.hung = l.hung
	v, outcome, err := serve(ctx, s, p.types, p.key, l, s.clock.Now())
	if outcome != event.OutcomeMiss {
		return loaded{value: v, entry: l.entry, stamp: l.entry.Stamp, outcome: outcome}, err
	}
	return p.run(ctx, l)
}

// soft waits for the load for Policy.SoftTimeout, and then leaves it to itself and returns the stale value.
func (p *plan[V]) soft(ctx context.Context, epoch uint64, seen look) (V, event.Outcome, bool, error) {
	type result struct {
		v       V
		outcome event.Outcome
		shared  bool
		entry   *store.Entry
		err     error
	}
	done := make(chan result, 1)
	behind := *p // p itself goes on below
	go func() {
		ctx := context.WithoutCancel(ctx)
		r := result{outcome: event.OutcomeError, err: &PanicError{}}
		defer func() { done <- r }()
		_, err := flight.Guard(ctx, func(ctx context.Context) (struct{}, error) {
			r.v, r.outcome, r.shared, r.entry, r.err = behind.await(ctx, epoch, seen)
			return struct{}{}, nil
		})
		if err != nil {
			r.err = err
		}
	}()
	timer := time.NewTimer(p.policy.SoftTimeout)
	defer timer.Stop()
	select {
	case r := <-done:
		p.space.note(ctx, p.key, r.entry, r.outcome == event.OutcomeStale)
		return r.v, r.outcome, r.shared, r.err
	case <-timer.C:
	case <-ctx.Done():
		return *new(V), event.OutcomeError, false, ctx.Err()
	}
	// What was invalidated meanwhile is not served; the load is then waited for.
	if v, e, ok := p.rescue(ctx, seen); ok {
		p.space.note(ctx, p.key, e, true)
		return p.types.own(v), event.OutcomeStale, false, nil
	}
	select {
	case r := <-done:
		p.space.note(ctx, p.key, r.entry, r.outcome == event.OutcomeStale)
		return r.v, r.outcome, r.shared, r.err
	case <-ctx.Done():
		return *new(V), event.OutcomeError, false, ctx.Err()
	}
}

// simplified answers a cold miss with simplified data, and loads behind.
func (p *plan[V]) simplified(ctx context.Context, seen look) (V, event.Outcome, error) {
	p.renew(ctx, seen)
	v, err := flight.Guard(ctx, p.fallback)
	if err != nil {
		return *new(V), event.OutcomeError, err
	}
	if t := travelOf(ctx); t != nil && t.deps != nil {
		t.deps.shortLived(p.space.engine, p.key)
	}
	return v, event.OutcomeFallback, nil
}

// result is what one waiter gets of a load.
func (p *plan[V]) result(ctx context.Context, res loaded, shared bool, seen look, err error) (V, event.Outcome, bool, error) {
	if err == nil {
		return handOut(p.types, res, shared)
	}
	var gone *PanicError
	if errors.Is(err, flight.ErrTimeout) || errors.As(err, &gone) && gone.Value == nil ||
		shared && seen.entry != nil && !errors.Is(err, ErrNotFound) {
		// The loader is still running, or its goroutine has ended, or it was a background refresh: it could
		// not offer the stale value, or had none to offer.
		if v, _, ok := p.rescue(ctx, seen); ok {
			return v, event.OutcomeStale, shared, nil
		}
	}
	return *new(V), failed(res.outcome, err), shared, err
}

func failed(o event.Outcome, err error) event.Outcome {
	switch {
	case o == event.OutcomeNegative || err == nil:
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
