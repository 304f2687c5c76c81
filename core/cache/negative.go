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

// absence returns the entry of what does not exist.
func (p *plan[V]) absence(tags []string, took time.Duration) *store.Entry {
	return &store.Entry{
		Times:    lifetime(p.space.clock.milli(), p.policy.jittered(max(p.policy.NegativeTTL, time.Millisecond)), 0, 0),
		Flags:    store.FlagNegative,
		Priority: store.PriorityLow,
		LoadCost: took,
		Tags:     labels(p.call.tags, tags),
	}
}

// keepNegative remembers that there is no value, and removes the stale one. Processes that wait for the lease,
// or come a moment later, find it in the shared store: with its stamp and tags, so that they can judge it.
func (p *plan[V]) keepNegative(ctx context.Context, e *store.Entry, ctl *Loading, r *right, seen look) {
	s := p.space
	remember := p.policy.NegativeTTL > 0 && !ctl.noStore
	if remember && !s.negativesApart() {
		p.put(ctx, e, r)
		return
	}
	told := false
	if remember && s.against(p.key, e, p.hung, r) == "" {
		p.commit(ctx, func(ctx context.Context) {
			s.keepNegative(p.key, e)
			if r.held != nil {
				told = r.store(ctx, s, p.key, e.WithTimes(lifetime(e.Created, min(notFoundLife, p.policy.NegativeTTL), 0, 0)))
			}
			if s.flights.Forgotten(ctx) {
				s.negatives.Delete(p.key)
				s.takeBackLoaded(ctx, p.key)
			}
		})
	}
	if seen.entry != nil && !told && !p.hung {
		p.commit(ctx, func(ctx context.Context) { s.takeBack(ctx, p.key) })
	}
	r.end(s.detach(ctx), s, store.LeaseFree, 0)
}
