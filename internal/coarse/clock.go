// Package coarse is a clock for hit paths: reading it costs about a nanosecond, where time.Now costs
// dozens, and it is at most [Resolution] behind.
package coarse

import (
	"sync"
	"sync/atomic"
	"time"
)

// Resolution is how far the clock can lag behind on a machine that schedules its goroutine in time.
const Resolution = 5 * time.Millisecond

// idleTicks is how many ticks without a reader stop the clock's goroutine: an idle process does not
// wake up two hundred times a second.
const idleTicks = 200

// Clock is a coarse clock in Unix milliseconds. Its goroutine runs only while the clock is being read
// and ends on Close.
type Clock struct {
	now  atomic.Int64 // 0: the goroutine is not running
	used atomic.Bool  // read since the last tick

	mu     sync.Mutex
	closed bool
	stop   chan struct{}
	done   chan struct{}
}

// New returns a clock that has not started its goroutine yet.
func New() *Clock { return &Clock{} }

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

func (c *Clock) start() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := time.Now().UnixMilli()
	if c.closed || c.now.Load() != 0 {
		return n
	}
	c.now.Store(n)
	c.used.Store(true)
	c.stop, c.done = make(chan struct{}), make(chan struct{})
	go c.run(c.stop, c.done)
	return n
}

func (c *Clock) run(stop, done chan struct{}) {
	defer close(done)
	t := time.NewTicker(Resolution)
	defer t.Stop()
	for idle := 0; ; {
		select {
		case <-stop:
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
		// The channel's own time may be old when the receiver was scheduled late.
		c.now.Store(time.Now().UnixMilli())
	}
}

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
	first := !c.closed
	c.closed = true
	stop, done := c.stop, c.done
	c.mu.Unlock()
	if stop == nil {
		return
	}
	if first {
		close(stop)
	}
	<-done
	c.now.Store(0)
}
