package cache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/guard/lease"
	"github.com/strata-cache/strata/core/guard/mirror"
	"github.com/strata-cache/strata/core/guard/refresh"
	"github.com/strata-cache/strata/core/store"
)

// ErrNotKept is found by errors.Is in the error of Space.Keep for an entry that must not be stored: it was
// invalidated while it was being made, or what it is made of is being written.
var ErrNotKept = errors.New("cache: not kept")

// Stamp returns up to where this process knows of invalidations. Who makes an entry takes it before reading
// anything, and gives it to the entry.
func (s *Space) Stamp() store.Position { return s.mirror.Applied() }

// Keep is Put for an entry that was made of other things, since its Stamp: one that was invalidated meanwhile
// is refused. Where the shared store does not take it, it is kept in this process for a short time, if the
// store has a tier there.
func (s *Space) Keep(ctx context.Context, key string, e *store.Entry) error {
	return s.keep(ctx, key, e, &right{})
}

func (s *Space) keep(ctx context.Context, key string, e *store.Entry, r *right) error {
	if reason := s.against(key, e, false, r); reason != "" {
		s.Refused(ctx, reason)
		return fmt.Errorf("%w: %s", ErrNotKept, reason)
	}
	if !r.store(ctx, s, key, e) {
		return ErrNotKept
	}
	return nil
}

// putOrFront is Put, and SetFront where the shared store does not take e.
func (s *Space) putOrFront(ctx context.Context, key string, e *store.Entry) error {
	err := s.Put(ctx, key, e)
	if err != nil && s.front != nil && !badTags(e) && !errors.Is(err, store.ErrTooLarge) {
		_ = s.front.SetFront(key, e) // a tier in this process that has no room for it
	}
	return err
}

// Note adds the entry under a final key to what is collected through ctx: see Track.
func (s *Space) Note(ctx context.Context, key string, e *store.Entry) { s.note(ctx, key, e, false) }

// Valid reports whether nothing was invalidated since e was made that would have ended it. A nil e is valid.
func (s *Space) Valid(key string, e *store.Entry) bool {
	return e == nil || s.judge(key, e, true) != mirror.Invalid
}

// Fleet reports whether the processes that share the store take turns: see Turn.
func (s *Space) Fleet() bool { return s.leases != nil && s.opts.Policy.Coalesce != Process }

// Enter takes a place among the Policy.MaxLoads things of the space that are made at the same time; leave
// frees it. It returns ErrOverload where none became free within Policy.LoadWait.
func (s *Space) Enter(ctx context.Context) (leave func(), err error) { return s.places.enter(ctx) }

// Behind runs work in the background, unless that is being done for key, or has failed a moment ago.
func (s *Space) Behind(key string, work func(context.Context) error) {
	if s.queue.Wanted(key) {
		s.queue.Submit(refresh.Job{Key: key, Kind: s.name, Timeout: s.opts.Policy.HardTimeout, Run: work})
	}
}

// Disabled reports whether ctx, or the environment, has switched the cache off.
func (s *Space) Disabled(ctx context.Context) bool { return s.disabled(ctx) }

// Turn is the right to make what belongs under one key of a space, among the processes that share its store.
// Its holder must call End. The zero value may store.
type Turn struct {
	space *Space
	right right
	key   string // where there is a lease on it
}

// Within returns ctx for the work of the turn: what it asks for is not made to wait for what waits for it.
func (t *Turn) Within(ctx context.Context) context.Context {
	if t.key == "" {
		return ctx
	}
	return t.space.holding(ctx, t.key)
}

// TurnState is what came of asking for a turn.
type TurnState uint8

// The states.
const (
	// TurnYours: the caller makes it, and stores it through the turn.
	TurnYours TurnState = iota
	// TurnFound: another process has made it; it can be looked up now.
	TurnFound
	// TurnTaken: another process is making it, for longer than the caller could wait. What the caller makes
	// itself is not stored.
	TurnTaken
	// TurnFailed: another process has tried, and it was of no use to others.
	TurnFailed
)

// Turn waits for the caller's turn to make what belongs under the final key, for at most wait. seen is what
// is there and cannot be used, or nil, and valid tells whether what another process makes can be.
func (s *Space) Turn(ctx context.Context, key string, seen *store.Entry, wait time.Duration, valid func(*store.Entry) bool) (*Turn, TurnState) {
	t := &Turn{space: s, right: right{stamp: s.mirror.Applied()}}
	if !s.Fleet() {
		return t, TurnYours
	}
	good := func(e *store.Entry) bool { return s.judge(key, e, false) == mirror.Valid && valid(e) }
	var out lease.Outcome
	var err error
	if s.mayWait(ctx, key) {
		out, err = s.leases.Acquire(ctx, key, seen, wait, good)
	} else if out, err = s.leases.TryAcquire(ctx, key, seen); out.Status == lease.Found && !good(out.Entry) {
		out = lease.Outcome{}
	}
	switch {
	case err != nil:
		if !errors.Is(err, lease.ErrClosed) {
			s.storeFailed(ctx, event.OpGet, err)
		}
		t.right.frontOnly = true
		return t, TurnYours
	case out.Status == lease.Granted:
		t.right.held, t.key = out.Held, key
		return t, TurnYours
	case out.Status == lease.Found:
		if s.front != nil {
			_ = s.front.SetFront(key, out.Entry)
		}
		return t, TurnFound
	case out.Status == lease.Busy:
		t.right.none = true
		return t, TurnTaken
	default:
		t.right.none = true
		return t, TurnFailed
	}
}

// Stamp is Space.Stamp from before the turn was asked for.
func (t *Turn) Stamp() store.Position { return t.right.stamp }

// Keep is Space.Keep under the key of the turn, as far as the caller still has it.
func (t *Turn) Keep(ctx context.Context, key string, e *store.Entry) error {
	return t.space.keep(ctx, key, e, &t.right)
}

// End gives the turn back where nothing was kept. failed says that others would fare no better for as long as
// backOff; without it the next one tries at once.
func (t *Turn) End(ctx context.Context, failed bool, backOff time.Duration) {
	if failed {
		t.right.end(ctx, t.space, store.LeaseFailed, backOff)
	} else {
		t.right.end(ctx, t.space, store.LeaseFree, 0)
	}
}
