package page

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/guard/flight"
	"github.com/strata-cache/strata/core/store"
)

// Handler is what a page cache stands in front of. An error says that the response is not what the client
// will get: the framework is going to render the error. Nothing is stored then.
type Handler func(http.ResponseWriter, *http.Request) error

// Run answers r: from the cache, from the run of the handler that another request has begun for the same
// page, or by the handler. It returns the handler's error, and lets its panics through.
//
// The handler runs on the caller's goroutine, with a writer and a request that the adapter has to give to
// it. The writer supports http.ResponseController; the request's context does not end with the client's
// while other requests wait for the response.
func (p *Cache) Run(w http.ResponseWriter, r *http.Request, next Handler) error {
	q := p.examine(r)
	if q.bypass != bypassMethod && p.opts.Validate != nil {
		if err := p.opts.Validate(r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return nil
		}
	}
	switch q.bypass {
	case "":
		return p.cached(w, r, q, next)
	case bypassUpgrade:
		p.space.Bypassed(r.Context(), q.bypass)
		return next(w, r)
	case bypassMethod:
		return p.past(w, r, forwardMethod, q.bypass, next)
	default:
		return p.past(w, r, forwardBypass, q.bypass, next)
	}
}

// past runs the handler without the cache.
func (p *Cache) past(w http.ResponseWriter, r *http.Request, f forward, reason string, next Handler) error {
	p.space.Bypassed(r.Context(), reason)
	rec := &recorder{w: w, texts: p.status, forward: f}
	if f == forwardBypass {
		rec.params = "; detail=" + reason
	}
	return next(rec, r)
}

// handle runs the handler with a request made of r. What the handler's router notes on its own goes back
// to r, where the middlewares around the cache look for it.
func handle(next Handler, rec *recorder, made, r *http.Request) error {
	defer func() { r.Pattern = made.Pattern }()
	return next(rec, made)
}

// Limits of how often a request looks again after it has waited for another one's run.
const (
	lostFlights = 2 // runs that ended without an answer
	lookAgain   = 8 // runs that ended with an answer for others
)

func (p *Cache) cached(w http.ResponseWriter, r *http.Request, q request, next Handler) error {
	ctx := r.Context()
	buf, err := p.newKey(r, &q)
	defer buf.put()
	if err != nil {
		return p.past(w, r, forwardBypass, "key", next)
	}
	primary := string(buf.b)
	if c := controlOf(ctx).of(p.site, buf.b); c != nil {
		// The cache is around itself: the outer one stores, with the lifetime of the inner one.
		if p.route != 0 {
			c.routeTTL.Store(int64(p.route))
		}
		return next(w, r)
	}
	start := p.space.StartTimer()
	run := &run{p: p, w: w, r: r, q: q, next: next, primary: primary, began: time.Now()}
	for run.looks = 0; ; run.looks++ {
		if hit, err := run.look(buf); err != nil {
			return p.past(w, r, forwardBypass, "key", next)
		} else if hit {
			run.noteHit()
			p.hit(w, r, &q, run.found.page, start)
			return nil
		}
		if run.looks == 0 && p.space.Disabled(ctx) {
			return p.past(w, r, forwardBypass, "disabled", next)
		}
		if r.Method == http.MethodHead || q.ranged || run.lost >= lostFlights || run.looks >= lookAgain {
			return run.alone()
		}
		if run.looks == 0 && run.simplify() {
			return nil
		}
		if done, err := run.together(buf, start); done {
			return err
		}
	}
}

// noteHit tells a page that is being made around this one what it is made of.
func (run *run) noteHit() {
	if controlOf(run.r.Context()) != nil {
		run.p.space.Note(run.r.Context(), run.key, run.found.stored)
	}
}

// look looks the page up and reports whether it can be served.
func (run *run) look(buf *keyBuf) (hit bool, err error) {
	p := run.p
	buf.b = append(buf.b[:0], run.primary...)
	if run.found, err = p.lookup(run.r.Context(), buf, run.r, true); err != nil {
		return false, err
	}
	run.key = string(buf.b)
	run.flightKey = run.key
	if run.q.authorized {
		if run.flightKey, err = p.authorizedKey(run.key); err != nil {
			return false, err
		}
	}
	return p.serves(run.found.page, &run.q, p.space.Now()), nil
}

