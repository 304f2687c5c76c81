package cache

import (
	"context"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
)

// Set stores v under key. Its TTL is the policy's or the call's, jittered. A negative TTL stores nothing
// and removes what was there. The value is encoded before Set returns: later changes to v are not seen.
// A load of the key that runs meanwhile is not stored.
//
// Integers are stored as counters, which Incr works on, unless tags are given.
func Set[V any](ctx context.Context, c *Cache, key string, v V, opts ...CallOption) error {
	s, start := c.verbs, time.Now()
	final, err := s.verbKey(ctx, key)
	if err == nil {
		err = set(ctx, c, final, v, c.opts.Policy.call(opts))
	}
	s.Report(ctx, event.Call{Key: key, Op: event.OpSet, Outcome: outcomeOf(err), Took: time.Since(start)})
	return err
}

func set[V any](ctx context.Context, c *Cache, final string, v V, call call) error {
	s := c.verbs
	if call.ttl < 0 {
		_, err := s.Remove(ctx, final)
		return err
	}
	e, err := verbEntry(c, v, call, true)
	if err != nil {
		return err
	}
	return s.write(ctx, final, e)
}

// verbEntry returns the entry of a value that a verb writes: it is not kept beyond its TTL.
func verbEntry[V any](c *Cache, v V, call call, jitter bool) (*store.Entry, error) {
	e, err := typeOf[V](c.engine).entry(v, len(call.tags) == 0, false)
	if err != nil {
		return nil, err
	}
	ttl := call.ttl
	if jitter && e.Flags&store.FlagCounter == 0 {
		ttl = c.opts.Policy.jittered(ttl)
	}
	e.Times = lifetime(c.clock.milli(), ttl, call.refresh, 0)
	e.Tags, e.Priority = call.tags, c.opts.Policy.Priority
	if e.Flags&store.FlagCounter != 0 {
		e.Refresh = 0
	}
	return e, nil
}
