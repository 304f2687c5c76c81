package stats

import (
	"log/slog"
	"net/http"
	"time"
)

// Exchange is one request and its response, as a Monitor sees them. Its methods are for the goroutine that
// serves the request.
type Exchange struct {
	monitor      *Monitor
	trace        *Trace
	shared       bool // the trace is that of somebody else
	outer, inner *http.Request
	began        time.Time

	announced bool
	writer    writer
	hijacked  bool
	status    int // 0 until the header is written
	bytes     int64
}

func newExchange(m *Monitor, r *http.Request) *Exchange {
	return &Exchange{monitor: m, outer: r, inner: r, began: time.Now()}
}

// Trace returns the request's trace.
func (x *Exchange) Trace() *Trace { return x.trace }

// Announce appends the Server-Timing field to h, beside those that are there. It is to be called at the
// last moment before the header is written; calls after the first do nothing.
func (x *Exchange) Announce(h http.Header) {
	if x.announced {
		return
	}
	x.announced = true
	if f := x.monitor.opts.ServerTiming; f != nil && !f(x.inner) {
		return
	}
	if v := x.trace.Summary().ServerTiming(); v != "" {
		h.Add("Server-Timing", v)
	}
}

// Note tells the status with which the header was written, 0 where it was not, and the size of the body so
// far. An exchange whose response goes through Writer knows them.
func (x *Exchange) Note(status int, bytes int64) { x.status, x.bytes = status, bytes }

// NoteHijack tells that the handler has taken over the connection. It is logged as status 101.
func (x *Exchange) NoteHijack() { x.hijacked = true }

// End is to be called when the handler is done: deferred, with panicked set where it did not return. It
// closes the trace and writes the log record. A response that has not begun gets the field now, and counts
// as 200, which net/http will make of it, or as 500 after a panic.
func (x *Exchange) End(route string, panicked bool) {
	if x.writer.ResponseWriter != nil && x.status == 0 && !x.hijacked {
		x.Announce(x.writer.Header())
	}
	x.handBack()
	var sum Summary
	if x.shared {
		sum = x.trace.Summary()
		x.trace.watched.Store(false)
	} else {
		sum = x.trace.Finish()
	}
	status := x.status
	switch {
	case x.hijacked:
		status = http.StatusSwitchingProtocols
	case status == 0 && panicked:
		status = http.StatusInternalServerError
	case status == 0:
		status = http.StatusOK
	}
	x.log(route, status, panicked, sum)
}

// handBack gives what handlers leave in the request to the one that the server holds: it removes the files
// of a multipart form, and a middleware further out may ask for the pattern.
func (x *Exchange) handBack() {
	if x.outer.MultipartForm == nil {
		x.outer.MultipartForm = x.inner.MultipartForm
	}
	if x.outer.Pattern == "" {
		x.outer.Pattern = x.inner.Pattern
	}
}

func (x *Exchange) log(route string, status int, panicked bool, s Summary) {
	if !x.monitor.logs(panicked || status >= 500) {
		return
	}
	ctx, opts := x.inner.Context(), &x.monitor.opts
	if !opts.Logger.Enabled(ctx, opts.Level) {
		return
	}
	attrs := make([]slog.Attr, 0, 16)
	attrs = append(attrs,
		slog.String("method", x.inner.Method),
		slog.String("route", route),
		slog.Int("status", status),
		slog.Int64("bytes", x.bytes),
		slog.Duration("duration", time.Since(x.began)),
		slog.Int("hits", s.Hits),
		slog.Int("negative", s.Negative),
		slog.Int("stale", s.Stale),
		slog.Int("misses", s.Misses),
		slog.Int("loads", s.Loads),
		slog.Duration("cache_time", s.CacheTime),
		slog.Duration("load_time", s.LoadTime),
	)
	for _, rare := range []struct {
		name string
		n    int
	}{{"filtered", s.Filtered}, {"fallback", s.Fallback}, {"overload", s.Overload}} {
		if rare.n != 0 {
			attrs = append(attrs, slog.Int(rare.name, rare.n))
		}
	}
	if panicked {
		attrs = append(attrs, slog.Bool("panic", true))
	}
	opts.Logger.LogAttrs(ctx, opts.Level, "request", attrs...)
}
