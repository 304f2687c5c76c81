package cache

import (
	"context"
	"time"

	"github.com/strata-cache/strata/core/guard/mirror"
	"github.com/strata-cache/strata/core/store"
)

// Remembered ErrNotFounds live in this process, in a bounded space of their own: whoever asks for keys that
// do not exist, one after the other, pushes out nothing else. Where this process cannot hear of the writes of
// others, because the shared store has no log, they live in the store, where a write replaces them.

// negativesApart reports whether nulls are kept apart from the store.
func (e *engine) negativesApart() bool { return e.coherent }

// negative returns what is remembered not to exist under the final key, or nil.
func (e *engine) negative(key string) *store.Entry {
	en := e.negatives.Get(key)
	if en == nil || e.judge(key, en, true) != mirror.Valid {
		return nil
	}
	return en
}

// keepNegative remembers that there is no value under the final key.
func (e *engine) keepNegative(key string, en *store.Entry) {
	if e.judge(key, en, true) == mirror.Valid || e.mirror.Blind() {
		e.negatives.Set(key, en)
	}
}

func (p *plan[V]) negative(tags []string, took time.Duration) *store.Entry {
	return &store.Entry{
		Times:    lifetime(p.space.clock.milli(), p.policy.jittered(max(p.policy.NegativeTTL, time.Millisecond)), 0, 0),
		Flags:    store.FlagNegative,
		Priority: store.PriorityLow,
		LoadCost: took,
		Tags:     labels(p.call.tags, tags),
	}
}

// keepNegative remembers that there is no value, and removes the stale one.
func (p *plan[V]) keepNegative(ctx context.Context, e *store.Entry, ctl *Loading, r *right, seen look) {
	s := p.space
	remember := p.policy.NegativeTTL > 0 && !ctl.noStore
	if remember && !s.negativesApart() {
		p.put(ctx, e, r)
		return
	}
	if remember && !s.mirror.Held(p.key, e.Tags) && p.commit(ctx, func(context.Context) { s.keepNegative(p.key, e) }) {
		if s.flights.Forgotten(ctx) {
			s.negatives.Delete(p.key)
		}
	}
	if seen.entry != nil && !p.hung {
		p.commit(ctx, func(ctx context.Context) { s.takeBack(ctx, p.key) })
	}
	backOff := min(notFoundBackOff, p.policy.NegativeTTL)
	if !remember {
		backOff = 0
	}
	r.end(s.detach(ctx), s, store.LeaseNotFound, backOff)
}
