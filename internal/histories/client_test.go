//go:build unix

package histories_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/internal/histories"
)

func oneIn(n int) bool { return rand.IntN(n) == 0 }

func upTo(d time.Duration) time.Duration { return rand.N(d) }

// client is one goroutine of a node. What it does follows from the script's seed; how long it takes does not.
type client struct {
	*node
	number int
	rng    *rand.Rand

	reads    []histories.Read
	barriers []histories.Barrier
	failed   map[string][]error
}

func newClient(n *node, number int) *client {
	return &client{
		node: n, number: number, failed: make(map[string][]error),
		rng: rand.New(rand.NewPCG(n.script.Seed, uint64(n.number*100+number))),
	}
}

// step does one thing.
func (c *client) step() {
	ctx := context.Background()
	k := c.rng.IntN(keys)
	if c.rng.IntN(3) == 0 {
		_ = pause(ctx, time.Duration(c.rng.IntN(300))*time.Microsecond)
	}
	p := c.rng.IntN(100)
	if c.db.calm.Load() {
		p %= 69
	}
	switch {
	case p < 46:
		c.get(k)
	case p < 56:
		c.getMany(1 + c.rng.IntN(keys))
	case p < 66:
		c.pair(k)
	case p < 69:
		c.peek(k)
	case p < 75:
		c.update(ctx, k)
	case p < 80:
		c.write(ctx, k)
		c.invalidate("Delete", []int{k}, func() error { _, err := c.objects.Delete(ctx, k); return err })
	case p < 84:
		c.write(ctx, k)
		c.invalidate("InvalidateTags", []int{k}, func() error { return c.InvalidateTags(ctx, tagsOf(k)[0]) })
	case p < 86:
		c.write(ctx, k)
		c.invalidate("InvalidateTags", []int{k, (k + 2) % keys}, func() error { return c.InvalidateTags(ctx, tagsOf(k)[1]) })
	case p < 90:
		c.put(ctx, k)
	case p < 91:
		c.write(ctx, k)
		c.invalidate("Clear", everyKey(), func() error { return c.Clear(ctx) })
	case p < 92:
		c.write(ctx, k)
		c.invalidate("Kind.Clear", everyKey(), func() error { return c.objects.Clear(ctx) })
	case p < 95:
		c.other("ExpireTags", func() error { return c.ExpireTags(ctx, tagsOf(k)[c.rng.IntN(2)]) })
	case p < 98:
		c.other("Refresh", func() error { return c.objects.Refresh(ctx, k) })
	default:
		c.other("write", func() error { c.write(ctx, k); return nil }) // whoever reads it is lucky
	}
}

func everyKey() []int {
	ids := make([]int, keys)
	for i := range ids {
		ids[i] = i
	}
	return ids
}

// patience returns the context of a reader, who may leave early.
func (c *client) patience() (context.Context, context.CancelFunc) {
	if c.script.Hasty && c.rng.IntN(6) == 0 {
		return context.WithTimeout(context.Background(), time.Duration(c.rng.IntN(3000))*time.Microsecond)
	}
	return context.Background(), func() {}
}

func (c *client) get(k int) (fresh bool) {
	ctx, cancel := c.patience()
	defer cancel()
	begin := c.now()
	v, err := c.objects.Get(ctx, k)
	return c.saw("Get", begin, k, v, err)
}

func (c *client) peek(k int) {
	begin := c.now()
	v, err := c.objects.Peek(context.Background(), k)
	if errors.Is(err, cache.ErrMiss) {
		return
	}
	c.saw("Peek", begin, k, v, err)
}

func (c *client) getMany(n int) {
	ctx, cancel := c.patience()
	defer cancel()
	ids := c.rng.Perm(keys)[:n]
	begin := c.now()
	got, err := c.objects.GetMany(ctx, ids)
	for _, k := range ids {
		v, ok := got[k]
		switch {
		case ok:
			c.saw("GetMany", begin, k, v, nil)
		case err == nil:
			c.saw("GetMany", begin, k, 0, cache.ErrNotFound)
		}
	}
	if err != nil {
		c.failure("GetMany", err)
	}
}

func (c *client) pair(id int) (fresh bool) {
	ctx, cancel := c.patience()
	defer cancel()
	begin := c.now()
	p, err := c.pairs.Get(ctx, id)
	fresh = err == nil
	for i, k := range p.Keys {
		if err == nil {
			missing := error(nil)
			if p.Missing[i] {
				missing = cache.ErrNotFound
			}
			fresh = c.saw("pair", begin, k, p.Version[i], missing) && fresh
		}
	}
	if err != nil {
		c.failure("pair", err)
	}
	return fresh
}

