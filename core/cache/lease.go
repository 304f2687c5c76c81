package cache

import (
	"context"
	"errors"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/guard/flight"
	"github.com/strata-cache/strata/core/guard/lease"
	"github.com/strata-cache/strata/core/guard/mirror"
	"github.com/strata-cache/strata/core/guard/refresh"
	"github.com/strata-cache/strata/core/store"
)

// failedBackOff is for how long a load that has failed is not repeated, by the processes that wait for it and
// those that come next: not at once, and too short for anybody to notice a recovery late. notFoundLife is for
// how long they find in the shared store that there is no value.
const (
	failedBackOff = 200 * time.Millisecond
	notFoundLife  = 500 * time.Millisecond
	// uncacheableBackOff is for how long nobody waits for what was not to be stored.
	uncacheableBackOff = time.Second
)

// right is what a load may do with its result.
type right struct {
	// stamp is what this process knew of invalidations when the load began.
	stamp store.Position
	// held is the lease, where one was granted.
	held *lease.Held
	// none says that the result must not be stored: another one has the lease.
	none bool
	// busy says that there was no room for the load here: others may have some.
	busy bool
	// frontOnly says that the shared store is out of reach: the result stays in this process.
	frontOnly bool
}

// fleet reports whether loads are coalesced between processes.
func (p *plan[V]) fleet() bool { return p.space.leases != nil && p.policy.Coalesce != Process }

// lease takes the lease on the key, or waits for what its holder makes of it. done is true where there is
// nothing to load any more.
func (p *plan[V]) lease(ctx context.Context, r *right, seen look) (res loaded, done bool, err error) {
	if !p.fleet() || p.hung {
		r.frontOnly = p.hung && p.space.front != nil
		return res, false, nil
	}
	if p.space.mirror.Held(p.key, nil) {
		r.none = true // it is being written: what is loaded is not stored, and there is nothing to wait for
		return res, false, nil
	}
	out, err := p.ask(ctx, seen)
	switch {
	case err != nil:
		// The shared store does not answer. This process coalesces; what it loads stays in it.
		if !errors.Is(err, lease.ErrClosed) {
			p.space.storeFailed(ctx, event.OpGet, err)
		}
		r.frontOnly = true
		return res, false, nil
	case out.Status == lease.Granted:
		r.held = out.Held
		return res, false, nil
	case out.Status == lease.Found:
		return p.foundElsewhere(ctx, r, out.Entry)
	case p.behind:
		return res, true, refresh.ErrSkip
	case out.Status == lease.Busy, out.Result == store.LeaseUncacheable:
		r.none = true
		return res, false, nil
	default:
		if v, e, ok := p.rescue(p.space.detach(ctx), seen); ok {
			return loaded{value: v, entry: e, stamp: e.Stamp, outcome: event.OutcomeStale}, true, nil
		}
		return loaded{stamp: r.stamp, outcome: event.OutcomeError}, true, ErrLoadFailed
	}
}

func (p *plan[V]) ask(ctx context.Context, seen look) (lease.Outcome, error) {
	if p.behind || !p.space.mayWait(ctx, p.key) {
		return p.try(ctx, seen)
	}
	return p.space.leases.Acquire(ctx, p.key, seen.entry, p.policy.HardTimeout, p.usable)
}

// try is ask that does not wait.
func (p *plan[V]) try(ctx context.Context, seen look) (lease.Outcome, error) {
	out, err := p.space.leases.TryAcquire(ctx, p.key, seen.entry)
	if out.Status == lease.Found && !p.usable(out.Entry) {
		out = lease.Outcome{}
	}
	return out, err
}

// usable reports whether what another process has stored answers this load.
func (p *plan[V]) usable(e *store.Entry) bool {
	if p.space.judge(p.key, e, false) != mirror.Valid {
		return false
	}
	if e.Flags&store.FlagNegative != 0 {
		return true
	}
	_, err := p.types.decode(e)
	return err == nil
}

// foundElsewhere answers with what another process has loaded.
func (p *plan[V]) foundElsewhere(ctx context.Context, r *right, e *store.Entry) (loaded, bool, error) {
	if e.Flags&store.FlagNegative != 0 {
		own := p.absence(e.Tags, 0)
		own.Stamp = e.Stamp
		p.space.keepNegative(p.key, own)
		return loaded{entry: own, stamp: e.Stamp, outcome: event.OutcomeNegative}, true, ErrNotFound
	}
	v, err := p.types.decode(e)
	if err != nil {
		r.none = true
		return loaded{}, false, nil
	}
	if p.space.front != nil {
		p.commit(ctx, func(context.Context) { _ = p.space.front.SetFront(p.key, e) })
	}
	return loaded{value: v, entry: e, stamp: e.Stamp, outcome: event.OutcomeMiss}, true, nil
}

// store stores what was loaded, as far as the load has a right to.
func (r *right) store(ctx context.Context, s *Space, key string, e *store.Entry) bool {
	switch {
	case r.held != nil:
		if badTags(e) {
			return s.Put(ctx, key, e) == nil // refuses it
		}
		stored, err := r.held.Store(ctx, e)
		switch {
		case err != nil:
			s.notStored(ctx, event.OpSet, err, key)
			r.inFront(s, key, e)
		case !stored:
			s.refused(ctx, s.name, s.layer, "lease-lost")
		}
		return stored
	case r.frontOnly:
		r.inFront(s, key, e)
		return false
	default:
		return s.putOrFront(ctx, key, e) == nil
	}
}

// inFront keeps in this process what the shared store could not take.
func (r *right) inFront(s *Space, key string, e *store.Entry) {
	if s.front != nil && !badTags(e) {
		_ = s.front.SetFront(key, e)
	}
}

// fail ends the lease of a load that has run on ctx and come to nothing. Where it was cancelled because nobody
// of this process waits for it any more, it is no failure of the loader: those who wait elsewhere go on.
func (r *right) fail(ctx context.Context, s *Space) {
	if errors.Is(context.Cause(ctx), flight.ErrAbandoned) || r.busy {
		r.end(s.detach(ctx), s, store.LeaseFree, 0)
		return
	}
	r.end(s.detach(ctx), s, store.LeaseFailed, failedBackOff)
}

// end ends the lease without a value.
func (r *right) end(ctx context.Context, s *Space, result store.LeaseResult, backOff time.Duration) {
	if r.held == nil {
		return
	}
	if err := r.held.Release(ctx, result, backOff); err != nil && !errors.Is(err, lease.ErrClosed) {
		s.storeFailed(ctx, event.OpDelete, err)
	}
}
