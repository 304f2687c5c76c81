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
		s.reportGet(ctx, key, event.OutcomeRejected, nil, start, false)
		return *new(V), err
	}
	e := s.Lookup(ctx, buf.b)
	v, outcome, err := serve(ctx, s, typeOf[V](c.engine), key, e, s.clock.Now())
	s.reportGet(ctx, key, outcome, e, start, false)
	if outcome == event.OutcomeNegative {
		err = ErrNotFound
	}
	return v, err
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
	entries, _ := s.lookupMany(ctx, final)
	types, now := typeOf[V](c.engine), s.clock.Now()
	found := make(map[string]V, len(keys))
	for i, e := range entries {
		if v, _, err := serve(ctx, s, types, keys[i], e, now); err == nil {
			found[keys[i]] = v
		}
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
		return time.Duration(max(1, e.Fresh-time.Now().UnixMilli())) * time.Millisecond, nil
	}
}

// entryOf returns the fresh entry under a user's key and its final key. A remembered ErrNotFound is
// ErrMiss. Unlike a look-up for a value it tells a failing store from a miss.
func (s *Space) entryOf(ctx context.Context, key string) (*store.Entry, string, error) {
	final, err := s.verbKey(ctx, key)
	if err != nil {
		return nil, "", err
	}
	op, done := s.op(ctx, 1)
	e, err := s.store.Get(op, final)
	done()
	switch {
	case err == nil && e.IsFresh(time.Now().UnixMilli()) && e.Flags&store.FlagNegative == 0:
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

// lookupMany returns one entry, or nil, for each final key. hung is as for lookup.
func (s *Space) lookupMany(ctx context.Context, keys []string) (entries []*store.Entry, hung bool) {
	b, ok := s.store.(store.Batcher)
	if ok && len(keys) > 0 {
		op, done := s.op(ctx, len(keys))
		entries, err := b.GetMany(op, keys)
		done()
		switch {
		case err == nil:
		case errors.Is(err, store.ErrCorrupt):
			s.corrupt(ctx, s.name, "", err)
		default:
			s.storeFailed(ctx, event.OpGet, err)
		}
		if len(entries) != len(keys) {
			entries = make([]*store.Entry, len(keys))
		}
		return entries, timedOut(err)
	}
	entries = make([]*store.Entry, len(keys))
	for i := 0; i < len(keys) && !hung; i++ {
		entries[i], hung = s.lookup(ctx, keys[i])
	}
	return entries, hung
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
	if o == nil || o.Call == nil || s.borrower != nil && rand.Uint32()%event.TimedHits != 0 {
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

func (s *Space) reportGet(ctx context.Context, key string, outcome event.Outcome, e *store.Entry, start time.Time, coalesced bool) {
	o := s.opts.Observer
	if o == nil || o.Call == nil {
		return
	}
	call := event.Call{
		Cache: s.opts.Name, Kind: s.name, Key: key, Layer: s.layer,
		Op: event.OpGet, Outcome: outcome, Coalesced: coalesced,
	}
	if e != nil && outcome != event.OutcomeMiss {
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
