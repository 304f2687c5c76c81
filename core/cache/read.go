package cache

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/guard/mirror"
	"github.com/strata-cache/strata/core/store"
)

// Get returns the value under key, or ErrMiss. A stored nil is a hit. Where a Fetch has learned that there
// is no value and remembers it, the error is ErrNotFound. A store that fails is a miss: it is reported as
// an event, never to the caller.
//
// A value that was stored for another type than V, or for a V of another shape, is a miss.
func Get[V any](ctx context.Context, c *Cache, key string) (V, error) {
	s := c.verbs
	start := s.startTimer()
	buf := getKeyBuf()
	defer buf.put()
	var err error
	buf.b, err = s.opts.Key.Append(append(buf.b[:0], s.prefix...), key)
	if err != nil {
		s.rejected(ctx, "", err)
		s.reportGet(ctx, key, event.OutcomeRejected, look{}, start, false)
		return *new(V), err
	}
	l := s.glance(ctx, buf.b)
	v, outcome, err := serve(ctx, s, typeOf[V](c.engine), key, l, s.clock.Now())
	if outcome == event.OutcomeMiss {
		if e := s.negative(string(buf.b)); e != nil {
			l.entry, outcome, err = e, event.OutcomeNegative, ErrNotFound
		}
	}
	if notes(ctx) {
		s.note(ctx, string(buf.b), l.entry, false)
	}
	s.reportGet(ctx, key, outcome, l, start, false)
	return v, err
}

// glance is lookup by a key that stays the caller's, which asks the store only where this process has no
// answer.
func (s *Space) glance(ctx context.Context, key []byte) look {
	if s.peek != nil && !s.disabled(ctx) {
		e := s.peek(key)
		switch {
		case e == nil && s.local:
			return look{}
		case e != nil && e.CheckedAt(s.mirror.Current()) && (s.local || e.IsFresh(s.clock.Now())):
			return look{entry: e, tier: 1}
		}
	}
	return s.lookup(ctx, string(key))
}

// GetOr returns the value under key, or fallback where Get would return an error.
func GetOr[V any](ctx context.Context, c *Cache, key string, fallback V) V {
	if v, err := Get[V](ctx, c, key); err == nil {
		return v
	}
	return fallback
}

// GetMany returns the values of those keys that have one, in one round trip where the store can do that.
// Repeated keys count once. A refused key is an error, before any store is asked.
func GetMany[V any](ctx context.Context, c *Cache, keys ...string) (map[string]V, error) {
	s := c.verbs
	start := time.Now()
	keys = distinct(keys)
	final, err := s.verbKeys(ctx, keys)
	if err != nil {
		return nil, err
	}
	looks := s.lookupMany(ctx, final)
	types, now := typeOf[V](c.engine), s.clock.Now()
	found := make(map[string]V, len(keys))
	for i, l := range looks {
		if v, _, err := serve(ctx, s, types, keys[i], l, now); err == nil {
			found[keys[i]] = v
		}
		s.note(ctx, final[i], l.entry, false)
	}
	s.reportMany(ctx, event.OpGet, len(found), len(keys), start, nil)
	return found, nil
}

// distinct returns keys without repetitions; keys itself where it has none.
func distinct(keys []string) []string {
	seen := make(map[string]bool, len(keys))
	for _, k := range keys {
		seen[k] = true
	}
	if len(seen) == len(keys) {
		return keys
	}
	return slices.Collect(maps.Keys(seen))
}

// Has reports whether there is a fresh value under key, of whatever type.
func (c *Cache) Has(ctx context.Context, key string) (bool, error) {
	start := time.Now()
	_, _, err := c.verbs.entryOf(ctx, key)
	outcome := outcomeOf(err)
	switch {
	case err == nil:
		outcome = event.OutcomeHit
	case errors.Is(err, ErrMiss):
		outcome, err = event.OutcomeMiss, nil
	}
	c.verbs.Report(ctx, event.Call{Key: key, Op: event.OpGet, Outcome: outcome, Took: time.Since(start)})
	return outcome == event.OutcomeHit, err
}

// TTL returns how long the value under key will still be fresh, Forever if it does not end, or ErrMiss.
func (c *Cache) TTL(ctx context.Context, key string) (time.Duration, error) {
	e, _, err := c.verbs.entryOf(ctx, key)
	switch {
	case err != nil:
		return 0, err
	case e.Fresh == 0:
		return Forever, nil
	default:
		return time.Duration(max(1, e.Fresh-c.clock.milli())) * time.Millisecond, nil
	}
}

