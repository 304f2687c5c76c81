package lease

import (
	"context"
	"sync"
	"time"
)

const (
	// maxAmends is how many releases are remembered.
	maxAmends = 1024
	// amendTimeout is what one may take.
	amendTimeout = time.Second
)

// amender releases behind what could not be released in time, or what a request may have taken whose answer
// was lost: while nobody knows that it holds a lease, everybody waits for it until its TTL ends. It has one
// goroutine while there is something to do. What it forgets ends with its TTL.
type amender struct {
	leases *Leases

	mu      sync.Mutex
	queue   []amend
	running bool
}

type amend struct {
	until time.Time // it has ended by itself
	do    func(context.Context) error
}

// add has do called until it succeeds, or ttl has passed.
func (a *amender) add(ttl time.Duration, do func(context.Context) error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queue) >= maxAmends {
		return
	}
	a.queue = append(a.queue, amend{time.Now().Add(ttl), do})
	if !a.running {
		a.running = a.leases.spawn(a.run)
	}
}

func (a *amender) run() {
	retry := minRetry
	for {
		next, ok := a.next()
		if !ok {
			return
		}
		ctx, cancel := context.WithTimeout(a.leases.ctx, amendTimeout)
		err := next.do(ctx)
		cancel()
		if err == nil {
			retry = minRetry
			continue
		}
		a.again(next)
		pause := time.NewTimer(retry)
		retry = min(2*retry, maxRetry)
		select {
		case <-pause.C:
		case <-a.leases.ctx.Done():
			pause.Stop()
		}
	}
}

// next takes the first that has not ended by itself. Without one, or once closed, the goroutine must end.
func (a *amender) next() (amend, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	for a.leases.ctx.Err() == nil && len(a.queue) > 0 {
		n := a.queue[0]
		a.queue[0] = amend{}
		a.queue = a.queue[1:]
		if now.Before(n.until) {
			return n, true
		}
	}
	a.queue, a.running = nil, false
	return amend{}, false
}

// again puts one back, behind the others: it may be that this one fails alone.
func (a *amender) again(n amend) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.queue = append(a.queue, n)
}
