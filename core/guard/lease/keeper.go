package lease

import (
	"context"
	"sync"
	"time"
)

// keeper keeps one lease or lock alive, and notices when it is gone. It is a chain of timers: what is held
// for less than a third of its TTL costs no goroutine.
type keeper struct {
	ctx    context.Context // of a renewal; ends with stop
	cancel context.CancelFunc
	renew  func(ctx context.Context, ttl time.Duration) (bool, error)
	auto   bool          // renew at a third
	lost   chan struct{} // closed when it is gone
	turn   chan struct{} // full while somebody renews, so that the last word on the server is the last here

	mu      sync.Mutex
	ttl     time.Duration
	expires time.Time // the server's expiry is not earlier
	timer   *time.Timer
	over    bool
	armed   sync.WaitGroup // counts the armed timer and the running ticks
}

// keep starts to keep what was granted for ttl to a request that was sent at sent.
func (l *Leases) keep(ttl time.Duration, auto bool, sent time.Time, renew func(context.Context, time.Duration) (bool, error)) *keeper {
	k := &keeper{renew: renew, auto: auto, ttl: ttl, expires: sent.Add(ttl), lost: make(chan struct{}), turn: make(chan struct{}, 1)}
	k.ctx, k.cancel = context.WithCancel(l.ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.arm(k.pause())
	return k
}

// pause is the time to the next tick after a success: a third of the TTL is counted from when the request was
// sent, however long the answer took. The lock is held.
func (k *keeper) pause() time.Duration {
	left := time.Until(k.expires)
	if k.auto {
		left -= k.ttl - k.ttl/3
	}
	return left
}

// arm has tick run after d, but not past the expiry. The lock is held.
func (k *keeper) arm(d time.Duration) {
	d = min(d, time.Until(k.expires))
	if k.timer == nil {
		k.armed.Add(1)
		k.timer = time.AfterFunc(d, k.tick)
		return
	}
	k.disarm()
	k.armed.Add(1)
	k.timer.Reset(d)
}

// tick renews, or finds that it is too late.
func (k *keeper) tick() {
	defer k.armed.Done()
	k.mu.Lock()
	renew, ttl := !k.over && k.auto, k.ttl // even if it should have expired: the server knows
	k.mu.Unlock()
	if renew {
		ctx, cancel := context.WithTimeout(k.ctx, ttl/3)
		defer cancel()
		if _, err := k.prolong(ctx, 0); err == nil {
			return // it has armed the timer
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.over:
	case !time.Now().Before(k.expires):
		k.lose()
	case renew:
		k.arm(ttl / 12) // nothing is lost before it expires
	default:
		k.arm(k.pause()) // it was extended
	}
}

// prolong gives it another TTL, which renewals then keep; 0 means the one that it has. It reports whether it
// is still held.
func (k *keeper) prolong(ctx context.Context, ttl time.Duration) (bool, error) {
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	k.mu.Lock()
	over := k.over
	if ttl == 0 {
		ttl = k.ttl
	}
	k.mu.Unlock()
	if over {
		return false, nil
	}
	sent := time.Now()
	ok, err := k.renew(ctx, ttl)
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case err != nil:
		return false, err
	case k.over:
		return false, nil
	}
	if !ok {
		k.lose()
		return false, nil
	}
	k.ttl, k.expires = ttl, sent.Add(ttl)
	k.arm(k.pause())
	return true, nil
}

// lose notes that it is gone. The lock is held.
func (k *keeper) lose() {
	if !k.over {
		k.over = true
		k.cancel()
		k.disarm()
		close(k.lost)
	}
}

// disarm stops the timer. The lock is held.
func (k *keeper) disarm() {
	if k.timer.Stop() {
		k.armed.Done()
	}
}

// stop ends the keeping, and waits for a renewal that is on its way. It reports whether it had not ended yet.
func (k *keeper) stop() bool {
	k.mu.Lock()
	first := !k.over
	k.over = true
	k.cancel()
	k.disarm()
	k.mu.Unlock()
	k.armed.Wait()
	return first
}
