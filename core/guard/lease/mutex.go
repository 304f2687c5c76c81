package lease

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrNoLocker is returned by Mutex where the store has no locks.
var ErrNoLocker = errors.New("lease: the store has no locks")

// ErrLost is returned by operations on a lock that is not held any more: its TTL ran out, the server lost it,
// or it was unlocked.
var ErrLost = errors.New("lease: the lock is not held any more")

// MutexOptions configure a Mutex. The zero value is the defaults.
type MutexOptions struct {
	// TTL is how long a lock lasts that is neither renewed nor extended. At least 10 milliseconds. Zero means
	// that of the Leases.
	TTL time.Duration
	// Renew has a lock renewed at a third of its TTL until it is unlocked. A process that has died still
	// loses it within the TTL; one that hangs does not.
	Renew bool
}

// Mutex is a lock by name, across processes. One holder at a time has it, for a bounded time: it is no
// substitute for what the guarded resource can check itself, to which [Lock.Fence] is handed. It is safe for
// concurrent use, and each Lock of it is a holder of its own.
type Mutex struct {
	l    *Leases
	name string
	opts MutexOptions
}

// Mutex returns the lock called name. It takes nothing yet.
func (l *Leases) Mutex(name string, opts MutexOptions) (*Mutex, error) {
	switch {
	case l.opts.Locker == nil:
		return nil, ErrNoLocker
	case name == "":
		return nil, errors.New("lease: a lock needs a name")
	case opts.TTL == 0:
		opts.TTL = l.opts.TTL
	case opts.TTL < minTTL:
		return nil, fmt.Errorf("lease: TTL %v of a lock, the shortest is %v", opts.TTL, minTTL)
	}
	return &Mutex{l: l, name: name, opts: opts}, nil
}

// Lock takes the lock, and waits for it until ctx ends, whose error it then returns. Those who wait get it in
// no order. An error of the store comes back as it is, at once.
func (m *Mutex) Lock(ctx context.Context) (*Lock, error) {
	w := m.l.bell.join(m.name)
	defer m.l.bell.leave(w)
	token := newToken()
	p := m.l.pauses()
	for {
		lock, left, err := m.try(ctx, token, m.l.opts.Node)
		if lock != nil || err != nil {
			return lock, err
		}
		switch _, state := p.wait(ctx, w, left); state {
		case ended:
			return nil, ctx.Err()
		case closed:
			return nil, ErrClosed
		}
	}
}

// TryLock takes the lock if it is free, and reports whether it was. It never waits.
func (m *Mutex) TryLock(ctx context.Context) (*Lock, bool, error) {
	lock, _, err := m.try(ctx, newToken(), "")
	return lock, lock != nil, err
}

// try makes one round trip. Without a lock, left is how long the holder still has.
func (m *Mutex) try(ctx context.Context, token, node string) (lock *Lock, left time.Duration, err error) {
	if m.l.ctx.Err() != nil {
		return nil, 0, ErrClosed
	}
	sent := time.Now()
	locker := m.l.opts.Locker
	fence, left, err := locker.Lock(ctx, m.name, token, node, m.opts.TTL)
	switch {
	case err != nil:
		m.l.unlockBehind(m.name, token, m.opts.TTL) // it may have been taken all the same
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, 0, err
	case fence == 0:
		return nil, left, nil
	}
	keep := m.l.keep(m.opts.TTL, m.opts.Renew, sent, func(ctx context.Context, ttl time.Duration) (bool, error) {
		return locker.ExtendLock(ctx, m.name, token, ttl)
	})
	return &Lock{m: m, token: token, fence: fence, keep: keep}, 0, nil
}

// Lock is a lock that is held, until it is unlocked or its TTL runs out. It is safe for concurrent use.
type Lock struct {
	m     *Mutex
	token string
	fence int64
	keep  *keeper
}

// Fence returns a number that is greater than that of every earlier holder of the same name. A resource that
// remembers the greatest it has seen, and refuses smaller ones, is safe from a holder that does not know yet
// that it has lost the lock. It grows only as long as the server keeps its data.
func (k *Lock) Fence() int64 { return k.fence }

// Lost is closed when the lock is gone though it was not unlocked: its TTL has run out, or the server has
// said so to a renewal or to Extend.
func (k *Lock) Lost() <-chan struct{} { return k.keep.lost }

// Extend has the lock last for ttl from now on; 0 means the Mutex's TTL. It is what is renewed from then on,
// where renewing is on. It returns ErrLost if the lock is not held any more; after another error it may or may
// not have been extended.
func (k *Lock) Extend(ctx context.Context, ttl time.Duration) error {
	if ttl == 0 {
		ttl = k.m.opts.TTL
	}
	if ttl < minTTL {
		return fmt.Errorf("lease: TTL %v of a lock, the shortest is %v", ttl, minTTL)
	}
	ok, err := k.keep.prolong(ctx, ttl)
	if err == nil && !ok {
		err = ErrLost
	}
	return err
}

// Unlock frees the lock. It returns ErrLost if it was not held any more: what it guarded may have been touched
// by others. After another error the lock is freed behind, as soon as the store answers; further calls return
// ErrLost.
func (k *Lock) Unlock(ctx context.Context) error {
	if !k.keep.stop() {
		return ErrLost
	}
	ok, err := k.m.l.opts.Locker.Unlock(ctx, k.m.name, k.token)
	switch {
	case err != nil:
		k.m.l.unlockBehind(k.m.name, k.token, k.keep.ttl)
		return err
	case !ok:
		return ErrLost
	}
	return nil
}

func (l *Leases) unlockBehind(name, token string, ttl time.Duration) {
	l.amend.add(ttl, func(ctx context.Context) error {
		_, err := l.opts.Locker.Unlock(ctx, name, token)
		return err
	})
}
