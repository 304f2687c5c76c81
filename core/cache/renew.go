package cache

import (
	"context"
	"errors"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/guard/refresh"
	"github.com/strata-cache/strata/core/store"
)

// due reports whether e, which was served, is to be renewed in the background.
func (p *plan[V]) due(e *store.Entry) bool {
	return e != nil && e.Refresh != 0 && p.load != nil && p.space.clock.Now() >= e.Refresh
}

// renew loads p.key in the background, if that is not being done, and has not failed a moment ago. l is what
// there is.
func (p *plan[V]) renew(ctx context.Context, l look) {
	s := p.space
	if !s.queue.Wanted(p.key) {
		return
	}
	own := *p
	own.behind = true
	ctx = untracked(context.WithoutCancel(ctx)) // the request's values, as every load has
	s.queue.Submit(refresh.Job{
		Key: p.key, Kind: s.name, Priority: p.policy.Priority, Name: p.fleetName, Arg: p.fleetArg,
		Run: func(jctx context.Context) error {
			ctx, cancel := merge(ctx, jctx)
			defer cancel()
			return own.runBehind(ctx, l)
		},
	})
}

func (p *plan[V]) runBehind(ctx context.Context, l look) error {
	_, _, err := p.space.flights.Do(ctx, p.key, p.timeout(), func(ctx context.Context) (loaded, error) { return p.run(ctx, l) })
	if errors.Is(err, ErrNotFound) {
		return nil // that is an answer
	}
	return err
}

// merge returns a context with the values of ctx that ends with job.
func merge(ctx, job context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(job, func() { cancel(context.Cause(job)) })
	return ctx, func() { stop(); cancel(context.Canceled) }
}

// tellDependents ends what was built from the value that e has replaced, if it differs.
func (p *plan[V]) tellDependents(ctx context.Context, e *store.Entry, seen look) {
	s := p.space
	if seen.entry == nil || sameValue(seen.entry, e) {
		return
	}
	item := store.Invalidation{Kind: store.ChangeKey, Name: p.key}
	if s.log == nil {
		if s.coherent && s.tracking.Load() {
			s.mirror.Local(item)
		}
		return
	}
	if _, err := s.append(s.detach(ctx), store.Change{Items: []store.Invalidation{item}}); err != nil {
		s.storeFailed(ctx, event.OpSet, err)
	}
}

func sameValue(a, b *store.Entry) bool {
	return a.Flags == b.Flags && a.Schema == b.Schema && string(a.Value) == string(b.Value)
}
