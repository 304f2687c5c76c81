package cache

import (
	"context"
	"errors"
	"fmt"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/guard/mirror"
	"github.com/strata-cache/strata/core/store"
)

// Space is a region of a cache with keys of its own: the ground that kinds, fragments and pages stand
// on. It deals in entries, not values, and applies no policy. Application code uses kinds instead.
type Space struct {
	*engine
	name   string
	layer  event.Layer
	prefix string // what every final key begins with
	places *bulkhead
}

// NewSpace returns the region called name of the cache, for a layer that keeps entries of its own. A
// name is 1 to 40 bytes of a–z, A–Z, 0–9, '_', '-' and '.', and can be taken once in a version of a cache.
func (c *Cache) NewSpace(name string, layer event.Layer) (*Space, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	prefix := namespace(c.opts.Prefix, c.version) + name + ":"
	if err := roomFor(prefix, c.opts.Key); err != nil {
		return nil, fmt.Errorf("cache: %q: %w", name, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.spaces[prefix] {
		return nil, fmt.Errorf("cache: name %q is taken in cache %q", name, c.opts.Name)
	}
	c.spaces[prefix] = true
	return &Space{engine: c.engine, name: name, layer: layer, prefix: prefix, places: newBulkhead(&c.opts.Policy)}, nil
}

func checkName(name string) error {
	if name == "" || len(name) > 40 {
		return fmt.Errorf("cache: name %q must have 1 to 40 bytes", name)
	}
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-', r == '.':
		default:
			return fmt.Errorf("cache: name %q holds %q; letters, digits, '_', '-' and '.' are allowed", name, r)
		}
	}
	return nil
}

// Name returns the space's name.
func (s *Space) Name() string { return s.name }

// Cache returns the name of the cache that the space belongs to.
func (s *Space) Cache() string { return s.opts.Name }

// Observer returns the cache's observer; nil where there is none.
func (s *Space) Observer() *event.Observer { return s.opts.Observer }

// Prefix returns what every final key of the space begins with. A caller that builds keys itself
// appends its part to it and passes the whole to FinishKey.
func (s *Space) Prefix() string { return s.prefix }

// FinishKey applies the key rule's limits to a final key in buf, which begins with Prefix, and returns
// the key to use.
func (s *Space) FinishKey(buf []byte) ([]byte, error) { return s.opts.Key.Finish(buf, len(s.prefix)) }

// Now returns the cache's coarse time in Unix milliseconds; it lags at most 10 ms behind.
func (s *Space) Now() int64 { return s.clock.Now() }

// InProcess reports whether look-ups stay in this process, and so cost next to nothing.
func (s *Space) InProcess() bool { return s.local }

// Peeks reports whether Near may find anything: whether the store, or its first tier, is in this process.
func (s *Space) Peeks() bool { return s.peek != nil }

// Near is Lookup in what lies in this process, and returns only what is fresh.
func (s *Space) Near(ctx context.Context, key []byte) *store.Entry {
	if s.peek == nil || s.disabled(ctx) {
		return nil
	}
	e := s.peek(key)
	if e == nil || !e.IsFresh(s.clock.Now()) {
		return nil
	}
	if e.CheckedAt(s.mirror.Current()) || s.judge(string(key), e, true) == mirror.Valid {
		return e
	}
	return nil
}

// Lookup returns the live entry under the final key, fresh or past its TTL, or nil. What was invalidated is
// not returned, nor is what was expired. A store that fails is reported and is a miss. key is not kept.
func (s *Space) Lookup(ctx context.Context, key []byte) *store.Entry {
	if s.disabled(ctx) {
		return nil
	}
	if s.peek != nil {
		e := s.peek(key)
		switch {
		case e == nil && s.local:
			return nil
		case e != nil && e.CheckedAt(s.mirror.Current()) && (s.local || e.IsFresh(s.clock.Now())):
			return e
		}
	}
	l := s.lookup(ctx, string(key))
	if l.expired {
		return nil
	}
	return l.entry
}

// look is what a look-up has come to.
type look struct {
	entry *store.Entry // live and not invalidated; nil on a miss
	// expired says that a tag of the entry was expired: it is stale, whatever its times say.
	expired bool
	tier    int // where it was found, from 1; 0 where that is not known
	// hung says that the store did not answer in time: the call has spent what a call may spend on it.
	hung bool
}

// fresh reports whether what was found may be served without more.
func (l *look) fresh(now int64) bool { return l.entry != nil && !l.expired && l.entry.IsFresh(now) }

// lookup is Lookup by a string, expired entries included.
func (s *Space) lookup(ctx context.Context, key string) (l look) {
	if s.disabled(ctx) {
		return look{}
	}
	if !s.reachable() {
		l = look{hung: true}
		if s.peek != nil {
			l = s.near(ctx, key)
			l.hung = true
		}
		return l
	}
	op, done := s.op(ctx, 1)
	defer done()
	s.awaitSync(op)
	var err error
	if s.front != nil {
		l.entry, l.tier, err = s.front.GetValid(op, key, s.usable)
	} else {
		l.entry, err = s.get(op, key)
	}
	switch {
	case err == nil:
		s.answered()
		l.expired = s.judge(key, l.entry, true) == mirror.Stale
		return l
	case errors.Is(err, store.ErrMiss):
		s.answered()
	case errors.Is(err, store.ErrCorrupt):
		s.corrupt(ctx, s.name, key, err)
	default:
		s.storeFailed(ctx, event.OpGet, err)
	}
	return look{hung: timedOut(err)}
}

// get returns the entry under the final key, if it counts.
func (s *Space) get(ctx context.Context, key string) (*store.Entry, error) {
	if !s.reachable() {
		return nil, ErrUnreachable
	}
	if s.front != nil {
		e, _, err := s.front.GetValid(ctx, key, s.usable)
		return e, err
	}
	e, err := s.store.Get(ctx, key)
	if err == nil && !s.usable(key, e) {
		return nil, store.ErrMiss
	}
	return e, err
}

// timedOut reports whether a store has not answered in time, by its own clock or the caller's.
func timedOut(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// Clear removes every entry of the space.
func (s *Space) Clear(ctx context.Context) error { return s.clearPrefix(ctx, s.prefix) }

// Report emits a finished call on behalf of the space.
func (s *Space) Report(ctx context.Context, call event.Call) {
	if o := s.opts.Observer; o != nil && o.Call != nil {
		call.Cache, call.Kind, call.Layer = s.opts.Name, s.name, s.layer
		o.Call(ctx, call)
	}
}

// Refused reports a value of the space that was made but not stored, for a reason of a small fixed set.
func (s *Space) Refused(ctx context.Context, reason string) { s.refused(ctx, s.name, s.layer, reason) }

// Corrupt reports an entry of the space that could not be used.
func (s *Space) Corrupt(ctx context.Context, key string, err error) {
	s.corrupt(ctx, s.name, key, err)
}

// verbKey returns the final key of a user's key.
func (s *Space) verbKey(ctx context.Context, key string) (string, error) {
	var stack [128]byte
	buf := append(stack[:0], s.prefix...)
	buf, err := s.opts.Key.Append(buf, key)
	if err != nil {
		s.rejected(ctx, s.name, err)
		return "", err
	}
	return string(buf), nil
}
