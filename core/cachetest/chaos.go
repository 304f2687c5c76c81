package cachetest

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/strata-cache/strata/core/store"
)

// Chaos is a store that does what another one does, and fails when it is told to. It has the capabilities of
// the other one, and whatever is injected can be changed while it is used. Make it with NewChaos. It is safe
// for concurrent use. Close and Size never fail.
//
// Look-ups of a store in this process (store.Borrower) have neither a context nor an error: what would fail or
// wait there is a miss. What a tiered store has in its first tier is not touched; put the Chaos under it.
type Chaos struct {
	inner  store.Store
	clock  *Clock
	remote bool

	mu     sync.Mutex
	faults []*armed
}

var _ store.Composite = (*Chaos)(nil)

// ChaosOptions configure a Chaos. The zero value will do.
type ChaosOptions struct {
	// Clock is what delays go by. Default: a new one, which nobody can move.
	Clock *Clock
	// Remote hides that the store lies in this process, so that a cache treats it as one on a server, with
	// a deadline for each operation and a breaker.
	Remote bool
}

// NewChaos returns a Chaos over inner, which it closes.
func NewChaos(inner store.Store, opts ChaosOptions) *Chaos {
	if opts.Clock == nil {
		opts.Clock = NewClock()
	}
	return &Chaos{inner: inner, clock: opts.Clock, remote: opts.Remote}
}

// Injected is a fault in use.
type Injected struct {
	c *Chaos
	f *armed
}

// Inject has operations from now on meet f, behind those faults that there are.
func (c *Chaos) Inject(f Fault) *Injected {
	a := &armed{Fault: f, left: f.Times}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = append(c.faults, a)
	return &Injected{c, a}
}

// Met returns how many operations have met the fault.
func (i *Injected) Met() int {
	i.c.mu.Lock()
	defer i.c.mu.Unlock()
	return i.f.met
}

// Remove ends the fault for operations that begin from now on.
func (i *Injected) Remove() {
	i.c.mu.Lock()
	defer i.c.mu.Unlock()
	i.c.faults = slices.DeleteFunc(i.c.faults, func(f *armed) bool { return f == i.f })
}

// Heal removes all faults.
func (c *Chaos) Heal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = nil
}

// met returns the faults that an operation meets, and counts them.
func (c *Chaos) met(op Op, keys []string) verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	var v verdict
	c.faults = slices.DeleteFunc(c.faults, func(f *armed) bool {
		if !f.meets(op, keys) {
			return false
		}
		v = append(v, f.Fault)
		f.met++
		f.left--
		return f.Times > 0 && f.left == 0
	})
	return v
}

// begin lets an operation meet its faults.
func (c *Chaos) begin(ctx context.Context, op Op, keys ...string) (verdict, error) {
	v := c.met(op, keys)
	for i := range v {
		if err := v[i].pass(ctx, c.clock); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// Get is the inner store's, unless it meets a fault.
func (c *Chaos) Get(ctx context.Context, key string) (*store.Entry, error) {
	v, err := c.begin(ctx, OpGet, key)
	if err != nil {
		return nil, err
	}
	e, err := c.inner.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	return v.entry(key, e)
}

// Set is the inner store's, unless it meets a fault.
func (c *Chaos) Set(ctx context.Context, key string, e *store.Entry) error {
	v, err := c.begin(ctx, OpSet, key)
	if err != nil || v.drop(key) {
		return err
	}
	return c.inner.Set(ctx, key, e)
}

// Delete is the inner store's, unless it meets a fault.
func (c *Chaos) Delete(ctx context.Context, keys ...string) (int, error) {
	v, err := c.begin(ctx, OpDelete, keys...)
	if err != nil {
		return 0, err
	}
	kept := slices.DeleteFunc(slices.Clone(keys), v.drop)
	n, err := c.inner.Delete(ctx, kept...)
	return n + len(keys) - len(kept), err
}

// Clear is the inner store's, unless it meets a fault. Its key is the prefix.
func (c *Chaos) Clear(ctx context.Context, prefix string) error {
	v, err := c.begin(ctx, OpClear, prefix)
	if err != nil || v.drop(prefix) {
		return err
	}
	return c.inner.Clear(ctx, prefix)
}

// Close closes the inner store.
func (c *Chaos) Close() error { return c.inner.Close() }

// entries is what becomes of the entries under the keys, which were read.
func (v verdict) entries(keys []string, entries []*store.Entry, err error) ([]*store.Entry, error) {
	if len(v) == 0 || len(entries) != len(keys) {
		return entries, err
	}
	for i, k := range keys {
		e, bad := v.entry(k, entries[i])
		entries[i] = e
		if errors.Is(bad, store.ErrCorrupt) {
			err = errors.Join(err, bad)
		}
	}
	return entries, err
}
