package cache

import (
	"context"
	"errors"
	"time"
	"unsafe"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/guard/mirror"
	"github.com/strata-cache/strata/core/store"
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
	types := typeOf[V](c.engine)
	buf := getKeyBuf()
	var err error
	buf.b, err = s.opts.Key.Append(append(buf.b[:0], s.prefix...), key)
	if err != nil {
		buf.put()
		s.rejected(ctx, "", err)
		s.reportGet(ctx, key, event.OutcomeRejected, look{}, start, false)
		return *new(V), err
	}
	if e := s.quick(ctx, buf.b, true); e != nil {
		if p := types.ready(e); p != nil {
			buf.put()
			s.reportGet(ctx, key, event.OutcomeHit, look{entry: e, tier: 1}, start, false)
			return types.own(*p), nil
		}
	}
	final := string(buf.b)
	buf.put()
	return get(ctx, &plan[V]{
		space: s, types: types, policy: &c.opts.Policy, loads: c.loads, key: final, user: key,
		call: c.opts.Policy.call(opts), load: load,
	}, start)
}

// get is every look-up with a loader behind it: in the order of what each step costs.
func get[V any](ctx context.Context, p *plan[V], start time.Time) (V, error) {
	s := p.space
	epoch := s.flights.Epoch(p.key)
	off := s.disabled(ctx)
	if !off && s.peek == nil && s.negative(p.key) != nil {
		return *new(V), s.absent(ctx, p.key, event.OutcomeNegative, start)
	}
	var l look
	if s.peek != nil {
		l = s.near(ctx, p.key)
	}
	if l.entry == nil && !off {
		if s.peek != nil && s.negative(p.key) != nil {
			return *new(V), s.absent(ctx, p.key, event.OutcomeNegative, start)
		}
		if f := p.policy.Filter; f != nil && !f.MayContain(ctx, p.user) {
			return *new(V), s.absent(ctx, p.key, event.OutcomeFiltered, start)
		}
	}
	if !s.local && !l.fresh(s.clock.Now()) {
		l, epoch = s.lookTogether(ctx, p.key)
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

// quick returns what lies in this process under the final key, if it can be served as it is and nobody wants
// to hear of it: the way of most hits. key stays the caller's. loads says that there is a loader, so that what
// is due for renewal takes the longer way.
func (s *Space) quick(ctx context.Context, key []byte, loads bool) *store.Entry {
	if s.peek == nil {
		return nil
	}
	e := s.peek(key)
	if e == nil || !e.CheckedAt(s.mirror.Current()) {
		return nil
	}
	now := s.clock.Now()
	if !e.IsFresh(now) || loads && e.Refresh != 0 && now >= e.Refresh || e.Flags&store.FlagNegative != 0 || travelOf(ctx) != nil || s.off {
		return nil
	}
	return e
}

// looked is what callers of one key share that ask the shared store at the same time.
type looked struct {
	look
	epoch uint64       // of the flights, from before it was asked
	check *store.Check // what was known of invalidations and writes at that time
}

// errLost ends a shared look-up whose maker has left.
var errLost = errors.New("cache: a look-up was given up")

// lookTogether is lookup in one round trip for all who ask at the same time, and the flights' epoch from before
// it began.
func (s *Space) lookTogether(ctx context.Context, key string) (look, uint64) {
	if !s.coherent {
		epoch := s.flights.Epoch(key)
		return s.lookup(ctx, key), epoch // nobody could tell that it was asked before a write
	}
	call, _, leader := s.looks.Join(ctx, key, 0)
	switch {
	case call == nil:
	case leader:
		r, err := looked{epoch: s.flights.Epoch(key), check: s.mirror.Current()}, errLost
		defer func() { call.Finish(r, err) }()
		if r.look = s.lookup(ctx, key); ctx.Err() == nil {
			err = nil
		}
		return r.look, r.epoch
	default:
		// It may have been asked before a write or an invalidation that came before this caller.
		if r, err := call.Wait(ctx); err == nil && r.check == s.mirror.Current() {
			return r.look, r.epoch
		}
	}
	epoch := s.flights.Epoch(key)
	return s.lookup(ctx, key), epoch
}

// near is lookup in what lies in this process.
func (s *Space) near(ctx context.Context, key string) (l look) {
	if s.disabled(ctx) {
		return l
	}
	e := s.peek(unsafe.Slice(unsafe.StringData(key), len(key))) // which only reads it
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

// absent reports an answer of ErrNotFound without a look-up, and returns it.
func (s *Space) absent(ctx context.Context, key string, outcome event.Outcome, start time.Time) error {
	s.note(ctx, key, s.negative(key), false)
	s.reportGet(ctx, key, outcome, look{}, start, false)
	return ErrNotFound
}
