package lease

import (
	"context"
	"sync"
	"time"

	"github.com/strata-cache/strata/core/store"
)

// The pauses between attempts on a store that fails.
const (
	minRetry = 50 * time.Millisecond
	maxRetry = time.Second
)

// bell delivers the wake-ups of this process to those who wait. Its goroutine listens from the first wait
// on, until nobody has waited for a while.
type bell struct {
	l *Leases

	mu      sync.Mutex
	waiters map[string]map[*waiter]struct{}
	running bool
	ready   bool               // wake-ups are not missed
	stop    context.CancelFunc // ends the connection; nil while there is none
	idle    *time.Timer        // running while nobody waits
}

// waiter is one that waits for the lease of a key or for a lock.
type waiter struct {
	key string
	// wakes holds the last wake-up that was not taken yet.
	wakes chan store.Wake
}

func newBell(l *Leases) *bell {
	return &bell{l: l, waiters: make(map[string]map[*waiter]struct{})}
}

// join puts a waiter on the list, which must leave.
func (b *bell) join(key string) *waiter {
	w := &waiter{key: key, wakes: make(chan store.Wake, 1)}
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.waiters[key]
	if all == nil {
		all = make(map[*waiter]struct{}, 1)
		b.waiters[key] = all
	}
	all[w] = struct{}{}
	if b.idle != nil {
		b.idle.Stop()
	}
	return w
}

func (b *bell) leave(w *waiter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.waiters[w.key]
	delete(all, w)
	if len(all) == 0 {
		delete(b.waiters, w.key)
	}
	if len(b.waiters) == 0 && b.running && b.l.opts.Idle > 0 && b.l.ctx.Err() == nil {
		if b.idle == nil {
			b.idle = time.AfterFunc(b.l.opts.Idle, b.rest)
		} else {
			b.idle.Reset(b.l.opts.Idle)
		}
	}
}

// rest ends the connection if nobody waits.
func (b *bell) rest() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiters) == 0 && b.stop != nil {
		b.stop()
	}
}

// close makes sure that the timer does nothing any more. The goroutine ends with the Leases.
func (b *bell) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.idle != nil {
		b.idle.Stop()
	}
}

// listen has the goroutine running, and reports whether wake-ups arrive. It is called by a waiter that is on
// the list.
func (b *bell) listen() (ready bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.running {
		b.running = b.l.spawn(b.run)
	}
	return b.ready
}

func (b *bell) run() {
	retry := minRetry
	for {
		ctx, stop := context.WithCancel(b.l.ctx)
		b.mu.Lock()
		b.stop = stop
		b.mu.Unlock()
		err := b.l.store.Wakes(ctx, b.l.opts.Node, b.up, b.deliver)
		stopped := ctx.Err() != nil // it did not fail
		stop()
		wasUp, over := b.down()
		if over {
			return
		}
		if stopped {
			continue // somebody came just as it was to rest
		}
		if wasUp {
			retry = minRetry
			b.l.opts.Logger.Warn("lease: the connection for wake-ups has failed; waiters poll", "error", err)
		}
		pause := time.NewTimer(retry)
		retry = min(2*retry, maxRetry)
		select {
		case <-pause.C:
		case <-b.l.ctx.Done():
			pause.Stop()
		}
	}
}

// up is called once the connection stands. A wake-up may have been sent before: everybody asks again.
func (b *bell) up() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ready = true
	b.rouse()
}

// down is called when the connection has ended. If it had been up, everybody asks again, and then polls. It reports whether it
// had been up, and whether nobody needs another one: the goroutine must end.
func (b *bell) down() (wasUp, over bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	wasUp, b.ready, b.stop = b.ready, false, nil
	over = len(b.waiters) == 0 || b.l.ctx.Err() != nil
	switch {
	case over:
		b.running = false
	case wasUp:
		b.rouse()
	}
	return wasUp, over
}

// rouse has all waiters ask again. A wake-up that was not taken yet is worth more. The lock is held.
func (b *bell) rouse() {
	for key, all := range b.waiters {
		for w := range all {
			select {
			case w.wakes <- store.Wake{Key: key, Result: store.LeaseFree}:
			default:
			}
		}
	}
}

// deliver hands a wake-up to all who wait for its key, in place of one that they have not taken yet.
func (b *bell) deliver(wake store.Wake) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for w := range b.waiters[wake.Key] {
		select {
		case <-w.wakes:
		default:
		}
		w.wakes <- wake // there is room: only we send, with the lock held
	}
}
