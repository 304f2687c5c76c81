package filter

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/strata-cache/strata/core/event"
)

// maxChecks is how many keys wait for what the database says of them.
const maxChecks = 1024

// checker holds the refused keys that are being checked.
type checker struct {
	waiting atomic.Int64
	mu      sync.Mutex
	keys    map[string]struct{}
}

// take removes key and reports whether it was waiting.
func (c *checker) take(key string) bool {
	if c.waiting.Load() == 0 {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, is := c.keys[key]
	delete(c.keys, key)
	c.waiting.Store(int64(len(c.keys)))
	return is
}

// letThrough notes that key is to be checked, and reports whether it is let through for that. Keys of which
// nobody tells are forgotten when there are too many.
func (f *Filter) letThrough(key string) bool {
	c := &f.check
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.opts.Exists != nil && len(c.keys) >= maxChecks {
		return false // the database is slower than the questions
	}
	if c.keys == nil || len(c.keys) >= maxChecks {
		c.keys = map[string]struct{}{}
	}
	c.keys[key] = struct{}{}
	c.waiting.Store(int64(len(c.keys)))
	return f.opts.Exists == nil
}

// Observe tells the filter whether a key that it has let through exists: what the database said after a
// MayContain. Most calls cost a look into memory. It is what false positives, and without Exists false
// negatives too, are measured by.
func (f *Filter) Observe(key string, exists bool) {
	if f.opts.Exists == nil && f.check.take(key) {
		f.checked(f.ctx, key, exists)
		return
	}
	if exists {
		return
	}
	if t := f.trusted.Load(); t != nil && t.bits.has(key) {
		f.counts.passed.Add(1)
	}
}

// checked counts the check of a refused key. One that exists may have been added since: then the filter has it
// by now.
func (f *Filter) checked(ctx context.Context, key string, exists bool) {
	t := f.trusted.Load()
	wrong := exists && t != nil && !t.bits.has(key) && (f.opts.Shared == nil || !f.ask(ctx, t, key))
	f.counts.checked.Add(1)
	if !wrong {
		f.emit(event.FilterChecked, f.current(), nil)
		return
	}
	f.counts.wrong.Add(1)
	f.emit(event.FilterChecked, t.generation, errWrong)
	f.opts.Logger.Error("filter: a key that exists was refused; the filter is open until it is rebuilt: does Source "+
		"yield every key, and Add come before the commit?", "filter", f.opts.Name)
	t.bad.Store(true) // the next look drops it for everybody
	f.doubt(t, errWrong)
}

// checkLoop asks Exists about refused keys, one at a time.
func (f *Filter) checkLoop() {
	tick := time.NewTicker(max(f.opts.Watch/10, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-f.ctx.Done():
			return
		case <-tick.C:
		}
		for _, key := range f.check.drain() {
			exists, err := f.opts.Exists(f.ctx, key)
			if f.ctx.Err() != nil {
				return
			}
			if err == nil {
				f.checked(f.ctx, key, exists)
			}
		}
	}
}

// drain takes all keys.
func (c *checker) drain() (keys []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key := range c.keys {
		keys = append(keys, key)
	}
	clear(c.keys)
	c.waiting.Store(0)
	return keys
}
