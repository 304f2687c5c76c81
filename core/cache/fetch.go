package cache

import (
	"context"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/guard/mirror"
)

// Fetch returns the value under key, or what load returns, which is then stored: Django's get_or_set with
// every guard. Concurrent callers share one load per process; it runs on a context of its own, which ends
// at the policy's HardTimeout or when the last caller has left, and each caller leaves at its own
// deadline. Where the load fails and a value past its TTL is still there (Policy.StaleFor), that is
// returned. A load that returns ErrNotFound is remembered for Policy.NegativeTTL. Other errors come back
// as they are and are never stored; a panic comes back as *PanicError.
//
// A store that fails costs a load, and nothing else. Integers that a load returns are stored like any other
// value: they are no counters, see Incr.
func Fetch[V any](ctx context.Context, c *Cache, key string, load func(context.Context) (V, error), opts ...CallOption) (V, error) {
	s := c.verbs
	start := s.startTimer()
	final, err := s.verbKey(ctx, key)
	if err != nil {
		s.reportGet(ctx, key, event.OutcomeRejected, look{}, start, false)
		return *new(V), err
	}
	return get(ctx, &plan[V]{
		space: s, types: typeOf[V](c.engine), policy: &c.opts.Policy, loads: c.loads, key: final, user: key,
		call: c.opts.Policy.call(opts), load: load,
	}, start)
}

// get is every look-up with a loader behind it: in the order of what each step costs.
func get[V any](ctx context.Context, p *plan[V], start time.Time) (V, error) {
	s := p.space
	epoch := s.flights.Epoch(p.key)
	off := s.disabled(ctx)
	if !off && s.peek == nil && s.negative(p.key) != nil {
		return absent[V](ctx, p, event.OutcomeNegative, start)
	}
	var l look
	if s.peek != nil {
		l = s.near(ctx, p.key)
	}
	if l.entry == nil && !off {
		if s.peek != nil && s.negative(p.key) != nil {
			return absent[V](ctx, p, event.OutcomeNegative, start)
		}
		if f := p.policy.Filter; f != nil && !f.MayContain(ctx, p.user) {
			return absent[V](ctx, p, event.OutcomeFiltered, start)
		}
	}
	if !s.local && !l.fresh(s.clock.Now()) {
		l = s.lookup(ctx, p.key)
	}
	p.hung = l.hung
	v, outcome, err := serve(ctx, s, p.types, p.key, l, s.clock.Now())
	if outcome != event.OutcomeMiss || p.load == nil {
		s.note(ctx, p.key, l.entry, false)
		s.reportGet(ctx, p.key, outcome, l, start, false)
		if outcome == event.OutcomeHit && p.due(l.entry) {
			p.renew(ctx, l)
		}
		return v, err
	}
	start = s.startWaiting(start)
	v, outcome, coalesced, err := fill(ctx, p, epoch, l)
	s.reportGet(ctx, p.key, outcome, look{}, start, coalesced)
	return v, err
}

// near is lookup in what lies in this process.
func (s *Space) near(ctx context.Context, key string) (l look) {
	if s.disabled(ctx) {
		return l
	}
	e := s.peek([]byte(key))
	if e == nil {
		return l
	}
	switch s.judge(key, e, true) {
	case mirror.Valid:
		return look{entry: e, tier: 1}
	case mirror.Stale:
		return look{entry: e, tier: 1, expired: true}
	default:
		return l
	}
}

// absent answers with ErrNotFound without a look-up.
func absent[V any](ctx context.Context, p *plan[V], outcome event.Outcome, start time.Time) (V, error) {
	p.space.note(ctx, p.key, nil, false)
	p.space.reportGet(ctx, p.key, outcome, look{}, start, false)
	return *new(V), ErrNotFound
}
