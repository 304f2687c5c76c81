// Package nethttpmw carries the page cache, and its monitor, into net/http and every router made of
// http.Handler.
package nethttpmw

import (
	"net/http"
	"time"

	"github.com/strata-cache/strata/core/page"
)

// Cache returns a middleware that answers from pages and stores what the handlers behind it make: Django's
// per-site cache. Middlewares that belong to one request, such as those for logs, request ids, compression
// and CORS, go outside of it.
func Cache(pages *page.Cache) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler { return cached(pages, next) }
}

// Page returns h with its responses cached for ttl, as page.Cache.WithTTL says; 0 leaves the lifetime to
// pages and to the response. It may stand inside of Cache on the same pages: the response is stored once.
func Page(pages *page.Cache, ttl time.Duration, h http.Handler) http.Handler {
	return cached(pages.WithTTL(ttl), h)
}

func cached(pages *page.Cache, next http.Handler) http.Handler {
	run := func(w http.ResponseWriter, r *http.Request) error { //nolint:unparam // a page.Handler
		next.ServeHTTP(w, r)
		return nil
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !pages.TryServe(w, r) {
			_ = pages.Run(w, r, run) // run returns no error
		}
	})
}
