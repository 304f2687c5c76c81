package cache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
)

// holdFor is how long a hold outlives a writer that has died; a live one renews it at a third. holdMargin
// is how long before its end a writer that could not renew it must be done: so much later others may learn
// that it has begun.
const (
	holdFor    = 10 * time.Second
	holdMargin = time.Second
)

// errHoldLost is the cause by which a write is cancelled whose hold could not be renewed.
var errHoldLost = errors.New("cache: the hold on what is being written could not be renewed")

// hold keeps what is loaded for some keys and tags from being stored, in every process, while the
// application writes its own data. Its end invalidates them.
type hold struct {
	e     *engine
	keys  []string
	tags  []string // as the log names them
	token store.Token

	ctx    context.Context // of the write: ends when the hold cannot be kept
	cancel context.CancelCauseFunc
	done   chan struct{}
	wg     sync.WaitGroup
}

// place places a hold. Where the shared store cannot take it, the write goes on without: its end will say
// that others could not be told.
func (e *engine) place(ctx context.Context, keys, tags []string) (*hold, error) {
	h := &hold{e: e, keys: keys, tags: tags, token: store.NewToken(), done: make(chan struct{})}
	if err := e.hold(ctx, keys...); err != nil {
		return nil, fmt.Errorf("cache: update: %w", err)
	}
	h.ctx, h.cancel = context.WithCancelCause(ctx)
	sent := time.Now()
	err := h.record(ctx, store.HoldKey, store.HoldTag, h.keys)
	if err == nil && e.log != nil {
		h.wg.Go(func() { h.renew(sent) })
	}
	return h, nil
}

// record writes one record about all that is held.
func (h *hold) record(ctx context.Context, key, tag store.InvalidationKind, remove []string) error {
	var items []store.Invalidation
	for _, k := range h.keys {
		items = append(items, store.Invalidation{Kind: key, Name: k, Token: h.token, For: holdFor})
	}
	for _, t := range h.tags {
		items = append(items, store.Invalidation{Kind: tag, Name: t, Token: h.token, For: holdFor})
	}
	if h.e.log == nil {
		h.e.mirror.Local(items...)
		if !h.e.coherent && len(remove) > 0 {
			return h.removeNow(ctx)
		}
		return nil
	}
	_, err := h.e.append(ctx, store.Change{Delete: remove, Items: items})
	if err != nil {
		h.e.storeFailed(ctx, event.OpUpdate, err)
	}
	return err
}

// renew renews the hold at a third of its time, and cancels the write where that fails for too long.
func (h *hold) renew(sent time.Time) {
	t := time.NewTimer(holdFor / 3)
	defer t.Stop()
	for {
		select {
		case <-h.done:
			return
		case now := <-t.C:
			if h.record(context.WithoutCancel(h.ctx), store.HoldKey, store.HoldTag, nil) == nil {
				sent = now
			}
			left := time.Until(sent.Add(holdFor - holdMargin))
			if left <= 0 {
				h.cancel(errHoldLost)
				return
			}
			t.Reset(min(holdFor/3, left))
		}
	}
}

// end invalidates what was held. It returns an error where the shared store could not be told.
func (h *hold) end(ctx context.Context) error {
	close(h.done)
	h.wg.Wait()
	h.cancel(context.Canceled)
	e := h.e
	defer e.release(h.keys...)
	err := h.over(e.detach(ctx))
	if err != nil {
		e.storeFailed(ctx, event.OpUpdate, err)
		return fmt.Errorf("cache: update: %w: %w", ErrNotInvalidated, err)
	}
	return nil
}

func (h *hold) over(ctx context.Context) error {
	e := h.e
	var items []store.Invalidation
	for _, k := range h.keys {
		items = append(items, store.Invalidation{Kind: store.InvalidateKey, Name: k},
			store.Invalidation{Kind: store.ReleaseKey, Name: k, Token: h.token})
	}
	for _, t := range h.tags {
		items = append(items, store.Invalidation{Kind: store.InvalidateTag, Name: t},
			store.Invalidation{Kind: store.ReleaseTag, Name: t, Token: h.token})
	}
	if e.log != nil {
		_, err := e.append(ctx, store.Change{Delete: h.keys, Items: items})
		return err
	}
	e.mirror.Local(items...)
	if len(h.keys) == 0 {
		return nil
	}
	return h.removeNow(ctx)
}

// removeNow removes the keys from a store without a log.
func (h *hold) removeNow(ctx context.Context) error {
	if !h.e.reachable() {
		return ErrUnreachable
	}
	op, done := h.e.op(ctx, len(h.keys))
	defer done()
	_, err := h.e.store.Delete(op, h.keys...)
	return err
}

