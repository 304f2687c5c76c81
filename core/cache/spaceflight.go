package cache

import (
	"context"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/guard/flight"
)

// Flight is one run that concurrent callers of a space share: the form of coalescing for a load that has
// to stay on its first caller's goroutine, such as an HTTP handler. See flight.Group.Join for the rules.
// A write, a removal or a Clear of its key makes it Forgotten, like every other load of the cache.
type Flight struct {
	call *flight.Call[string, loaded]
}

// Join joins the flight of the final key, or starts one that the caller leads. A leader runs on lctx and
// must call Finish, whatever happens; the others call Wait, once. ok false means that waiting would be
// waiting for oneself: the caller then works alone.
func (s *Space) Join(ctx context.Context, key string, timeout time.Duration) (f Flight, lctx context.Context, leader, ok bool) {
	call, lctx, leader := s.flights.Join(ctx, key, timeout)
	return Flight{call}, lctx, leader, call != nil
}

// Epoch returns a number that changes when a flight of the key ends; see flight.Group.Epoch.
func (s *Space) Epoch(key string) uint64 { return s.flights.Epoch(key) }

// Finish delivers v or err to all who wait. Only the first call counts.
func (f Flight) Finish(v any, err error) { f.call.Finish(loaded{value: v}, err) }

// Wait returns what the leader delivered, or ctx.Err if ctx ends first.
func (f Flight) Wait(ctx context.Context) (any, error) {
	res, err := f.call.Wait(ctx)
	return res.value, err
}

// Leave says that the leader itself no longer needs the result. When nobody else waits for it, the
// flight's context ends.
func (f Flight) Leave() { f.call.Leave() }

// Forgotten reports whether the key was written or removed since the flight began: what it made must not
// be stored.
func (f Flight) Forgotten() bool { return f.call.Forgotten() }

// Loaded reports a finished run of a handler on behalf of the space.
func (s *Space) Loaded(ctx context.Context, took time.Duration, result event.LoadResult) {
	s.loadEvent(ctx, event.Load{Kind: s.name, Layer: s.layer, Result: result, Took: took})
}

// Bypassed reports a request that went past the cache, for a reason of a small fixed set.
func (s *Space) Bypassed(ctx context.Context, reason string) {
	if o := s.opts.Observer; o != nil && o.Bypass != nil {
		o.Bypass(ctx, event.Bypass{Cache: s.opts.Name, Reason: reason})
	}
}

// StartTimer returns the time where a look-up is to be timed, and the zero time where it is not: one
// in-process look-up in event.TimedHits is, and every other one where somebody observes.
func (s *Space) StartTimer() time.Time { return s.startTimer() }
