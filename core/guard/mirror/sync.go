package mirror

import (
	"context"
	"errors"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
)

// maxSteps bounds a sync of a log that changes all the time.
const maxSteps = 16

// errSilent says why the mirror is blind where no answer has come at all.
var errSilent = errors.New("mirror: the log does not answer")

// errUnsettled says that a sync has given up for now.
var errUnsettled = errors.New("mirror: the log does not come to rest")

// CatchUp reads what is behind in the log now, without waiting for more: when it returns nil, what was in the
// log when it was called is applied. It is Resync.
func (f *Follower) CatchUp(ctx context.Context) error { return f.Resync(ctx) }

// Resync compares the mirror with the log, reads what is behind, and puts right what the log has lost. It is
// for who has learned that something is wrong, such as store.ErrLogLost from an Append. Concurrent calls
// share the work. An error is the log's, ctx's, or ErrClosed; it is tried again in the background.
func (f *Follower) Resync(ctx context.Context) error {
	ticket := f.asked.Add(1)
	select {
	case <-f.turn:
	case <-ctx.Done():
		return ctx.Err()
	case <-f.ctx.Done():
		return ErrClosed
	}
	defer func() { f.turn <- struct{}{} }()
	if f.ctx.Err() != nil {
		return ErrClosed
	}
	if f.served >= ticket {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(f.ctx, cancel)()
	covers := f.asked.Load()
	if err := f.sync(ctx); err != nil {
		return err
	}
	f.served = covers
	return nil
}

// sync and all that it calls have the turn.
func (f *Follower) sync(ctx context.Context) error {
	for range maxSteps {
		if done, err := f.step(ctx); done || err != nil {
			return err
		}
	}
	return errUnsettled
}

// step looks at the ends of the log and does one thing about them. It is done if there was nothing left.
func (f *Follower) step(ctx context.Context) (done bool, err error) {
	was, newest := f.m.tip()
	at, clock := time.Now(), f.m.opts.Now().UnixMilli()
	first, last, err := f.ends(ctx)
	if err != nil {
		return false, err
	}
	switch {
	case last.Position.IsZero():
		return false, f.flush(ctx, was, last)
	case !f.started:
		f.m.start(first)
		f.started = true
		return false, nil
	case before(last.Position, was), last.Position == was && newest.Position == was && !same(newest, last):
		return false, f.diverged(ctx, first, last)
	}
	// The record that was applied last is read again where it can be: after a loss another one may have got
	// its position.
	from, compare := was, newest.Position == was && !before(was, first.Position)
	if compare {
		from = justBefore(was)
	}
	for before(f.m.Applied(), last.Position) {
		records, err := f.read(ctx, from, 0)
		if err != nil || len(records) == 0 {
			return false, err
		}
		if compare && !same(newest, records[0]) || f.m.Apply(records...) != nil {
			return false, f.diverged(ctx, first, last)
		}
		from, compare = records[len(records)-1].Position, false
	}
	f.confirm(at, clock)
	return true, f.settle(ctx)
}

// settle records what could not be recorded when it happened: others learn of it late, and here loads are
// no older than it any more.
func (f *Follower) settle(ctx context.Context) error {
	items := f.m.doubts()
	if len(items) == 0 {
		return nil
	}
	restated := make([]store.Invalidation, len(items))
	for i, it := range items {
		restated[i] = ended(it)
	}
	ctx, cancel := context.WithTimeout(ctx, f.patience())
	defer cancel()
	appended, err := f.log.Append(ctx, store.Change{Items: restated}, f.m.Applied())
	if err != nil {
		return err
	}
	f.m.settled(items)
	_ = f.m.Apply(appended.Records...) // what does not follow is read
	return nil
}

// diverged finds out why the log does not go on from where the mirror is, and does something about it.
func (f *Follower) diverged(ctx context.Context, first, last store.Record) error {
	was, known := f.m.history()
	if before(was, first.Prev) { // it has gone on without us
		if f.m.skip(was, first.Prev) {
			if f.opts.Trimmed != nil {
				f.opts.Trimmed()
			}
			f.tell(event.LogTrimmed)
		}
		return nil
	}
	var from store.Position
	if len(known) > 0 {
		from = justBefore(known[0].Position)
	}
	there, err := f.readTo(ctx, from, last.Position)
	if err != nil {
		return err
	}
	if i, j, ok := fork(known, there); ok {
		ours, theirs := known[i:], there[j:]
		if len(ours) == 0 {
			f.m.jump(was, i, theirs)
			return nil
		}
		p := restate(ours, theirs, was)
		switch {
		case len(p.items) > maxRestated:
		case len(p.items) > 0:
			return f.restore(ctx, p, later(was, last.Position), last.Position)
		case f.m.jump(was, i, theirs):
			f.tell(event.LogRebased)
			return nil
		}
	}
	if i, ok := fresh(there, was); ok {
		if f.m.jump(was, 0, there[i:]) {
			f.tell(event.LogFlushed)
		}
		return nil
	}
	return f.flush(ctx, was, last)
}

// flush records that everything older than the end of the log, and than was, is invalid. The next step
// finds it there.
func (f *Follower) flush(ctx context.Context, was store.Position, last store.Record) error {
	return f.append(ctx, store.Change{
		Items:  []store.Invalidation{{Kind: store.InvalidatePrefix}},
		Beyond: later(was, last.Position),
	}, last.Position)
}

// restore records the items of a plan behind beyond.
func (f *Follower) restore(ctx context.Context, p plan, beyond, last store.Position) error {
	for len(p.items) > 0 {
		n := min(len(p.items), restatedPerRecord)
		c := store.Change{Items: p.items[:n], Beyond: beyond}
		for _, it := range c.Items {
			if p.delete[it.Name] && (it.Kind == store.InvalidateKey || it.Kind == store.HoldKey) {
				c.Delete = append(c.Delete, it.Name)
			}
		}
		if err := f.append(ctx, c, last); err != nil {
			return err
		}
		p.items = p.items[n:]
	}
	return nil
}

func (f *Follower) append(ctx context.Context, c store.Change, after store.Position) error {
	ctx, cancel := context.WithTimeout(ctx, f.patience())
	defer cancel()
	_, err := f.log.Append(ctx, c, after)
	if errors.Is(err, store.ErrLogLost) {
		return nil // again: the next step sees it
	}
	return err
}

// readTo returns the records behind from up to last, and perhaps more.
func (f *Follower) readTo(ctx context.Context, from, last store.Position) ([]store.Record, error) {
	var all []store.Record
	for before(from, last) {
		records, err := f.read(ctx, from, 0)
		if err != nil {
			return nil, err
		}
		if len(records) == 0 {
			break
		}
		all = append(all, records...)
		from = records[len(records)-1].Position
	}
	return all, nil
}

func (f *Follower) read(ctx context.Context, after store.Position, wait time.Duration) ([]store.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, wait+f.patience())
	defer cancel()
	return f.log.ReadLog(ctx, after, wait)
}

func (f *Follower) ends(ctx context.Context) (first, last store.Record, err error) {
	ctx, cancel := context.WithTimeout(ctx, f.patience())
	defer cancel()
	return f.log.LogEnds(ctx)
}

// patience is how long the log is given to answer.
func (f *Follower) patience() time.Duration { return max(f.opts.Heartbeat, minPatience) }
