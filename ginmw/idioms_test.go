package ginmw_test

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/strata-cache/strata/core/page"
	"github.com/strata-cache/strata/ginmw"
	"github.com/strata-cache/strata/internal/pagetest"
)

// behind returns an application whose handlers stand behind the cache.
func behind(hs ...gin.HandlerFunc) func(*testing.T, *page.Cache) http.Handler {
	return func(_ *testing.T, pages *page.Cache) http.Handler {
		e := newEngine()
		e.Use(ginmw.Cache(pages))
		e.Any("/", hs...)
		return e
	}
}

func quiet(_ *gin.Context, _ any) {}

// gzipped compresses as the usual middlewares do.
type gzipped struct {
	gin.ResponseWriter
	w *gzip.Writer
}

func (g *gzipped) WriteHeader(status int) {
	g.Header().Del("Content-Length")
	g.ResponseWriter.WriteHeader(status)
}

func (g *gzipped) WriteString(s string) (int, error) { return g.Write([]byte(s)) }

func (g *gzipped) Write(b []byte) (int, error) {
	g.Header().Del("Content-Length")
	return g.w.Write(b)
}

func compress(c *gin.Context) {
	c.Header("Content-Encoding", "gzip")
	c.Header("Vary", "Accept-Encoding")
	outer := c.Writer
	g := &gzipped{outer, gzip.NewWriter(outer)}
	c.Writer = g
	defer func() {
		_ = g.w.Close()
		c.Writer = outer
	}()
	c.Next()
}

