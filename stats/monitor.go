package stats

import (
	"log/slog"
	"net/http"
	"sync/atomic"
)

// MonitorOptions configure the Monitor middlewares of nethttpmw, ginmw and echomw. The zero value adds the
// header and logs nothing.
type MonitorOptions struct {
	// Logger gets one record a request, after the request. Nil is silent.
	//
	// Its attributes: method, route (the template that the router matched, empty where there is none; never
	// the path), status, bytes (of the body, as the handler wrote them), duration, hits, negative, stale,
	// misses, loads, cache_time, load_time; filtered, fallback and overload where there were any; and panic
	// where the handler did not return.
	Logger *slog.Logger
	// Level is the level of the record. Default: slog.LevelInfo.
	Level slog.Level
	// SampleEvery says that one request in so many is logged. Those that fail, with a panic or a status
	// from 500, are always logged. Zero means every request, negative means only those that fail.
	SampleEvery int
	// ServerTiming decides whether the response to a request gets the Server-Timing field. What it tells,
	// whether something was cached, is not meant for everybody in every application. Nil means that each
	// does.
	ServerTiming func(*http.Request) bool
}

// Monitor watches what HTTP requests do to their caches. It is what the Monitor middlewares of all
// frameworks share, and is of use only to another one: Begin before the handler, then either Writer or
// Announce and Note while the response is written, then End. It is safe for concurrent use.
//
// The caches have to be observed by a Recorder. A monitor belongs outside of a page cache, and outside of
// other middlewares that answer requests.
type Monitor struct {
	opts     MonitorOptions
	requests atomic.Uint64
}

// NewMonitor returns a monitor.
func NewMonitor(opts MonitorOptions) *Monitor { return &Monitor{opts: opts} }

// Begin starts to watch a request. The handler has to be called with the returned request, whose context
// carries the trace. The exchange is nil for a request that a monitor further out watches already: then
// there is nothing to do.
func (m *Monitor) Begin(r *http.Request) (*http.Request, *Exchange) {
	ctx := r.Context()
	x := newExchange(m, r)
	if t := FromContext(ctx); t != nil && !t.isFinished() {
		if !t.watched.CompareAndSwap(false, true) {
			return r, nil
		}
		x.trace, x.shared = t, true
		return r, x
	}
	ctx, x.trace = WithTrace(ctx)
	x.trace.watched.Store(true)
	x.inner = r.WithContext(ctx)
	return x.inner, x
}

// logs reports whether a request of this fate is to be logged.
func (m *Monitor) logs(failed bool) bool {
	if m.opts.Logger == nil {
		return false
	}
	n := m.requests.Add(1) - 1
	switch every := m.opts.SampleEvery; {
	case failed || every == 0:
		return true
	case every < 0:
		return false
	default:
		return n%uint64(every) == 0
	}
}
