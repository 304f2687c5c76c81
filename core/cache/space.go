package cache

import (
	"context"
	"errors"
	"fmt"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
)

// Space is a region of a cache with keys of its own: the ground that kinds, fragments and pages stand
// on. It deals in entries, not values, and applies no policy. Application code uses kinds instead.
type Space struct {
	*engine
	name   string
	layer  event.Layer
	prefix string // what every final key begins with
}

// NewSpace returns the region called name of the cache, for a layer that keeps entries of its own. A
// name is 1 to 40 bytes of a–z, A–Z, 0–9, '_', '-' and '.', and can be taken once in a cache.
func (c *Cache) NewSpace(name string, layer event.Layer) (*Space, error) {
	if err := c.takeName(name); err != nil {
		return nil, err
	}
	return &Space{engine: c.engine, name: name, layer: layer, prefix: namespace(c.opts.Prefix, c.version) + name + ":"}, nil
}

func (e *engine) takeName(name string) error {
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
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.spaces[name] {
		return fmt.Errorf("cache: name %q is taken in cache %q", name, e.opts.Name)
	}
	e.spaces[name] = true
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
func (s *Space) InProcess() bool { return s.borrower != nil }

// Lookup returns the live entry under the final key, fresh or stale, or nil. A store that fails is
// reported and is a miss. key is not kept.
func (s *Space) Lookup(ctx context.Context, key []byte) *store.Entry {
	if s.borrower != nil {
		return s.borrower.GetBorrowed(key)
	}
	return s.lookup(ctx, string(key))
}

func (s *Space) lookup(ctx context.Context, key string) *store.Entry {
	entry, err := s.store.Get(ctx, key)
	switch {
	case err == nil:
		return entry
	case errors.Is(err, store.ErrMiss):
	case errors.Is(err, store.ErrCorrupt):
		s.corrupt(ctx, s.name, key, err)
	default:
		s.storeFailed(ctx, event.OpGet, err)
	}
	return nil
}

// Put stores e under the final key. A store that fails is reported, and the error returned.
func (s *Space) Put(ctx context.Context, key string, e *store.Entry) error {
	if len(e.Tags) > MaxTags {
		s.refused(ctx, s.name, s.layer, "tags")
		return fmt.Errorf("cache: %d tags, at most %d are allowed", len(e.Tags), MaxTags)
	}
	err := s.store.Set(ctx, key, e)
	switch {
	case err == nil:
	case errors.Is(err, store.ErrTooLarge):
		s.refused(ctx, s.name, s.layer, "too-large")
	default:
		s.storeFailed(ctx, event.OpSet, err)
	}
	return err
}

// Remove removes the final keys and returns how many were live. Loads of them that run meanwhile are not
// stored.
func (s *Space) Remove(ctx context.Context, keys ...string) (int, error) {
	for _, k := range keys {
		s.flights.Forget(k)
	}
	n, err := s.store.Delete(ctx, keys...)
	if err != nil {
		s.storeFailed(ctx, event.OpDelete, err)
		return n, fmt.Errorf("cache: delete: %w", err)
	}
	return n, nil
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