// saw notes what was read, and reports whether nothing newer is known to be there.
func (c *client) saw(via string, begin histories.Stamp, k int, v uint64, err error) (fresh bool) {
	r := histories.Read{
		Process: c.node.number, Client: c.number, Begin: begin, End: c.now(), Via: via,
		Key: k, Version: v, Missing: errors.Is(err, cache.ErrNotFound), Newest: c.db.versions[k].Load(),
	}
	if err != nil && !r.Missing {
		c.failure(via, err)
		return false
	}
	c.reads = append(c.reads, r)
	floor := c.db.floors[k].Load()
	if !r.Missing {
		return v >= floor || c.db.wasPut(k, v)
	}
	for v := floor; v <= r.Newest; v++ {
		if c.script.absent(v) {
			return true
		}
	}
	return false
}

func (c *client) now() histories.Stamp { return c.db.stamp(c.script.Origin) }

// write changes the database, mostly: what changes nothing is invalidated too.
func (c *client) write(ctx context.Context, k int) {
	dawdle(ctx)
	if c.rng.IntN(8) > 0 {
		c.db.versions[k].Add(1)
	}
	dawdle(ctx)
}

// invalidate notes what fn invalidates: whatever the database held before.
func (c *client) invalidate(via string, ids []int, fn func() error) {
	at := len(c.barriers)
	for _, k := range ids {
		c.barriers = append(c.barriers, c.barrier(via, k, c.db.versions[k].Load()))
	}
	c.done(at, via, fn())
}

func (c *client) update(ctx context.Context, k int) {
	at := len(c.barriers)
	err := c.objects.Update(ctx, k, func(ctx context.Context) error {
		c.write(ctx, k)
		c.barriers = append(c.barriers, c.barrier("Update", k, c.db.versions[k].Load()))
		return nil
	})
	c.done(at, "Update", err)
}

// getStuck begins an Update, changes the database and goes no further, as one that dies. What others have read
// before the change must not stay: it counts as invalidated from the change on. All others only read from now
// on, so that nobody else ends it.
func (c *client) getStuck(k int) {
	c.db.calm.Store(true)
	changed := make(chan struct{})
	c.stuck.Go(func() {
		err := c.objects.Update(context.Background(), k, func(ctx context.Context) error {
			defer func() { <-c.unstick }()
			defer close(changed)
			_ = pause(ctx, 10*time.Millisecond)
			b := c.barrier("a write", k, c.db.versions[k].Add(1))
			b.Process, b.End = nobody, b.Begin
			c.db.raise(k, b.Version)
			c.mu.Lock()
			defer c.mu.Unlock()
			c.account.Barriers = append(c.account.Barriers, b)
			return nil
		})
		c.mu.Lock()
		defer c.mu.Unlock()
		if err != nil {
			c.account.Failed["Update"]++
			c.account.Errs["Update"] = err.Error()
		}
	})
	<-changed
}

// put puts a new version into the cache. Where a writer is stuck it would rightly stay there, older than what
// that one writes.
func (c *client) put(ctx context.Context, k int) {
	dawdle(ctx)
	v := c.db.versions[k].Add(1)
	if v > maxPut || c.script.absent(v) || c.script.Stuck {
		c.invalidate("Delete", []int{k}, func() error { _, err := c.objects.Delete(ctx, k); return err })
		return
	}
	dawdle(ctx)
	c.db.willPut(k, v)
	at := len(c.barriers)
	b := c.barrier("Set", k, v)
	b.Put = true
	c.barriers = append(c.barriers, b)
	c.done(at, "Set", c.objects.Set(ctx, k, v))
}

func (c *client) barrier(via string, k int, version uint64) histories.Barrier {
	return histories.Barrier{Process: c.node.number, Client: c.number, Begin: c.now(), Via: via, Key: k, Version: version}
}

// done notes the end of the barriers from at on.
func (c *client) done(at int, via string, err error) {
	end := c.now()
	for i := range c.barriers[at:] {
		b := &c.barriers[at+i]
		b.End, b.Lost = end, err != nil
		if err == nil {
			c.db.raise(b.Key, b.Version)
		}
	}
	if err != nil {
		c.failure(via, err)
	}
}

func (c *client) other(via string, fn func() error) {
	if err := fn(); err != nil {
		c.failure(via, err)
	}
}

// foreseen marks what a client that leaves early, or a loader that fails, brings about.
const foreseen = " (foreseen)"

func (c *client) failure(op string, err error) {
	if slices.ContainsFunc([]error{context.DeadlineExceeded, errLoad, cache.ErrLoadFailed}, func(e error) bool { return errors.Is(err, e) }) {
		op += foreseen
	}
	c.failed[op] = append(c.failed[op], err)
}
