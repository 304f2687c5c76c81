package cachetest

import (
	"context"
	"sync"
	"time"
)

// Clock is a clock that stands still until it is moved. Make it with NewClock. It is safe for concurrent use.
type Clock struct {
	mu      sync.Mutex
	now     time.Time
	pending []wait
	changed chan struct{} // closed when pending grows
}

// wait is one channel of After.
type wait struct {
	at time.Time
	ch chan time.Time
}

// NewClock returns a clock that shows the system's time, to the millisecond as entries have it.
func NewClock() *Clock {
	return &Clock{now: time.Now().Round(0).Truncate(time.Millisecond), changed: make(chan struct{})}
}

// Now returns the clock's time: what cache.Options.Now takes.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock by d, which may be negative: clocks are set back, too. Each channel of After whose
// time has come receives it.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	kept := c.pending[:0]
	for _, w := range c.pending {
		if w.at.After(c.now) {
			kept = append(kept, w)
			continue
		}
		w.ch <- c.now // it has room for this one
	}
	clear(c.pending[len(kept):])
	c.pending = kept
}

// After returns a channel that receives the time once the clock has advanced by d; at once where d is not
// positive.
func (c *Clock) After(d time.Duration) <-chan time.Time {
	ch := make(chan time.Time, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if d <= 0 {
		ch <- c.now
		return ch
	}
	c.pending = append(c.pending, wait{c.now.Add(d), ch})
	close(c.changed)
	c.changed = make(chan struct{})
	return ch
}

// AwaitWaiters waits until at least n channels of After have not received yet, or ctx ends: a test that moves
// the clock has to know that somebody waits for it.
func (c *Clock) AwaitWaiters(ctx context.Context, n int) error {
	for {
		c.mu.Lock()
		enough, changed := len(c.pending) >= n, c.changed
		c.mu.Unlock()
		if enough {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// drop forgets a channel of After that nobody receives from any more.
func (c *Clock) drop(ch <-chan time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, w := range c.pending {
		if w.ch == ch {
			c.pending = append(c.pending[:i], c.pending[i+1:]...)
			return
		}
	}
}
