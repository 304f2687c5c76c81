package cache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/guard/breaker"
	"github.com/strata-cache/strata/core/guard/lease"
	"github.com/strata-cache/strata/core/guard/mirror"
	"github.com/strata-cache/strata/core/guard/negative"
	"github.com/strata-cache/strata/core/guard/refresh"
	"github.com/strata-cache/strata/core/store"
)

// closeWait is how long background refreshes that run have to end when the cache is closed.
const closeWait = 5 * time.Second

// guard makes the guards of a cache, as far as its store can carry them.
func (e *engine) guard() error {
	var err error
	if e.negatives, err = negative.New(negative.Options{MaxKeys: e.opts.MaxNegative, Now: e.clock.Now}); err != nil {
		return fmt.Errorf("cache: Options.MaxNegative: %w", err)
	}
	if e.queue, err = refresh.New(refresh.Options{
		Capacity: e.opts.RefreshQueue, Workers: e.opts.RefreshWorkers, Fleet: e.opts.Fleet, Observer: e.refreshed,
	}); err != nil {
		return fmt.Errorf("cache: Options.RefreshQueue: %w", err)
	}
	if err = e.newBreaker(); err != nil {
		return err
	}
	leaser, grants := store.As[store.Leaser](e.store)
	if e.opts.Policy.Coalesce == Fleet && !grants {
		return e.unsupported("Policy.Coalesce: Fleet", "store.Leaser")
	}
	if grants {
		locker, _ := store.As[store.Locker](e.store)
		e.leases, err = lease.New(leaser, lease.Options{TTL: e.opts.LeaseTTL, Locker: locker, Logger: e.opts.Logger})
		if err != nil {
			return fmt.Errorf("cache: Options.LeaseTTL: %w", err)
		}
	}
	e.cohere()
	return nil
}

func (e *engine) refreshed(r event.Refresh) {
	if o := e.opts.Observer; o != nil && o.Refresh != nil {
		r.Cache = e.opts.Name
		o.Refresh(context.Background(), r)
	}
}

func (e *engine) follow() {
	e.follower = mirror.NewFollower(e.mirror, e.log, mirror.FollowOptions{
		Heartbeat: e.opts.Heartbeat,
		Blind:     min(3*e.opts.Heartbeat, e.opts.DegradedL1TTL),
		Logger:    e.opts.Logger,
		Trimmed: func() {
			if e.front != nil {
				e.front.ClearFront("")
			}
		},
		Notify: func(state event.LogState, err error) {
			if o := e.opts.Observer; o != nil && o.Log != nil {
				o.Log(event.Log{Cache: e.opts.Name, State: state, Err: err})
			}
		},
	})
}

// newBreaker makes the breaker of a store that can be out of reach, where it can be asked how it is.
func (e *engine) newBreaker() (err error) {
	pinger, ok := store.As[store.Pinger](e.store)
	if e.local || !ok || e.opts.StoreTimeout < 0 {
		return nil
	}
	e.breaker, err = breaker.New(func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, e.opts.StoreTimeout)
		defer cancel()
		return pinger.Ping(ctx)
	}, breaker.Options{Changed: func(open bool) {
		if o := e.opts.Observer; o != nil && o.Breaker != nil {
			o.Breaker(event.Breaker{Cache: e.opts.Name, Open: open})
		}
	}})
	return err
}

// reachable reports whether the store is worth asking.
func (e *engine) reachable() bool { return e.breaker == nil || e.breaker.Allow() }

// answered notes that the store is there.
func (e *engine) answered() {
	if e.breaker != nil {
		e.breaker.Success()
	}
}

// unanswered notes an error that says the store is not.
func (e *engine) unanswered(err error) {
	if e.breaker == nil || errors.Is(err, store.ErrRefused) || errors.Is(err, store.ErrTooLarge) ||
		errors.Is(err, store.ErrCorrupt) || errors.Is(err, errors.ErrUnsupported) {
		return
	}
	e.breaker.Failure()
}

// unguard stops what the guards run in the background.
func (e *engine) unguard() {
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	_ = e.queue.Close(ctx) // what did not end in time is cancelled
	if e.breaker != nil {
		e.breaker.Close()
	}
	if e.leases != nil {
		_ = e.leases.Close()
	}
	if e.follower != nil {
		_ = e.follower.Close()
	}
}
