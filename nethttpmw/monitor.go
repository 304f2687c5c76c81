package nethttpmw

import (
	"net/http"

	"github.com/strata-cache/strata/stats"
)

// Monitor returns a middleware that traces what each request does to its caches, tells it in a
// Server-Timing field of the response and, with a Logger, in a log record. The caches have to be observed
// by a stats.Recorder. The response is otherwise the same as without it.
//
// It belongs outside of a page cache. The route in the record is the pattern of the http.ServeMux inside,
// or outside, of it; between the two no middleware may replace the request, or the pattern is lost.
func Monitor(opts stats.MonitorOptions) func(http.Handler) http.Handler {
	m := stats.NewMonitor(opts)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r, x := m.Begin(r)
			if x == nil {
				next.ServeHTTP(w, r)
				return
			}
			panicked := true
			defer func() { x.End(r.Pattern, panicked) }()
			next.ServeHTTP(x.Writer(w), r)
			panicked = false
		})
	}
}
