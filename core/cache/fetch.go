package cache

import (
	"context"

	"github.com/strata-cache/strata/core/event"
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
		s.reportGet(ctx, key, event.OutcomeRejected, nil, start, false)
		return *new(V), err
	}
	types := typeOf[V](c.engine)
	epoch := s.flights.Epoch(final)
	e, hung := s.lookup(ctx, final)
	v, outcome, err := serve(ctx, s, types, key, e, s.clock.Now())
	if outcome != event.OutcomeMiss {
		s.reportGet(ctx, key, outcome, e, start, false)
		return v, err
	}
	start = s.startWaiting(start)
	v, outcome, coalesced, err := fill(ctx, &plan[V]{
		space: s, types: types, policy: &c.opts.Policy, key: final,
		call: c.opts.Policy.call(opts), load: load, hung: hung,
	}, epoch, e)
	s.reportGet(ctx, key, outcome, nil, start, coalesced)
	return v, err
}