func unzip(t *testing.T, a pagetest.Answer) string {
	t.Helper()
	z, err := gzip.NewReader(strings.NewReader(a.Text))
	if err != nil {
		t.Errorf("%v: %q", err, a.Text)
		return ""
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

func TestGinIdioms(t *testing.T) {
	pagetest.RunIdioms(t, []pagetest.Idiom{
		{Name: "String", New: behind(func(c *gin.Context) { c.String(200, "hi") }), Status: 200, Text: "hi", Stored: true},
		{Name: "JSON", New: behind(func(c *gin.Context) { c.JSON(200, gin.H{"a": 1}) }), Status: 200, Text: `{"a":1}`, Stored: true,
			Check: func(t *testing.T, first, second pagetest.Answer) {
				if a, b := first.Header.Get("Content-Type"), second.Header.Get("Content-Type"); a != b || a == "" {
					t.Errorf("%q, then %q", a, b)
				}
			}},
		{Name: "JSON of an error", New: behind(func(c *gin.Context) { c.AbortWithStatusJSON(403, gin.H{}) }), Status: 403, Text: "{}"},
		{Name: "Redirect", New: behind(func(c *gin.Context) {
			c.Header("Cache-Control", "max-age=60")
			c.Redirect(301, "/x")
		}), Status: 301, Text: "<a href=\"/x\">Moved Permanently</a>.\n\n", Stored: true},
		{Name: "only a status", New: behind(func(c *gin.Context) { c.Status(204) }), Status: 204},
		{Name: "only the status 200", New: behind(func(c *gin.Context) { c.Status(200) }), Status: 200},
		{Name: "a status and the header", New: behind(func(c *gin.Context) { c.Status(200); c.Writer.WriteHeaderNow() }), Status: 200, Stored: true},
		{Name: "nothing", New: behind(func(*gin.Context) {}), Status: 200},
		{Name: "a status that is changed in time", New: behind(func(c *gin.Context) { c.Status(500); c.String(200, "hi") }), Status: 200, Text: "hi", Stored: true},
		{Name: "an error", New: behind(func(c *gin.Context) { _ = c.Error(errors.New("oops")); c.String(200, "half") }), Status: 200, Text: "half"},
		{Name: "an abort in the chain", New: behind(
			func(c *gin.Context) { c.Abort(); c.String(200, "first") }, func(c *gin.Context) { c.String(200, "second") },
		), Status: 200, Text: "first", Stored: true},
		{Name: "a chain", New: behind(
			func(c *gin.Context) { c.String(200, "first "); c.Next(); c.String(200, " last") }, func(c *gin.Context) { c.String(200, "second") },
		), Status: 200, Text: "first second last", Stored: true},
		{Name: "HEAD", Method: http.MethodHead, New: behind(func(c *gin.Context) { c.String(200, "hi") }), Status: 200},
		{Name: "Gin's page for no route", Target: "/none", New: behind(func(*gin.Context) {}), Status: 404, Text: "404 page not found"},
		{Name: "Recovery behind the cache", New: func(_ *testing.T, pages *page.Cache) http.Handler {
			e := newEngine()
			e.Use(ginmw.Cache(pages), gin.RecoveryWithWriter(io.Discard))
			e.GET("/", func(c *gin.Context) { c.String(200, "half"); panic("oops") })
			return e
		}, Status: 200, Text: "half"},
		{Name: "Recovery behind the cache, in time", New: func(_ *testing.T, pages *page.Cache) http.Handler {
			e := newEngine()
			e.Use(ginmw.Cache(pages), gin.RecoveryWithWriter(io.Discard))
			e.GET("/", func(*gin.Context) { panic("oops") })
			return e
		}, Status: 500},
		{Name: "a page of its own behind the cache", Header: []string{`If-None-Match: "x"`}, New: func(_ *testing.T, pages *page.Cache) http.Handler {
			e := newEngine()
			e.Use(ginmw.Cache(pages), gin.CustomRecoveryWithWriter(io.Discard, func(c *gin.Context, _ any) { c.String(500, " sorry") }))
			e.GET("/", func(c *gin.Context) { c.String(200, "half"); panic("oops") })
			return e
		}, Status: 200, Text: "half sorry"},
		{Name: "Recovery before the cache", New: func(t *testing.T, pages *page.Cache) http.Handler {
			e := newEngine()
			e.Use(func(c *gin.Context) {
				outer, request := c.Writer, c.Request
				c.Next()
				if c.Writer != outer || c.Request != request {
					t.Error("the context is not as it was")
				}
			}, gin.CustomRecoveryWithWriter(io.Discard, quiet), ginmw.Cache(pages))
			e.GET("/", func(c *gin.Context) { c.String(200, "half"); panic("oops") })
			return e
		}, Status: 200, Text: "half"},
		{Name: "what the writer says while an answer is held", Header: []string{`If-None-Match: "v1"`}, New: behind(func(c *gin.Context) {
			c.Header("Etag", `"v1"`)
			state := func() string { return fmt.Sprint(c.Writer.Written(), c.Writer.Size(), c.Writer.Status(), ";") }
			s := state()
			c.Status(200)
			s += state()
			c.Writer.WriteHeaderNow()
			s += state()
			_, _ = c.Writer.WriteString("body")
			if s += state(); s != "false -1 200;false -1 200;true 0 200;true 4 200;" {
				panic(s)
			}
		}), Status: 304, Stored: true},
		{Name: "what outer middlewares see", New: func(t *testing.T, pages *page.Cache) http.Handler {
			e := newEngine()
			e.Use(func(c *gin.Context) {
				c.Next()
				if c.Writer.Status() != 200 || c.Writer.Size() != 2 || !c.Writer.Written() || c.IsAborted() == (c.Writer.Header().Get("Age") == "") {
					t.Errorf("%d, %d bytes, aborted %v", c.Writer.Status(), c.Writer.Size(), c.IsAborted())
				}
			}, ginmw.Cache(pages))
			e.GET("/", func(c *gin.Context) { c.String(200, "hi") })
			return e
		}, Status: 200, Text: "hi", Stored: true},
		{Name: "Page", New: func(_ *testing.T, pages *page.Cache) http.Handler {
			e := newEngine()
			e.GET("/", ginmw.Page(pages, time.Hour, func(c *gin.Context) { c.String(200, "hi") }))
			return e
		}, Options: page.Options{TTL: -1}, Status: 200, Text: "hi", Stored: true},
		{Name: "a hidden parameter that was read before", Target: "/?a=1&evil=1&evil=2", Options: page.Options{OnlyParams: []string{"a"}},
			New: func(t *testing.T, pages *page.Cache) http.Handler {
				e := newEngine()
				e.Use(func(c *gin.Context) {
					_ = c.Query("a")
					c.Next()
					if c.Request.URL.Query().Get("evil") == "" {
						t.Error("the outer middleware has lost its request")
					}
				}, ginmw.Cache(pages))
				e.GET("/", func(c *gin.Context) {
					var bound struct {
						Evil string `form:"evil"`
					}
					_ = c.ShouldBindQuery(&bound)
					c.String(200, c.Query("a")+c.Query("evil")+strings.Join(c.QueryArray("evil"), "")+c.Request.FormValue("evil")+bound.Evil)
				})
				return e
			}, Status: 200, Text: "1", Stored: true},
		{Name: "no cookie to read", Header: []string{"Cookie: a=secret"}, Options: page.Options{Cookies: page.CookiesIgnore}, New: behind(func(c *gin.Context) {
			v, _ := c.Cookie("a")
			c.String(200, "cookie:"+v)
		}), Status: 200, Text: "cookie:", Stored: true},
		{Name: "SetCookie", New: behind(func(c *gin.Context) { c.SetCookie("a", "b", 0, "", "", false, false); c.String(200, "hi") }), Status: 200, Text: "hi"},
		{Name: "Stream", New: behind(func(c *gin.Context) {
			n := 0
			c.Stream(func(w io.Writer) bool {
				n++
				_, _ = fmt.Fprint(w, n)
				return n < 3
			})
		}), Status: 200, Text: "123", Stored: true},
		{Name: "SSEvent", New: behind(func(c *gin.Context) { c.SSEvent("a", "b") }), Status: 200, Text: "event:a\ndata:b\n\n"},
	})
}

func TestGzipBeforeTheCache(t *testing.T) {
	pagetest.RunIdioms(t, []pagetest.Idiom{{
		Name: "gzip",
		New: func(t *testing.T, pages *page.Cache) http.Handler {
			e := newEngine()
			e.Use(func(c *gin.Context) {
				if c.GetHeader("Accept-Encoding") == "gzip" {
					compress(c)
				}
			}, ginmw.Cache(pages))
			e.GET("/", func(c *gin.Context) { c.String(200, "plain") })
			return e
		},
		Status: 200, Text: "plain", Stored: true,
		Check: func(t *testing.T, _, second pagetest.Answer) {
			request := second.Request.Clone(t.Context())
			request.Header.Set("Accept-Encoding", "gzip")
			for range 2 { // a miss, since the outer Vary counts, and a hit
				a, err := (&pagetest.App{T: t}).Do(request)
				if err != nil {
					t.Fatal(err)
				}
				if a.Header.Get("Content-Encoding") != "gzip" || unzip(t, a) != "plain" {
					t.Errorf("%v %q", a.Header, a.Text)
				}
			}
			request.Header.Del("Accept-Encoding")
			if a, err := (&pagetest.App{T: t}).Do(request); err != nil || a.Text != "plain" || a.Header.Get("Content-Encoding") != "" {
				t.Errorf("%q %v", a.Text, err)
			}
		},
	}})
}
