package cache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/guard/mirror"
	"github.com/strata-cache/strata/core/store"
)

// The engine's side of invalidation. What counts is the mirror: readers compare the stamps of entries with
// it, wherever an entry comes from. What is removed physically is removed to save work and memory.
//
// Over a store in this process the mirror counts its own positions, and hears of writes only once something
// depends on entries: see engine.tracking. Over a shared store with a log every write of a key is recorded
// there, since other processes may hold copies.

// cohere makes the mirror, and what feeds it.
func (e *engine) cohere() {
	e.log, _ = store.As[store.Log](e.store)
	e.coherent = e.local || e.log != nil
	e.mirror = mirror.New(mirror.Options{
		Scope: scope(e.opts.Prefix), Degraded: e.opts.DegradedL1TTL, Now: e.clock.exact, Applied: e.applied,
	})
	if e.log != nil {
		e.follow()
	}
}

// follower keeps the mirror in step with the log; mirror.Follower is one.
type follower interface {
	WaitSynced(ctx context.Context) error
	CatchUp(ctx context.Context) error
	Resync(ctx context.Context) error
	Close() error
}

// earlyWait is how long after its start a cache waits for the log at all; each call no longer than it waits
// for the store.
const earlyWait = time.Second

// awaitSync lets the first look-ups of a process wait until it has read the log: before that, nothing of the
// shared store is known to be valid.
func (e *engine) awaitSync(ctx context.Context) {
	if e.follower == nil || e.settled.Load() {
		return
	}
	left := max(e.opts.StoreTimeout, earlyWait) - time.Since(e.began)
	if left <= 0 {
		e.settled.Store(true) // what is found does not count until the log was read
		return
	}
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	if e.follower.WaitSynced(ctx) == nil {
		e.settled.Store(true)
	}
}

// judge tells whether an entry under key counts.
func (e *engine) judge(key string, en *store.Entry, front bool) mirror.Verdict {
	if !e.coherent || en.CheckedAt(e.mirror.Current()) {
		return mirror.Valid
	}
	return e.mirror.Judge(key, en, front)
}

// usable is a store.Validator: it passes over what was invalidated.
func (e *engine) usable(key string, en *store.Entry) bool {
	front := e.local || e.mirror.Blind() && e.peek != nil && e.peek([]byte(key)) == en
	return e.judge(key, en, front) != mirror.Invalid
}

// applied is called for what the mirror has applied, of this process and others.
func (e *engine) applied(items []store.Invalidation) {
	for i := range items {
		switch it := &items[i]; it.Kind {
		case store.InvalidateKey, store.HoldKey:
			e.negatives.Delete(it.Name)
			if e.log == nil {
				continue // the writer itself has seen to the rest
			}
			e.flights.Forget(it.Name)
			e.dropCopy(it)
		case store.DropKey:
			e.dropCopy(it)
		case store.InvalidatePrefix:
			if e.log != nil {
				e.flights.ForgetFunc(func(key string) bool { return strings.HasPrefix(key, it.Name) })
			}
		default: // tags: entries are judged when they are read, and loads when they end
		}
	}
}

// dropCopy removes this process's copy of a key, unless it is what the record speaks for.
func (e *engine) dropCopy(it *store.Invalidation) {
	if e.front == nil {
		return
	}
	if !it.Token.IsZero() {
		if en := e.peek([]byte(it.Name)); en != nil && en.Token() == it.Token {
			return
		}
	}
	e.front.DropFront(it.Name)
}

// append carries a change out on the shared store and records it. When it returns, this process has applied
// what was to be invalidated, even where the store could not take it.
func (e *engine) append(ctx context.Context, c store.Change) (store.Appended, error) {
	op, done := e.op(ctx, len(c.Delete)+len(c.Set))
	defer done()
	a, err := e.appendOnce(op, c)
	if errors.Is(err, store.ErrLogLost) {
		if err = e.follower.Resync(op); err == nil {
			a, err = e.appendOnce(op, c)
		}
	}
	if err != nil {
		e.mirror.Doubt(c.Items...)
		e.doubtCopies(&c)
		return a, err
	}
	if len(a.Records) == 0 {
		return a, nil // an Add that found something
	}
	e.mirror.Told(c.Items...)
	applyErr := error(nil)
	if !a.Gap {
		applyErr = e.mirror.Apply(a.Records...)
	}
	if a.Gap || applyErr != nil {
		if e.follower.CatchUp(op) != nil {
			e.mirror.Doubt(c.Items...) // it is in the log; this process must not wait for it to come round
		}
	}
	return a, nil
}

