// Package ginmw carries the page cache, and its monitor, into Gin.
package ginmw

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/strata-cache/strata/core/page"
)

// Cache returns a middleware that answers from pages and stores what the handlers after it make: Django's
// per-site cache. Middlewares that belong to one request, such as those for logs, request ids, compression
// and CORS, are registered before it, and so is gin.Recovery: a panic that is recovered behind the cache is
// seen by what Recovery does to the status only. A response during which a handler adds to c.Errors is not
// stored, nor is one that a handler has only given a status to: Gin writes it after all middlewares.
func Cache(pages *page.Cache) gin.HandlerFunc {
	return cached(pages, (*gin.Context).Next)
}

// Page returns h with its responses cached for ttl, as page.Cache.WithTTL says; 0 leaves the lifetime to
// pages and to the response. It may stand inside of Cache on the same pages: the response is stored once.
func Page(pages *page.Cache, ttl time.Duration, h gin.HandlerFunc) gin.HandlerFunc {
	return cached(pages.WithTTL(ttl), h)
}

var errHandler = errors.New("ginmw: a handler has added to c.Errors")

func cached(pages *page.Cache, next gin.HandlerFunc) gin.HandlerFunc {
	return func(c *gin.Context) {
		if pages.TryServe(c.Writer, c.Request) {
			c.Writer.WriteHeaderNow() // Gin would write a page of its own over a 404 without a body
			c.Abort()
			return
		}
		behind, request, ran := committing{c.Writer}, c.Request, false
		_ = pages.Run(behind, request, func(w http.ResponseWriter, r *http.Request) error {
			ran = true
			if _, direct := w.(committing); !direct {
				c.Writer = &writer{ResponseWriter: behind.ResponseWriter, rec: w}
			}
			c.Request = r
			hideParams(c, request)
			defer func() { c.Writer, c.Request = behind.ResponseWriter, request }()
			known := len(c.Errors)
			next(c)
			if len(c.Errors) > known {
				return errHandler
			}
			return nil
		})
		if !ran {
			c.Abort()
		}
	}
}

// hideParams empties the parameters of request that are hidden in c.Request. Gin keeps the query as it was
// parsed first, which an outer middleware may have asked for, and does not let go of it.
func hideParams(c *gin.Context, request *http.Request) {
	if c.Request.URL.RawQuery == request.URL.RawQuery {
		return
	}
	visible := c.Request.URL.Query()
	for name := range request.URL.Query() {
		if !visible.Has(name) {
			clear(c.QueryArray(name))
		}
	}
}

// committing is Gin's writer with the WriteHeader of net/http: Gin's own only notes the status.
type committing struct{ gin.ResponseWriter }

func (w committing) WriteHeader(status int) {
	w.ResponseWriter.WriteHeader(status)
	w.WriteHeaderNow()
}

// Unwrap returns Gin's writer, for http.ResponseController.
func (w committing) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// writer is what handlers write to while the page cache records.
type writer struct {
	gin.ResponseWriter
	rec   http.ResponseWriter
	wrote bool
	size  int
}

// Unwrap returns the recorder, for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.rec }

func (w *writer) WriteHeader(status int) {
	switch {
	case status >= 100 && status < 200 && status != http.StatusSwitchingProtocols:
		w.rec.WriteHeader(status)
	case !w.Written():
		w.ResponseWriter.WriteHeader(status)
	case status > 0 && status != w.Status():
		w.rec.WriteHeader(status) // what was written is not the page that was meant
	}
}

func (w *writer) WriteHeaderNow() {
	if !w.Written() {
		w.wrote = true
		w.rec.WriteHeader(w.Status())
	}
}

func (w *writer) Write(b []byte) (int, error) {
	w.WriteHeaderNow()
	n, err := w.rec.Write(b)
	w.size += n
	return n, err
}

func (w *writer) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

func (w *writer) Written() bool { return w.wrote || w.ResponseWriter.Written() }

func (w *writer) Size() int {
	if w.wrote {
		return w.size
	}
	return w.ResponseWriter.Size()
}

func (w *writer) Flush() {
	w.WriteHeaderNow()
	// A recorder can always be flushed; what lies under it may refuse.
	_ = http.NewResponseController(w.rec).Flush()
}

func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.rec).Hijack()
}
