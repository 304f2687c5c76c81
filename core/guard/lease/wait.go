package lease

import (
	"context"
	"time"

	"github.com/strata-cache/strata/core/store"
)

// state is how a pause has ended.
type state uint8

const (
	due    state = iota // it is time to ask again
	woken               // by a wake-up
	ended               // the budget or the context has ended
	closed              // the Leases have
)

// pauses are the pauses of one waiter.
type pauses struct {
	l    *Leases
	next time.Duration    // the next pause while there are no wake-ups; negative: none
	end  <-chan time.Time // of the budget; nil: none
}

func (l *Leases) pauses() pauses { return pauses{l: l, next: l.opts.Poll} }

// wait waits for a wake-up, for the end of the other one's lease, which lasts for left, or for the time to
// poll, whichever comes first.
func (p *pauses) wait(ctx context.Context, w *waiter, left time.Duration) (store.Wake, state) {
	listening := p.l.bell.listen()
	// The store counts in milliseconds: at the last of them the lease is still there.
	pause := max(left, 0) + time.Millisecond
	switch {
	case p.next < 0:
	case listening:
		pause, p.next = min(pause, p.l.opts.PollMax), p.l.opts.Poll
	default:
		pause = min(pause, p.next)
		p.next = min(2*p.next, p.l.opts.PollMax)
	}
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case wake := <-w.wakes:
		return wake, woken
	case <-t.C:
		select {
		case wake := <-w.wakes: // it tells more than the store would now
			return wake, woken
		default:
			return store.Wake{}, due
		}
	case <-p.end:
		return store.Wake{}, ended
	case <-ctx.Done():
		return store.Wake{}, ended
	case <-p.l.ctx.Done():
		return store.Wake{}, closed
	}
}