// Update runs write, which changes what the application keeps under key in its own database, and ends the
// cached value, on every node. From before write begins until it has ended, what is loaded for the key is
// answered and not stored; so nothing that was read before the change is cached after it, even if this
// process dies on the way. write runs on the caller's goroutine; its context ends where the shared store
// cannot be reached for so long that others would begin to store again.
//
// The value is ended whatever write returns, since it may have changed something; its error comes back as
// it is. Where write has succeeded and the shared store could not be told of it, the error Is
// ErrNotInvalidated: other processes may serve what they have until its TTL.
//
// Inside OnCommit the value stays held until that ends.
func (c *Cache) Update(ctx context.Context, key string, write func(context.Context) error) error {
	final, err := c.verbs.verbKey(ctx, key)
	if err != nil {
		return err
	}
	return c.verbs.update(ctx, []string{final}, write)
}

// Update is Cache.Update for the value of an id.
func (k *Kind[K, V]) Update(ctx context.Context, id K, write func(context.Context) error) error {
	key, err := k.keyString(ctx, id)
	if err != nil {
		return err
	}
	return k.space.update(ctx, []string{key}, write)
}

func (s *Space) update(ctx context.Context, keys []string, write func(context.Context) error) (err error) {
	start := time.Now()
	defer func() {
		s.Report(ctx, event.Call{Op: event.OpUpdate, Outcome: outcomeOf(err), Took: time.Since(start)})
	}()
	if t := transactionOf(ctx); t != nil {
		if err := t.hold(ctx, s.engine, keys, nil); err != nil {
			return err
		}
		return write(ctx)
	}
	h, err := s.place(ctx, keys, nil)
	if err != nil {
		return err
	}
	returned := false
	defer func() {
		if ended := h.end(ctx); returned && err == nil {
			err = ended
		}
	}()
	err = write(h.ctx)
	returned = true
	return err
}

// transaction is what an OnCommit has to end.
type transaction struct {
	mu     sync.Mutex
	holds  []*hold
	cancel context.CancelCauseFunc
	over   bool
}

func transactionOf(ctx context.Context) *transaction {
	if t := travelOf(ctx); t != nil {
		return t.changes
	}
	return nil
}

// OnCommit runs transaction, which makes and commits a transaction of the application's own database, with a
// context in which Update and InvalidateTags of every cache wait for its end: what they name is held at
// once, so that nothing which is loaded meanwhile is stored, and ended when transaction has returned. That it
// has committed must be certain by then.
//
// They are ended whatever it returns: an error of Commit does not say that nothing was committed. Its error
// comes back as it is; where it has none, errors.Is finds ErrNotInvalidated if a shared store could not be
// told. A process that dies in between leaves holds that end by themselves.
//
// Set, Delete and Clear do not wait. An OnCommit inside another belongs to the outer one.
func OnCommit(ctx context.Context, transact func(context.Context) error) (err error) {
	if transactionOf(ctx) != nil {
		return transact(ctx)
	}
	t := &transaction{}
	outer := ctx
	ctx = with(ctx, func(tr *travel) { tr.changes = t })
	ctx, t.cancel = context.WithCancelCause(ctx)
	returned := false
	defer func() {
		if ended := t.end(outer); returned && err == nil {
			err = ended
		}
	}()
	err = transact(ctx)
	returned = true
	return err
}

func (t *transaction) hold(ctx context.Context, e *engine, keys, tags []string) error {
	named := make([]string, len(tags))
	for i, tag := range tags {
		named[i] = scope(e.opts.Prefix) + tag
	}
	h, err := e.place(ctx, keys, named)
	if err != nil {
		return err
	}
	t.mu.Lock()
	over := t.over
	if !over {
		t.holds = append(t.holds, h)
		context.AfterFunc(h.ctx, func() {
			if errors.Is(context.Cause(h.ctx), errHoldLost) {
				t.cancel(errHoldLost)
			}
		})
	}
	t.mu.Unlock()
	if over {
		return h.end(ctx) // a goroutine that has outlived its transaction
	}
	return nil
}

func (t *transaction) end(ctx context.Context) error {
	t.mu.Lock()
	holds := t.holds
	t.over = true
	t.mu.Unlock()
	var errs []error
	for _, h := range holds {
		errs = append(errs, h.end(ctx))
	}
	t.cancel(context.Canceled)
	return errors.Join(errs...)
}
