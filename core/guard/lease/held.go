package lease

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/strata-cache/strata/core/store"
)

// Held is a lease that is held: the right to load and store one key. It is renewed until Store or Release,
// one of which must be called; after the first of them, both do nothing. It is safe for concurrent use.
type Held struct {
	l     *Leases
	key   string
	token string
	keep  *keeper
	over  atomic.Bool
}

// hold makes the lease that was granted to a request sent at sent.
func (l *Leases) hold(key, token string, sent time.Time) *Held {
	h := &Held{l: l, key: key, token: token}
	h.keep = l.keep(l.opts.TTL, true, sent, func(ctx context.Context, ttl time.Duration) (bool, error) {
		return l.store.RenewLease(ctx, key, token, ttl)
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		l.held = make(map[*Held]struct{})
	}
	l.held[h] = struct{}{}
	return h
}

// end reports whether this is the end of the lease; it is once.
func (h *Held) end() bool {
	if h.over.Swap(true) {
		return false
	}
	h.l.mu.Lock()
	delete(h.l.held, h)
	h.l.mu.Unlock()
	h.keep.stop()
	return true
}

// giveBack ends the leases that are still held, so that nobody waits for a process that is going. It takes as
// long as one round trip may take, or little more.
func (l *Leases) giveBack() {
	l.mu.Lock()
	held := slices.Collect(maps.Keys(l.held))
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), giveBackTime)
	defer cancel()
	var all sync.WaitGroup
	places := make(chan struct{}, giveBackWidth)
	for _, h := range held {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			if h.end() {
				_ = l.store.ReleaseLease(ctx, h.key, h.token, store.LeaseFree, 0) // or it runs out
			}
		})
	}
	all.Wait()
}

// What giveBack may take, and how many leases it ends at a time.
const (
	giveBackTime  = time.Second
	giveBackWidth = 16
)

// Lost is closed when the lease turns out to be gone while it should have been held: it was ended by an
// invalidation, evicted, or could not be renewed in time. Store will be refused; who loads may stop.
func (h *Held) Lost() <-chan struct{} { return h.keep.lost }

// Store stores e, ends the lease and wakes those who wait with e. It reports whether it did: if the lease is
// not held any more, nothing is stored. On an error of the store it is not known; the lease is then given up,
// at once or as soon as the store answers again. The store takes ownership of e.
func (h *Held) Store(ctx context.Context, e *store.Entry) (bool, error) {
	if !h.end() {
		return false, nil
	}
	ok, err := h.l.store.SetLeased(ctx, h.key, h.token, e)
	if err != nil {
		h.l.giveUp(h.key, h.token, store.LeaseFree, 0)
	}
	return ok, err
}

// Release ends the lease without a value. Those who wait are told the result: store.LeaseNotFound,
// store.LeaseFailed, or store.LeaseFree, at which one of them is granted the lease. Where backOff is positive,
// the key cannot be leased for that long, and those who come get the result.
//
// On an error of the store, or where ctx has ended, the lease is given up behind, with the same result, as
// soon as the store answers.
func (h *Held) Release(ctx context.Context, result store.LeaseResult, backOff time.Duration) error {
	if !h.end() {
		return nil
	}
	err := h.l.store.ReleaseLease(ctx, h.key, h.token, result, backOff)
	if err != nil {
		h.l.giveUp(h.key, h.token, result, backOff)
	}
	return err
}

// giveUp releases a lease behind that could not be, or that may have been granted without our knowing.
func (l *Leases) giveUp(key, token string, result store.LeaseResult, backOff time.Duration) {
	l.amend.add(l.opts.TTL, func(ctx context.Context) error {
		return l.store.ReleaseLease(ctx, key, token, result, backOff)
	})
}
