package lease

import (
	"context"
	"time"

	"github.com/strata-cache/strata/core/store"
)

// Status says what an Outcome is.
type Status uint8

// The states.
const (
	// Busy: another one holds the lease, and the wait for it has run out, or was none. Who loads now must not
	// store what it has loaded.
	Busy Status = iota
	// Found: there is an entry.
	Found
	// Granted: the caller is to load, and to end what it Held.
	Granted
	// Told: a load has ended without a value.
	Told
)

// String returns the name of the state in lower case.
func (s Status) String() string {
	switch s {
	case Busy:
		return "busy"
	case Found:
		return "found"
	case Granted:
		return "granted"
	case Told:
		return "told"
	default:
		return "invalid"
	}
}

// Outcome is the answer to Acquire and TryAcquire.
type Outcome struct {
	Status Status
	// Entry is, of Found, the entry. All waiters of this process that a wake-up has brought it get the same
	// one, and share its memo.
	Entry *store.Entry
	// Held is, of Granted, the lease.
	Held *Held
	// Result is, of Told, how the load has ended: store.LeaseNotFound, store.LeaseFailed or
	// store.LeaseUncacheable.
	Result store.LeaseResult
	// BackOff is, of Told, for how long nobody can lease the key; 0 where the next one can.
	BackOff time.Duration
	// Waited is how long the lease of others was waited for; 0 if the first answer was the last.
	Waited time.Duration
}

// Acquire returns the entry under key, or the lease on it, or how another one's load has ended, whichever
// comes first. It waits for at most budget (0 or negative: no limit), and as long as ctx lives; after that
// the outcome is Busy, not an error.
//
// seen is an entry that the caller has found and cannot use, or nil: it counts as missing. So does one for
// which valid returns false; nil means that all are valid. valid is called without locks held.
//
// An error is the store's, and comes back as it is, at once: the caller loads without a lease.
func (l *Leases) Acquire(ctx context.Context, key string, seen *store.Entry, budget time.Duration, valid func(*store.Entry) bool) (Outcome, error) {
	a := acquisition{l: l, key: key, token: newToken(), seen: seen, valid: valid, node: l.opts.Node}
	// Those who may be woken are on the list before they ask: the wake-up may overtake the answer.
	a.w = l.bell.join(key)
	defer l.bell.leave(a.w)
	out, left, err := a.ask(ctx)
	if err != nil || out.Status != Busy {
		return out, err
	}
	begin := time.Now()
	p := l.pauses()
	if budget > 0 {
		end := time.NewTimer(budget)
		defer end.Stop()
		p.end = end.C
	}
	for out.Status == Busy && err == nil {
		wake, state := p.wait(ctx, a.w, left)
		switch state {
		case ended:
			return Outcome{Waited: time.Since(begin)}, nil
		case closed:
			return Outcome{}, ErrClosed
		case woken:
			out = a.told(wake)
		}
		if out.Status == Busy {
			out, left, err = a.ask(ctx)
		}
	}
	out.Waited = time.Since(begin)
	return out, err
}

// TryAcquire is Acquire that never waits, in one round trip: where another one holds the lease, the outcome
// is Busy. Whether an entry that was found is valid is left to the caller.
func (l *Leases) TryAcquire(ctx context.Context, key string, seen *store.Entry) (Outcome, error) {
	a := acquisition{l: l, key: key, token: newToken(), seen: seen}
	out, _, err := a.ask(ctx)
	return out, err
}

// acquisition is one call.
type acquisition struct {
	l     *Leases
	key   string
	token string
	node  string // "": is not woken
	seen  *store.Entry
	valid func(*store.Entry) bool
	w     *waiter
}

// ask makes one round trip; two, where what it finds is not valid. For Busy, left is how long the other
// one's lease lasts.
func (a *acquisition) ask(ctx context.Context) (out Outcome, left time.Duration, err error) {
	for range 2 {
		if a.l.ctx.Err() != nil {
			return Outcome{}, 0, ErrClosed
		}
		sent := time.Now()
		got, err := a.l.store.Lease(ctx, a.key, store.LeaseRequest{
			Token: a.token, TTL: a.l.opts.TTL, Seen: a.seen, Node: a.node,
		})
		switch {
		case err != nil:
			// It may have been granted all the same.
			a.l.giveUp(a.key, a.token, store.LeaseFree, 0)
			if ctx.Err() != nil {
				return Outcome{}, 0, nil
			}
			return Outcome{}, 0, err
		case got.Granted:
			return Outcome{Status: Granted, Held: a.l.hold(a.key, a.token, sent)}, 0, nil
		case got.Entry != nil:
			if a.usable(got.Entry) {
				return Outcome{Status: Found, Entry: got.Entry}, 0, nil
			}
			a.seen = got.Entry
		case got.Result == store.LeaseNotFound, got.Result == store.LeaseFailed, got.Result == store.LeaseUncacheable:
			return Outcome{Status: Told, Result: got.Result, BackOff: got.Left}, 0, nil
		default:
			return Outcome{}, got.Left, nil
		}
	}
	// Others store what is not valid here, or the store offers what was seen: to ask on without a pause would
	// be a busy loop.
	return Outcome{}, DefaultPoll, nil
}

// told is the outcome that a wake-up brings; Busy, if one has to ask.
func (a *acquisition) told(wake store.Wake) Outcome {
	switch wake.Result {
	case store.LeaseNotFound, store.LeaseFailed, store.LeaseUncacheable:
		return Outcome{Status: Told, Result: wake.Result, BackOff: wake.BackOff}
	case store.LeaseStored:
		switch {
		case wake.Entry == nil:
		case a.usable(wake.Entry):
			return Outcome{Status: Found, Entry: wake.Entry}
		default:
			a.seen = wake.Entry
		}
		return Outcome{}
	default:
		return Outcome{}
	}
}

// usable reports whether e is valid, and another entry than was seen.
func (a *acquisition) usable(e *store.Entry) bool {
	if s := a.seen; s != nil && s.Created == e.Created && s.Stamp == e.Stamp {
		return false
	}
	return a.valid == nil || a.valid(e)
}
