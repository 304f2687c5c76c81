package echomw

import (
	"github.com/labstack/echo/v4"

	"github.com/strata-cache/strata/stats"
)

// Monitor returns a middleware that traces what each request does to its caches, tells it in a
// Server-Timing field of the response and, with a Logger, in a log record. The caches have to be observed
// by a stats.Recorder. The response is otherwise the same as without it.
//
// It belongs outside of a page cache and of all other middlewares: register it first. An error that comes
// back to it is handed to the HTTPErrorHandler here, so that the record holds the status that the client
// sees, and is not returned: the handler runs once, as it would without Monitor, but a middleware further
// out does not see the error. The route in the record is c.Path().
func Monitor(opts stats.MonitorOptions) echo.MiddlewareFunc {
	m := stats.NewMonitor(opts)
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r, x := m.Begin(c.Request())
			if x == nil {
				return next(c)
			}
			c.SetRequest(r)
			// Behind Echo's writer rather than by its Before hook, which a Flush does not call.
			res := c.Response()
			behind := res.Writer
			w := x.Writer(behind)
			res.Writer = w
			panicked := true
			defer func() {
				if res.Writer == w {
					res.Writer = behind
				}
				x.End(c.Path(), panicked)
			}()
			if err := next(c); err != nil {
				c.Error(err)
			}
			panicked = false
			return nil
		}
	}
}