// run is one request on its way to a handler.
type run struct {
	p       *Cache
	w       http.ResponseWriter
	r       *http.Request
	q       request
	next    Handler
	primary string // the primary key, with the key rule applied
	key     string // final key of the page, or of its variant
	began   time.Time
	found   found
	looks   int
	lost    int // of runs that this request has waited for

	flightKey string

	ctl       *control
	flight    cache.Flight
	turn      *cache.Turn // to make the page, among all processes
	turnKey   string
	deps      *cache.Dependencies // what the handler reads from the cache
	cancel    context.CancelCauseFunc
	streaming atomic.Bool
	released  atomic.Bool
}

// outcome is what a leader's run means to those who wait for it.
type outcome struct {
	page   *page
	entry  *store.Entry // of the page
	key    string       // of the entry
	index  *index       // of the page's URL; nil if it does not vary
	digest digest       // of the page's variant
}

var (
	// outcomeUncacheable: everybody makes their own.
	outcomeUncacheable = &outcome{}
	// outcomeLost: the run ended without an answer; one of those who wait makes the next.
	outcomeLost = &outcome{}
	// outcomeLook: there may be something in the cache now.
	outcomeLook = &outcome{}
)

// alone runs the handler for this request only; its response is not stored.
func (run *run) alone() error {
	rec := &recorder{w: run.w, texts: run.p.status, forward: run.missed()}
	run.ctl = newControl(run.p.site, run.primary, controlOf(run.r.Context()))
	r := run.p.visible(run.r.WithContext(context.WithValue(run.r.Context(), controlKey{}, run.ctl)))
	run.report(false)
	began := time.Now()
	result := event.LoadPanic
	defer func() { run.p.space.Loaded(run.r.Context(), time.Since(began), result) }()
	err := handle(run.next, rec, r, run.r)
	result = loadResult(r.Context(), err)
	return err
}

func (run *run) missed() forward {
	if run.found.index != nil {
		return forwardVary
	}
	return forwardURI
}

func (run *run) report(coalesced bool) {
	run.p.space.Report(run.r.Context(), event.Call{
		Op: event.OpGet, Outcome: event.OutcomeMiss, Coalesced: coalesced, Took: time.Since(run.began),
	})
}

// shared answers with a page that another request's run has made.
func (run *run) shared(pg *page) {
	s := &shown{age: pg.ageAt(run.p.space.Now())}
	if texts := run.p.status; texts.name != "" {
		h := http.Header{headerCacheStatus: slices.Clip(pg.upstream)}
		texts.add(h, run.missed(), "; collapsed")
		s.status = h[headerCacheStatus]
	}
	run.p.write(run.w, run.r, &run.q, pg, s)
}

// lead runs the handler for this request and for those who join, and stores its response.
func (run *run) lead(lctx context.Context) error {
	p := run.p
	// Where nothing else has told those who wait, for whatever reason.
	defer run.turn.End(context.WithoutCancel(run.r.Context()), false, 0)
	defer run.release(outcomeLost)
	run.report(false)
	run.ctl = newControl(p.site, run.primary, controlOf(run.r.Context()))
	lctx, cancel := p.bounded(lctx)
	defer cancel()
	hctx, stop := run.context(lctx)
	defer stop()
	rec := &recorder{w: run.w, run: run, texts: p.status, forward: run.missed()}
	rec.start(run.q.conditional)
	result := event.LoadPanic
	defer func() {
		if result == event.LoadPanic {
			run.release(outcomeLost)
			rec.abort(refusedIncomplete)
			run.turn.End(context.WithoutCancel(run.r.Context()), true, failedTurn)
		}
		p.space.Loaded(run.r.Context(), time.Since(run.began), result)
	}()
	hctx, run.deps = p.space.Track(run.turn.Within(hctx))
	r := p.visible(run.r.WithContext(hctx))
	if run.q.conditional {
		r = withoutConditions(r)
	}
	err := handle(run.next, rec, r, run.r)
	result = loadResult(hctx, err)
	if err != nil {
		rec.abort(refusedIncomplete)
		run.turn.End(context.WithoutCancel(run.r.Context()), true, failedTurn)
		if overloaded(err) && rec.Status() == 0 {
			run.p.opts.Unavailable.ServeHTTP(run.w, run.r)
			return nil
		}
		return err
	}
	if result != event.LoadOK || lctx.Err() != nil && !run.released.Load() {
		// What a handler writes after its context has ended may be cut off anywhere.
		rec.abort(refusedIncomplete)
	}
	run.finish(rec)
	return nil
}

