// Package echomw carries the page cache, and its monitor, into Echo v4. Echo v5 has package echomw/v5.
//
// Run Echo 4.16.3 or newer: older releases have known weaknesses in RealIP, BodyDump, Decompress and Proxy,
// none of which this package calls. It never trusts c.RealIP, c.Scheme or an X-Forwarded header.
package echomw

import (
	"errors"
	"maps"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/strata-cache/strata/core/page"
)

// Cache returns a middleware that answers from pages and stores what the handlers behind it make: Django's
// per-site cache. Middlewares that belong to one request, such as those for logs, request ids, compression
// and CORS, are registered before it, and so is Recover: behind the cache it would hide from it that a page
// was cut off by a panic. The response of a handler that returns an error is not stored: Echo renders the
// error after all middlewares.
func Cache(pages *page.Cache) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc { return cached(pages, next) }
}

// Page returns h with its responses cached for ttl, as page.Cache.WithTTL says; 0 leaves the lifetime to
// pages and to the response. It may stand inside of Cache on the same pages: the response is stored once.
func Page(pages *page.Cache, ttl time.Duration, h echo.HandlerFunc) echo.HandlerFunc {
	return cached(pages.WithTTL(ttl), h)
}

func cached(pages *page.Cache, next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		res := c.Response()
		if pages.TryServe(res, c.Request()) {
			return nil
		}
		behind, request, w := res.Writer, c.Request(), &output{ResponseWriter: res}
		err := pages.Run(w, request, func(rec http.ResponseWriter, r *http.Request) error {
			// The recorder comes between Echo's response and what lies under it.
			w.ResponseWriter = behind
			res.Writer = rec
			setRequest(c, r)
			defer func() {
				res.Writer = behind
				setRequest(c, request)
			}()
			err := next(c)
			if s, ok := rec.(interface{ Status() int }); err == nil && ok && res.Committed && s.Status() != res.Status {
				return errRestated
			}
			return err
		})
		if w.status != 0 {
			res.Status = w.status
		}
		if errors.Is(err, errRestated) {
			return nil
		}
		return err
	}
}

// errRestated means that the status was set to another one after it was written, as those do who render an
// error behind half a page. Nobody but the page cache gets to know.
var errRestated = errors.New("echomw: the status was set after it was written")

// output is what the page cache writes to: Echo's response where it answers by itself, and what lies under
// that one where a handler does, who has written to Echo's response already.
type output struct {
	http.ResponseWriter
	status int
}

func (w *output) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap returns the writer behind, for http.ResponseController.
func (w *output) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// setRequest makes r the request of c, and its query the one that c knows. Echo keeps the query as it was
// parsed first, which an outer middleware may have asked for.
func setRequest(c echo.Context, r *http.Request) {
	reparse := c.Request().URL.RawQuery != r.URL.RawQuery
	if c.SetRequest(r); reparse {
		query := c.QueryParams()
		clear(query)
		maps.Copy(query, r.URL.Query())
	}
}
