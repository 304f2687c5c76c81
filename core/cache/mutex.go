package cache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/guard/lease"
)

// MutexOptions configure a distributed lock.
type MutexOptions = lease.MutexOptions

// Mutex is a distributed lock; see Cache.Mutex.
type Mutex struct {
	space *Space
	inner *lease.Mutex
	key   string
}

// Lock is a lock that is held: see Mutex.Lock. Its Fence grows with every grant of the name; a resource that
// refuses smaller numbers than it has seen is safe from a holder that has lost the lock without knowing.
type Lock = lease.Lock

// ErrLockLost is what the methods of a Lock return that is not held any more.
var ErrLockLost = lease.ErrLost

// Mutex returns the lock called name, which one process holds at a time, among all that share the cache's
// store and prefix. The store must be a store.Locker, as redisstore's is: otherwise errors.Is finds
// ErrUnsupported. It is for work that must not be done twice at once; to load a value once Fetch is enough.
//
// A lock lasts for its TTL (10 seconds by default), unless MutexOptions.Renew keeps it. It is no protection
// against a holder that sleeps longer than that: see Lock.Fence.
func (c *Cache) Mutex(name string, opts MutexOptions) (*Mutex, error) {
	if c.leases == nil {
		return nil, c.unsupported("mutex", "store.Leaser")
	}
	key, err := c.verbs.verbKey(context.Background(), name)
	if err != nil {
		return nil, err
	}
	m, err := c.leases.Mutex(key, opts)
	if errors.Is(err, lease.ErrNoLocker) {
		return nil, c.unsupported("mutex", "store.Locker")
	}
	if err != nil {
		return nil, fmt.Errorf("cache: mutex: %w", err)
	}
	return &Mutex{space: c.verbs, inner: m, key: key}, nil
}

// Lock waits for the lock until ctx ends, whose error it then returns.
func (m *Mutex) Lock(ctx context.Context) (*Lock, error) {
	start := time.Now()
	l, err := m.inner.Lock(ctx)
	m.report(ctx, start, err, false)
	return l, err
}

// TryLock takes the lock if it is free, and reports whether it did.
func (m *Mutex) TryLock(ctx context.Context) (l *Lock, ok bool, err error) {
	start := time.Now()
	l, ok, err = m.inner.TryLock(ctx)
	m.report(ctx, start, err, !ok)
	return l, ok, err
}

func (m *Mutex) report(ctx context.Context, start time.Time, err error, busy bool) {
	outcome := outcomeOf(err)
	if err == nil && busy {
		outcome = event.OutcomeMiss
	}
	m.space.Report(ctx, event.Call{Key: m.key, Op: event.OpLock, Outcome: outcome, Took: time.Since(start)})
}
