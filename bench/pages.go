package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	echo4 "github.com/labstack/echo/v4"
	echo5 "github.com/labstack/echo/v5"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/page"
	"github.com/strata-cache/strata/core/store/memstore"
	"github.com/strata-cache/strata/echomw"
	echomw5 "github.com/strata-cache/strata/echomw/v5"
	"github.com/strata-cache/strata/ginmw"
	"github.com/strata-cache/strata/nethttpmw"
)

// target is the key of a usual page: a path and three parameters.
const target = "/catalogue/products?category=7&page=2&sort=price"

// ordinary sets the header that a hit has, in the way that handlers do it.
func ordinary(body []byte) http.HandlerFunc {
	length := strconv.Itoa(len(body))
	return func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Age", "1")
		h.Set("Cache-Status", "strata; hit; ttl=59")
		h.Set("Content-Length", length)
		made(h)
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(body)
	}
}

func made(h http.Header) {
	h.Set("Cache-Control", "max-age=3600")
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Etag", `"5f3c"`)
	h.Set("Last-Modified", "Mon, 02 Jan 2023 15:04:05 GMT")
	h.Set("X-Frame-Options", "DENY")
}

// cached is the handler whose pages are cached: five fields, to which the cache adds three.
func cached(body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		made(w.Header())
		_, _ = w.Write(body)
	}
}

// applications returns an application of each framework around h; with pages around its cache.
func applications(h http.HandlerFunc, cache bool) (apps map[string]http.Handler, closeAll func()) {
	var opened []func()
	pages := func() *page.Cache {
		p, done := newPages()
		opened = append(opened, done)
		return p
	}
	gin.SetMode(gin.ReleaseMode)
	g := gin.New()
	e4, e5 := echo4.New(), echo5.New()
	var n http.Handler = h
	if cache {
		n = nethttpmw.Cache(pages())(n)
		g.Use(ginmw.Cache(pages()))
		e4.Use(echomw.Cache(pages()))
		e5.Use(echomw5.Cache(pages()))
	} else {
		// A middleware that does nothing: what a framework's chain costs by itself.
		g.Use(func(c *gin.Context) { c.Next() })
		e4.Use(func(next echo4.HandlerFunc) echo4.HandlerFunc {
			return func(c echo4.Context) error { return next(c) }
		})
		e5.Use(func(next echo5.HandlerFunc) echo5.HandlerFunc {
			return func(c *echo5.Context) error { return next(c) }
		})
	}
	g.GET("/catalogue/products", func(c *gin.Context) { h(c.Writer, c.Request) })
	e4.GET("/catalogue/products", func(c echo4.Context) error { h(c.Response(), c.Request()); return nil })
	e5.GET("/catalogue/products", func(c *echo5.Context) error { h(c.Response(), c.Request()); return nil })
	return map[string]http.Handler{"net/http": n, "gin": g, "echo": e4, "echo v5": e5}, func() {
		for _, f := range opened {
			f()
		}
	}
}

func newPages() (*page.Cache, func()) {
	st := must(memstore.New(memstore.Options{}))
	c := must(cache.New(st, cache.Options{}))
	return must(page.New(c, page.Options{TTL: time.Hour})), func() { mustDo(c.Close()) }
}

var frameworks = []string{"net/http", "gin", "echo", "echo v5"}

// pages measures handlers without a server: what a hit costs in the process.
func pages(size int) group {
	body := bytes.Repeat([]byte("x"), size)
	plain, _ := applications(ordinary(body), false)
	hits, done := applications(cached(body), true)
	g := group{close: done}
	for _, fw := range frameworks {
		g.alternatives = append(g.alternatives,
			alternative{name: fw + " handler", to: fw + " handler", run: repeat(plain[fw], size)},
			alternative{name: fw + " hit", to: fw + " handler", run: repeat(hits[fw], size)})
	}
	r := request()
	r.Header.Set("If-None-Match", `"5f3c"`)
	g.alternatives = append(g.alternatives, alternative{name: "net/http 304", to: "net/http hit", run: repeatRequest(hits["net/http"], r, 0)})
	return g
}

func request() *http.Request {
	r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, target, http.NoBody)
	for name, value := range map[string]string{
		"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", "Accept": "text/html", "Accept-Encoding": "gzip, br",
		"Accept-Language": "en", "Sec-Fetch-Mode": "navigate",
	} {
		r.Header.Set(name, value)
	}
	return r
}

func repeat(h http.Handler, size int) func(int) { return repeatRequest(h, request(), size) }

func repeatRequest(h http.Handler, r *http.Request, size int) func(int) {
	w := &sink{h: http.Header{}}
	h.ServeHTTP(w, request()) // fills the page
	return func(n int) {
		for range n {
			clear(w.h)
			w.n = 0
			h.ServeHTTP(w, r)
			if w.n != size {
				panic(fmt.Sprintf("%d bytes, want %d", w.n, size))
			}
		}
	}
}

// sink is a response writer that costs nothing.
type sink struct {
	h http.Header
	n int
}

func (w *sink) Header() http.Header { return w.h }
func (w *sink) WriteHeader(int)     {}
func (w *sink) Flush()              {}
func (w *sink) Write(b []byte) (int, error) {
	w.n += len(b)
	return len(b), nil
}

// endToEnd measures a real server on loopback, over one connection kept alive.
func endToEnd(size int) group {
	body := bytes.Repeat([]byte("x"), size)
	plain, _ := applications(ordinary(body), false)
	hits, done := applications(cached(body), true)
	var servers []*httptest.Server
	var g group
	for _, fw := range frameworks {
		for _, a := range []struct {
			name string
			h    http.Handler
		}{{" handler", plain[fw]}, {" hit", hits[fw]}} {
			s := httptest.NewServer(a.h)
			servers = append(servers, s)
			g.alternatives = append(g.alternatives, alternative{name: fw + a.name, to: fw + " handler", run: overWire(s, size)})
		}
	}
	g.close = func() {
		for _, s := range servers {
			s.Close()
		}
		done()
	}
	return g
}

func overWire(s *httptest.Server, size int) func(int) {
	conn := must((&net.Dialer{}).DialContext(context.Background(), "tcp", s.Listener.Addr().String()))
	in := bufio.NewReaderSize(conn, 128<<10)
	ask := []byte("GET " + target + " HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: bench\r\nAccept: text/html\r\n\r\n")
	blank := []byte("\r\n")
	return func(n int) {
		for range n {
			_ = must(conn.Write(ask))
			for {
				if line := must(in.ReadSlice('\n')); bytes.Equal(line, blank) {
					break
				}
			}
			_ = must(io.CopyN(io.Discard, in, int64(size)))
		}
	}
}
