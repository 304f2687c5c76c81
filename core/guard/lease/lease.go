// Package lease lets one process load what many want: callers of one key in all processes that share a
// store share one load. It is what flight does within a process, which stands in front of it.
//
// Who misses asks the store for the entry or for the lease, in one round trip. One caller is granted the
// lease; it loads, and stores while it still holds it. The others wait, and are woken by the store with what
// was stored, or with how the load ended. A holder that dies costs those who wait the lease's TTL; one that
// lives renews it.
//
// Nothing here is needed for a cache to be right: a wake-up that is lost costs a poll, a lease that is lost
// costs a load, and what a caller that has not got the lease has loaded must not be stored.
//
// [Mutex] is the plain distributed lock, on the same wake-ups.
package lease

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"

	"github.com/strata-cache/strata/core/store"
)

// ErrClosed is returned by operations on closed Leases, and by those that wait when they are closed.
var ErrClosed = errors.New("lease: closed")

// Leases takes leases on the keys of one store. It is safe for concurrent use. Make it with New.
type Leases struct {
	store store.Leaser
	opts  Options
	bell  *bell
	amend amender

	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	mu     sync.Mutex
	closed bool
	held   map[*Held]struct{} // until they end
	owned  sync.WaitGroup     // the goroutines of bell and amend
}

// New returns Leases on what s grants. It starts nothing, and asks nothing of the store.
func New(s store.Leaser, opts Options) (*Leases, error) {
	if s == nil {
		return nil, errors.New("lease: no store")
	}
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if opts.Locker == nil {
		opts.Locker, _ = s.(store.Locker)
	}
	l := &Leases{store: s, opts: opts}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.bell = newBell(l)
	l.amend.leases = l
	return l, nil
}

// Close ends all waits with ErrClosed, gives back the leases that are held, stops the goroutines and waits for
// them: a second at most, where the store does not answer. It is idempotent, and always returns nil. Locks are
// their holders', who should let go of them before: they are not renewed any more.
func (l *Leases) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.giveBack()
	l.cancel()
	l.bell.close()
	l.owned.Wait()
	return nil
}

// spawn runs f on a goroutine that Close waits for, and reports whether it does: it does not once closed.
// f must end when l.ctx does.
func (l *Leases) spawn(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.owned.Go(f)
	return true
}

// newToken returns 128 random bits in 26 letters.
func newToken() string { return rand.Text() }