// finish stores what was recorded, tells those who wait, and answers a request that was held.
func (run *run) finish(rec *recorder) {
	pg := rec.complete()
	if pg == nil {
		return
	}
	run.release(run.store(pg, &rec.verdict))
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.hold {
		run.answer(rec, pg)
	}
	rec.recycle()
}

// answer sends a response that was held: with its preconditions evaluated.
func (run *run) answer(rec *recorder, pg *page) {
	if pg.status == http.StatusOK && pg.notModified(run.r.Header) {
		maps.DeleteFunc(rec.held, func(name string, _ []string) bool { return isBodily(name) })
		rec.status = http.StatusNotModified
	}
	rec.params = "; stored"
	rec.pass()
}

// context returns the handler's context. It has the request's values; it ends with the client, if nobody
// else waits for the response, or at the hard timeout, if the handler has not begun to stream.
func (run *run) context(lctx context.Context) (context.Context, func()) {
	ctx := context.WithValue(context.WithoutCancel(lctx), controlKey{}, run.ctl)
	ctx, cancel := context.WithCancelCause(ctx)
	run.cancel = cancel
	client := run.r.Context()
	stopClient := context.AfterFunc(client, func() {
		if run.released.Load() {
			cancel(context.Cause(client))
			return
		}
		run.flight.Leave()
	})
	stopLoad := context.AfterFunc(lctx, func() {
		if !run.released.Load() && !run.streaming.Load() {
			cancel(context.Cause(lctx))
		}
	})
	return ctx, func() {
		stopClient()
		stopLoad()
		cancel(context.Canceled)
	}
}

// release tells those who wait how the run ended; only the first time counts. From then on the handler's
// context ends with the client's.
func (run *run) release(o *outcome) {
	if run.released.Swap(true) {
		return
	}
	run.flight.Finish(o, nil)
	if client := run.r.Context(); client.Err() != nil && run.cancel != nil {
		run.cancel(context.Cause(client))
	}
}

// refuse notes that the response will not be stored, and lets those go who wait for it. Its page is
// marked, unless the next run may well end otherwise.
func (run *run) refuse(reason string) {
	run.p.space.Refused(run.r.Context(), reason)
	if reason != refusedIncomplete && !run.released.Load() {
		run.mark()
	}
	run.release(outcomeUncacheable)
}

// giveUp lets those go who wait for a response that will not be stored, and marks its page.
func (run *run) giveUp() {
	run.mark()
	run.release(outcomeUncacheable)
}

// mark lets the requests for the page run beside each other for a while.
func (run *run) mark() {
	d := run.p.opts.HitForMiss
	if d > 0 {
		run.p.marks.set(run.flightKey, run.p.space.Now()+d.Milliseconds())
	}
	if run.turn != nil {
		run.turn.End(context.WithoutCancel(run.r.Context()), true, max(d, failedTurn))
	}
}

// visible returns r without what the options keep from the handler.
func (p *Cache) visible(r *http.Request) *http.Request {
	hideCookies := p.opts.Cookies == CookiesIgnore && len(r.Header["Cookie"]) > 0
	query := r.URL.RawQuery
	if p.filtersQuery && query != "" {
		query = p.visibleQuery(query)
	}
	if !hideCookies && query == r.URL.RawQuery {
		return r
	}
	c := *r
	if hideCookies {
		c.Header = r.Header.Clone()
		c.Header.Del("Cookie")
	}
	if query != r.URL.RawQuery {
		u := *r.URL
		u.RawQuery = query
		c.URL, c.RequestURI = &u, p.visibleTarget(r.RequestURI)
		c.Form, c.PostForm = nil, nil
	}
	return &c
}

// withoutConditions returns r as an unconditional request: the page that it fills is for everybody.
func withoutConditions(r *http.Request) *http.Request {
	c := *r
	c.Header = r.Header.Clone()
	c.Header.Del("If-None-Match")
	c.Header.Del("If-Modified-Since")
	return &c
}

func loadResult(ctx context.Context, err error) event.LoadResult {
	switch {
	case err != nil:
		return event.LoadError
	case ctx.Err() == nil:
		return event.LoadOK
	case errors.Is(context.Cause(ctx), flight.ErrTimeout):
		return event.LoadTimeout
	default:
		return event.LoadCanceled
	}
}
