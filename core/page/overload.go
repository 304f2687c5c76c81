package page

import (
	"context"
	"errors"
	"net/http"

	"github.com/strata-cache/strata/core/cache"
)

// unavailable is what answers where a page cannot be made: too much is being made already, or it takes too
// long. Nobody repeats it for others' sake: whoever is turned away comes back in a second, and finds it.
func unavailable(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Retry-After", "1")
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
}

// turnAway answers with Options.Unavailable.
func (run *run) turnAway(reason string) {
	run.p.space.Refused(run.r.Context(), reason)
	run.p.opts.Unavailable.ServeHTTP(run.w, run.r)
}

// overloaded reports whether a handler's error says that it could not get what it needs in time.
func overloaded(err error) bool {
	return errors.Is(err, cache.ErrOverload) || errors.Is(err, cache.ErrTimeout)
}

// behindKey marks the context of a request that makes a page in the background.
type behindKey struct{}

// simplify answers a cold page with Options.Fallback, and has it made in the background. It reports false
// where that cannot be done: the request then makes the page.
func (run *run) simplify() bool {
	p, r := run.p, run.r
	if p.opts.Fallback == nil || run.found.page != nil || r.Method != http.MethodGet || r.Context().Value(behindKey{}) != nil {
		return false
	}
	handler := p.opts.Handler
	if handler == nil {
		server, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
		if server == nil || server.Handler == nil {
			return false
		}
		handler = server.Handler
	}
	again := behind(r)
	p.space.Behind(run.flightKey, func(ctx context.Context) error {
		ctx = context.WithValue(ctx, behindKey{}, true)
		ctx = context.WithValue(ctx, http.ServerContextKey, r.Context().Value(http.ServerContextKey))
		w := &nobody{header: http.Header{}}
		handler.ServeHTTP(w, again.WithContext(ctx))
		if w.status >= http.StatusInternalServerError {
			return errNotMade
		}
		return nil
	})
	run.report(false)
	rec := &recorder{w: run.w, texts: p.status, forward: run.missed(), params: "; detail=fallback"}
	p.opts.Fallback.ServeHTTP(rec, r)
	return true
}

var errNotMade = errors.New("page: the handler has answered with an error")

// behind returns r as it is sent through the server's own handler again: without what ends with r, and
// without conditions.
func behind(r *http.Request) *http.Request {
	c := r.Clone(context.Background())
	c.Body, c.ContentLength = http.NoBody, 0
	c.Header.Del("If-None-Match")
	c.Header.Del("If-Modified-Since")
	c.Pattern = ""
	return c
}

// nobody is the client of a request that is made in the background.
type nobody struct {
	header http.Header
	status int
}

func (n *nobody) Header() http.Header { return n.header }

func (n *nobody) WriteHeader(status int) {
	if n.status == 0 && status >= 200 {
		n.status = status
	}
}

func (n *nobody) Write(b []byte) (int, error) {
	n.WriteHeader(http.StatusOK)
	return len(b), nil
}

func (n *nobody) Flush() {}