func (e *engine) appendOnce(ctx context.Context, c store.Change) (store.Appended, error) {
	if !e.reachable() {
		return store.Appended{}, ErrUnreachable
	}
	e.awaitSync(ctx)
	a, err := e.log.Append(ctx, c, e.mirror.Applied())
	if err == nil {
		e.answered()
	}
	return a, err
}

// doubtCopies removes this process's copies of what a failed change was about.
func (e *engine) doubtCopies(c *store.Change) {
	if e.front == nil {
		return
	}
	e.front.DropFront(c.Delete...)
	for _, it := range c.Set {
		e.front.DropFront(it.Key)
	}
}

// changed tells what depends on the keys that they have changed, where there is no log. Writers call it
// after they have written: what is built in between has seen the new value, and is only held to be old.
func (e *engine) changed(keys ...string) {
	e.negatives.Delete(keys...)
	if e.coherent && e.tracking.Load() {
		e.mirror.Local(itemsOf(store.ChangeKey, keys)...)
	}
}

func itemsOf(kind store.InvalidationKind, names []string) []store.Invalidation {
	items := make([]store.Invalidation, len(names))
	for i, n := range names {
		items[i] = store.Invalidation{Kind: kind, Name: n}
	}
	return items
}

// InvalidateTags ends every object, fragment and page that bears one of the tags, and what was built from
// it, on every node: none is served any more by a process that has learned of it, not even where a loader
// fails. This process has when InvalidateTags returns. Loads that run meanwhile are not stored.
//
// Tags are those of the cache's prefix, in all its versions. An error says that the shared store could not
// be told: then only this process has forgotten them.
//
// Inside OnCommit it takes effect when that ends. A cache over a store outside this process that keeps no log
// of invalidations cannot do it: errors.Is finds ErrUnsupported.
func (c *Cache) InvalidateTags(ctx context.Context, tags ...string) error {
	return c.invalidateTags(ctx, store.InvalidateTag, tags)
}

// ExpireTags makes every value that bears one of the tags stale, on every node: it is renewed when it is
// next asked for, and may still be served where a value past its TTL may.
func (c *Cache) ExpireTags(ctx context.Context, tags ...string) error {
	return c.invalidateTags(ctx, store.ExpireTag, tags)
}

func (c *Cache) invalidateTags(ctx context.Context, kind store.InvalidationKind, tags []string) error {
	if len(tags) == 0 {
		return nil
	}
	for _, t := range tags {
		if len(t) > MaxTagLen {
			return fmt.Errorf("cache: invalidate tags: a tag of %d bytes, at most %d are allowed", len(t), MaxTagLen)
		}
	}
	if !c.coherent {
		return c.unsupported("invalidate tags", "store.Log, nor in this process")
	}
	start := time.Now()
	err := c.invalidateTagsNow(ctx, kind, tags)
	c.report(ctx, event.Call{Op: event.OpInvalidate, Outcome: outcomeOf(err), Took: time.Since(start)})
	return err
}

func (e *engine) invalidateTagsNow(ctx context.Context, kind store.InvalidationKind, tags []string) error {
	if t := transactionOf(ctx); t != nil && kind == store.InvalidateTag {
		return t.hold(ctx, e, nil, tags)
	}
	items := make([]store.Invalidation, len(tags))
	for i, t := range tags {
		items[i] = store.Invalidation{Kind: kind, Name: scope(e.opts.Prefix) + t}
	}
	return e.invalidate(ctx, event.OpInvalidate, store.Change{Items: items})
}

// invalidate records a change, in the log or in the mirror alone.
func (e *engine) invalidate(ctx context.Context, op event.Op, c store.Change) error {
	if e.log == nil {
		if e.coherent {
			e.mirror.Local(c.Items...)
		}
		return nil
	}
	if _, err := e.append(ctx, c); err != nil {
		e.storeFailed(ctx, op, err)
		return fmt.Errorf("cache: %s: %w", op, err)
	}
	return nil
}
