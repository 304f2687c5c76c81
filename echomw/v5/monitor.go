package echomw

import (
	"github.com/labstack/echo/v5"

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
		return func(c *echo.Context) error {
			r, x := m.Begin(c.Request())
			if x == nil {
				return next(c)
			}
			c.SetRequest(r)
			unmount := mount(c, x)
			panicked := true
			defer func() {
				unmount()
				x.End(c.Path(), panicked)
			}()
			if err := next(c); err != nil {
				c.Echo().HTTPErrorHandler(c, err)
			}
			panicked = false
			return nil
		}
	}
}

// mount puts the exchange's writer behind Echo's, rather than using its Before hook, which a Flush does
// not call, and returns what takes it away.
func mount(c *echo.Context, x *stats.Exchange) func() {
	res, err := echo.UnwrapResponse(c.Response())
	if err != nil {
		// Somebody has replaced Echo's writer altogether.
		front := c.Response()
		w := x.Writer(front)
		c.SetResponse(w)
		return func() {
			if c.Response() == w {
				c.SetResponse(front)
			}
		}
	}
	behind := res.ResponseWriter
	w := x.Writer(behind)
	res.ResponseWriter = w
	return func() {
		if res.ResponseWriter == w {
			res.ResponseWriter = behind
		}
	}
}
