// Package coarse is a clock for hit paths: reading it costs about a nanosecond, where time.Now costs
// dozens, and it is at most [Resolution] behind.
package coarse

import (
	"sync"
	"sync/atomic"
	"time"
)

// Resolution is how far the clock can lag behind on a machine that schedules its goroutine in time. It
// is never ahead, and never lags when it is read for the first time after a pause.
const Resolution = 5 * time.Millisecond

// idleTicks is how many ticks without a reader stop the clock's goroutine: an idle process does not
// wake up two hundred times a second.
const idleTicks = 200

// Clock is a coarse clock in Unix milliseconds. Its goroutine runs only while the clock is being read
// and ends on Close. What one read returns no later one falls behind, unless the wall clock is set back.
type Clock struct {
	now  atomic.Int64 // 0: the goroutine is not running
	used atomic.Bool  // read since the last tick

	mu     sync.Mutex // makes "not running" and the time read meanwhile one
	quiet  int        // calls of Quietly that run
	closed bool
	stop   chan struct{}
	ran    sync.WaitGroup
}

// New returns a clock that has not started its goroutine yet.
func New() *Clock { return &Clock{stop: make(chan struct{})} }

// Now returns the time in Unix milliseconds.
func (c *Clock) Now() int64 {
	n := c.now.Load()
	if n == 0 {
		return c.start()
	}
	if !c.used.Load() {
		c.used.Store(true)
	}
	return n
}

// Quietly calls f. A clock that is not running is not started by reads during f, of whatever goroutine:
// they pay for time.Now. It is for periodic work that must not keep the clock awake.
func (c *Clock) Quietly(f func()) {
	c.hush(1)
	defer c.hush(-1)
	f()
}

func (c *Clock) hush(n int) {
	c.mu.Lock()
	c.quiet += n
	c.mu.Unlock()
}

// Running reports whether the clock's goroutine is running.
func (c *Clock) Running() bool { return c.now.Load() != 0 }

func (c *Clock) start() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.now.Load(); n != 0 {
		return n
	}
	n := time.Now().UnixMilli()
	if c.closed || c.quiet > 0 {
		return n
	}
	c.now.Store(n)
	c.used.Store(true)
	c.ran.Go(c.run)
	return n
}

func (c *Clock) run() {
	t := time.NewTicker(Resolution)
	defer t.Stop()
	for idle := 0; ; {
		select {
		case <-c.stop:
			return
		case <-t.C:
		}
		if c.used.Swap(false) {
			idle = 0
		} else {
			idle++
		}
		if idle >= idleTicks && c.sleep() {
			return
		}
		c.tick()
	}
}

// tick reads the time itself: the ticker's is old where this goroutine was scheduled late.
func (c *Clock) tick() { c.now.Store(time.Now().UnixMilli()) }

// sleep marks the clock as not running, unless it was read in the meantime or is being closed.
func (c *Clock) sleep() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.used.Load() {
		return false
	}
	c.now.Store(0)
	return true
}

// Close stops the goroutine and waits for it. The clock can still be read, at the price of time.Now.
func (c *Clock) Close() {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.stop)
	}
	c.mu.Unlock()
	c.ran.Wait()
	c.now.Store(0)
}
