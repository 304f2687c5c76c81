package page

import (
	"context"
	"net/http"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/guard/flight"
	"github.com/strata-cache/strata/core/store"
)

// together leads a run, or waits for one. done is false where the caller has to look again.
func (run *run) together(buf *keyBuf, start time.Time) (done bool, err error) {
	p, ctx := run.p, run.r.Context()
	f, lctx, leader, ok := p.space.Join(ctx, run.flightKey, p.flightTime())
	switch {
	case !ok:
		return true, run.alone()
	case leader:
		return run.takeOff(f, lctx, buf, start)
	case p.marks.has(run.flightKey, p.space.Now()):
		// What is being made is likely not for this request. It would be stored if it were for everybody:
		// a mark that somebody provokes again and again must not keep a page out of the cache.
		leave(ctx, f)
		return true, run.alone()
	}
	v, err := f.Wait(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		// The client has left, or its deadline has come.
		http.Error(run.w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
		return true, nil
	case err != nil:
		// The run has exceeded the hard timeout. To repeat it for each of those who have waited would not
		// help them; the next ones need not wait for it.
		run.mark()
		run.turnAway("timeout")
		return true, nil
	}
	switch o, _ := v.(*outcome); {
	case o == outcomeLost:
		run.lost++
	case o == outcomeLook:
	case o == nil, o.page == nil:
		return true, run.alone()
	case !p.space.Valid(o.key, o.entry):
		// It was made of what has been invalidated since: perhaps before this request came.
	case run.mayShare(o):
		run.report(true)
		run.shared(o.page)
		return true, nil
	}
	return false, nil
}

// leave gives up a place in a flight that somebody else leads, before its end.
func leave(ctx context.Context, f cache.Flight) {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	_, _ = f.Wait(ctx)
}

// takeOff leads, unless a run that has ended since this request looked has stored what was missing.
func (run *run) takeOff(f cache.Flight, lctx context.Context, buf *keyBuf, start time.Time) (done bool, err error) {
	p := run.p
	leads := false
	defer func() {
		if !leads {
			f.Finish(outcomeLook, nil) // whatever happens, nobody waits in vain
		}
	}()
	if run.q.authorized || p.space.Epoch(run.key) != run.found.epoch {
		led := run.flightKey
		hit, err := run.look(buf)
		if hit || err != nil || run.flightKey != led {
			f.Finish(outcomeLook, nil)
			if hit {
				run.noteHit()
				p.hit(run.w, run.r, &run.q, run.found.page, start)
			}
			return hit, nil
		}
	}
	// A page that nobody else is making is made here, if there is room.
	turn, state := p.space.Turn(lctx, run.key, nil, p.opts.HardTimeout, run.answers)
	if state == cache.TurnFound {
		f.Finish(outcomeLook, nil)
		return false, nil
	}
	leave, err := p.space.Enter(lctx)
	if err != nil {
		turn.End(context.WithoutCancel(run.r.Context()), false, 0)
		f.Finish(outcomeLost, nil)
		run.turnAway("overload")
		return true, nil
	}
	defer leave()
	run.flight, run.turn, run.turnKey, leads = f, turn, run.key, true
	return true, run.lead(lctx)
}

// answers reports whether an entry that another process has stored is of use to this request.
func (run *run) answers(e *store.Entry) bool {
	pg, x, err := open(e)
	return err == nil && (x != nil || run.p.serves(pg, &run.q, run.p.space.Now()))
}

// mayShare reports whether a page that another request's run has made answers this one: it is the same
// variant, and credentials do not forbid it.
func (run *run) mayShare(o *outcome) bool {
	if run.q.authorized && o.page.flags&pageShared == 0 {
		return false
	}
	if o.index == nil {
		return true
	}
	_, d := appendVariant(nil, o.index, run.r.Header)
	return d == o.digest
}

// failedTurn is for how long other processes do not wait for a page that could not be stored here.
const failedTurn = 200 * time.Millisecond

// flightTime is how long those who wait for a run wait at most: where it may have to wait for its turn among
// processes first, as long again.
func (p *Cache) flightTime() time.Duration {
	if p.space.Fleet() && p.opts.HardTimeout > 0 {
		return 2 * p.opts.HardTimeout
	}
	return p.opts.HardTimeout
}

// bounded gives a handler its own time, from when its turn has come.
func (p *Cache) bounded(lctx context.Context) (context.Context, context.CancelFunc) {
	if !p.space.Fleet() || p.opts.HardTimeout <= 0 {
		return lctx, func() {}
	}
	return context.WithTimeoutCause(lctx, p.opts.HardTimeout, flight.ErrTimeout)
}
