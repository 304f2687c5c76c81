package cache

import (
	"context"
	"time"

	"github.com/strata-cache/strata/core/guard/flight"
)

// hold keeps loads of the final keys that began before release from being stored: the caller is about to
// write the keys. It returns ctx's error if ctx ends while such a load is being stored; nothing is held
// then.
func (e *engine) hold(ctx context.Context, keys ...string) error {
	var pending flight.Pending
	for _, k := range keys {
		pending = append(pending, e.flights.Hold(k)...)
	}
	err := pending.Wait(ctx)
	if err != nil {
		e.release(keys...)
	}
	return err
}

func (e *engine) release(keys ...string) {
	for _, k := range keys {
		e.flights.Release(k)
	}
}

// forget keeps running loads of the final keys from being stored: the caller is about to remove the keys.
func (e *engine) forget(ctx context.Context, keys ...string) error {
	var pending flight.Pending
	for _, k := range keys {
		pending = append(pending, e.flights.Forget(k)...)
	}
	return pending.Wait(ctx)
}

// Commit runs store, which stores what the flight has made, and reports true; unless the key was written
// or removed since the flight began, or nobody waits for it any more. A write or removal that comes while
// store runs waits for its end.
func (f Flight) Commit(store func()) bool { return f.call.Commit(store) }

// keysPerTimeout is how many keys one StoreTimeout is meant for, in calls over many keys.
const keysPerTimeout = 100

// op returns the context for one operation over n keys on the store: a store outside the process gets
// StoreTimeout for it.
func (e *engine) op(ctx context.Context, n int) (context.Context, context.CancelFunc) {
	if e.local || e.opts.StoreTimeout < 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, e.opts.StoreTimeout*time.Duration(1+n/keysPerTimeout))
}

// detach returns ctx without its cancellation, where StoreTimeout bounds what is done with the store.
func (e *engine) detach(ctx context.Context) context.Context {
	if e.opts.StoreTimeout < 0 {
		return ctx
	}
	return context.WithoutCancel(ctx)
}
