// Package echomw carries the page cache, and its monitor, into Echo v5. Echo v4 has package echomw of the
// folder above.
package echomw

import (
	"maps"
	"net/http"
	"time"

	"github.com/labstack/echo/v5"

	"github.com/strata-cache/strata/core/page"
)

// Cache returns a middleware that answers from pages and stores what the handlers behind it make: Django's
// per-site cache. Middlewares that belong to one request, such as those for logs, request ids, compression
// and CORS, are registered before it, and best Recover too. The response of a handler that returns an error
// is not stored: Echo renders the error after all middlewares.
func Cache(pages *page.Cache) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc { return cached(pages, next) }
}

// Page returns h with its responses cached for ttl, as page.Cache.WithTTL says; 0 leaves the lifetime to
// pages and to the response. It may stand inside of Cache on the same pages: the response is stored once.
func Page(pages *page.Cache, ttl time.Duration, h echo.HandlerFunc) echo.HandlerFunc {
	return cached(pages.WithTTL(ttl), h)
}

func cached(pages *page.Cache, next echo.HandlerFunc) echo.HandlerFunc {
	return func(c *echo.Context) error {
		w, request := c.Response(), c.Request()
		if pages.TryServe(w, request) {
			return nil
		}
		return pages.Run(w, request, func(rec http.ResponseWriter, r *http.Request) error {
			c.SetResponse(&response{echo.NewResponse(rec, c.Logger()), rec})
			setRequest(c, r)
			defer func() {
				c.SetResponse(w)
				setRequest(c, request)
			}()
			return next(c)
		})
	}
}

// response is what stands behind the cache writes to: with hooks of its own, which have run when the page
// cache sees the header. A session that sets its cookie in one makes the page private.
type response struct {
	*echo.Response
	rec http.ResponseWriter
}

func (w *response) WriteHeader(status int) {
	switch {
	case status >= 100 && status < 200 && status != http.StatusSwitchingProtocols:
		w.rec.WriteHeader(status) // Echo would take it for the final one
		return
	case w.Committed && status != w.Status:
		w.rec.WriteHeader(status) // what was written is not the page that was meant
	}
	w.Response.WriteHeader(status)
}

// Unwrap returns Echo's response, for echo.UnwrapResponse and http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.Response }

// setRequest makes r the request of c, and its query the one that c knows. Echo keeps the query as it was
// parsed first, which an outer middleware may have asked for.
func setRequest(c *echo.Context, r *http.Request) {
	reparse := c.Request().URL.RawQuery != r.URL.RawQuery
	if c.SetRequest(r); reparse {
		query := c.QueryParams()
		clear(query)
		maps.Copy(query, r.URL.Query())
	}
}