// entryOf returns the fresh entry under a user's key and its final key. A remembered ErrNotFound is
// ErrMiss. Unlike a look-up for a value it tells a failing store from a miss.
func (s *Space) entryOf(ctx context.Context, key string) (*store.Entry, string, error) {
	final, err := s.verbKey(ctx, key)
	if err != nil {
		return nil, "", err
	}
	if s.disabled(ctx) {
		return nil, final, ErrMiss
	}
	op, done := s.op(ctx, 1)
	e, err := s.get(op, final)
	done()
	switch {
	case err == nil && e.IsFresh(s.clock.milli()) && e.Flags&store.FlagNegative == 0 && s.judge(final, e, s.local) == mirror.Valid:
		return e, final, nil
	case err == nil || errors.Is(err, store.ErrMiss):
		return nil, final, ErrMiss
	case errors.Is(err, store.ErrCorrupt):
		s.corrupt(ctx, s.name, key, err)
		return nil, final, ErrMiss
	}
	s.storeFailed(ctx, event.OpGet, err)
	return nil, final, fmt.Errorf("cache: get: %w", err)
}

// lookupMany is lookup for many final keys, in one round trip where the store can do that.
func (s *Space) lookupMany(ctx context.Context, keys []string) []look {
	looks := make([]look, len(keys))
	if len(keys) == 0 || s.disabled(ctx) {
		return looks
	}
	if !s.reachable() {
		for i := range keys {
			looks[i] = s.lookup(ctx, keys[i])
		}
		return looks
	}
	b, ok := store.As[store.Batcher](s.store)
	if !ok && s.front == nil {
		for i := range keys {
			if looks[i] = s.lookup(ctx, keys[i]); looks[i].hung {
				for j := range looks {
					looks[j].hung = true
				}
				break
			}
		}
		return looks
	}
	op, done := s.op(ctx, len(keys))
	defer done()
	s.awaitSync(op)
	var entries []*store.Entry
	var err error
	if s.front != nil {
		entries, err = s.front.GetManyValid(op, keys, s.usable)
	} else {
		entries, err = b.GetMany(op, keys)
	}
	switch {
	case err == nil:
	case errors.Is(err, store.ErrCorrupt):
		s.corrupt(ctx, s.name, "", err)
	default:
		s.storeFailed(ctx, event.OpGet, err)
	}
	hung := timedOut(err)
	for i := range looks {
		looks[i].hung = hung
		if i >= len(entries) || entries[i] == nil {
			continue
		}
		switch v := s.judge(keys[i], entries[i], s.local || s.front != nil); v {
		case mirror.Invalid:
		default:
			looks[i].entry, looks[i].expired = entries[i], v == mirror.Stale
		}
	}
	return looks
}

// verbKeys returns the final keys of users' keys, in order.
func (s *Space) verbKeys(ctx context.Context, keys []string) ([]string, error) {
	final := make([]string, len(keys))
	for i, k := range keys {
		var err error
		if final[i], err = s.verbKey(ctx, k); err != nil {
			return nil, err
		}
	}
	return final, nil
}

// startTimer returns the time where this call is to be timed: always for a store outside the process,
// for one call in event.TimedHits otherwise, and never without an observer.
//
// A look-up that goes on to wait or load is timed from there on, see startWaiting.
func (s *Space) startTimer() (start time.Time) {
	o := s.opts.Observer
	if o == nil || o.Call == nil || s.local && rand.Uint32()%event.TimedHits != 0 {
		return start
	}
	return time.Now()
}

// startWaiting returns when a look-up that has missed was started, or now where it has not been timed: what
// comes costs more than reading a clock.
func (s *Space) startWaiting(start time.Time) time.Time {
	if o := s.opts.Observer; start.IsZero() && o != nil && o.Call != nil {
		return time.Now()
	}
	return start
}

func (s *Space) reportGet(ctx context.Context, key string, outcome event.Outcome, l look, start time.Time, coalesced bool) {
	o := s.opts.Observer
	if o == nil || o.Call == nil {
		return
	}
	call := event.Call{
		Cache: s.opts.Name, Kind: s.name, Key: key, Layer: s.layer,
		Op: event.OpGet, Outcome: outcome, Coalesced: coalesced,
	}
	if e := l.entry; e != nil && outcome != event.OutcomeMiss {
		call.Tier = l.tier
		call.Age = time.Duration(max(0, s.clock.Now()-e.Created)) * time.Millisecond
	}
	if !start.IsZero() {
		call.Took = time.Since(start)
	}
	o.Call(ctx, call)
}

func (s *Space) reportMany(ctx context.Context, op event.Op, hits, total int, start time.Time, err error) {
	o := s.opts.Observer
	if o == nil || o.Call == nil || total == 0 && err == nil {
		return // a call over no keys is none
	}
	call := event.Call{
		Cache: s.opts.Name, Kind: s.name, Layer: s.layer, Op: op, Outcome: outcomeOf(err),
		Hits: hits, Misses: max(0, total-hits), Took: time.Since(start),
	}
	if op == event.OpGet && err == nil {
		call.Outcome = event.OutcomeHit
		if hits < total {
			call.Outcome = event.OutcomeMiss
		}
	}
	o.Call(ctx, call)
}
