package echomw_test

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v5"
	"github.com/labstack/echo/v5/middleware"

	"github.com/strata-cache/strata/core/page"
	"github.com/strata-cache/strata/echomw/v5"
	"github.com/strata-cache/strata/internal/pagetest"
)

// behind returns an application whose handler stands behind the cache, and behind inner middlewares.
func behind(h echo.HandlerFunc, inner ...echo.MiddlewareFunc) func(*testing.T, *page.Cache) http.Handler {
	return func(_ *testing.T, pages *page.Cache) http.Handler {
		e := newEcho()
		e.Use(echomw.Cache(pages))
		e.Use(inner...)
		e.Any("/", h)
		return e
	}
}

// before returns an application with outer middlewares before the cache.
func before(h echo.HandlerFunc, outer ...echo.MiddlewareFunc) func(*testing.T, *page.Cache) http.Handler {
	return func(_ *testing.T, pages *page.Cache) http.Handler {
		e := newEcho()
		e.Use(outer...)
		e.Use(echomw.Cache(pages))
		e.Any("/", h)
		return e
	}
}

// around makes a middleware of what happens before and after the rest.
func around(f func(c *echo.Context, next func())) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) (err error) {
			f(c, func() { err = next(c) })
			return err
		}
	}
}

func unzip(t *testing.T, s string) string {
	t.Helper()
	z, err := gzip.NewReader(strings.NewReader(s))
	if err != nil {
		t.Errorf("%v: %q", err, s)
		return ""
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

// response is Echo's own, under whatever stands over it.
func response(c *echo.Context) *echo.Response {
	r, err := echo.UnwrapResponse(c.Response())
	if err != nil {
		panic(err)
	}
	return r
}

func hi(c *echo.Context) error { return c.String(200, "hi") }

func TestEchoIdioms(t *testing.T) {
	pagetest.RunIdioms(t, []pagetest.Idiom{
		{Name: "String", New: behind(hi), Status: 200, Text: "hi", Stored: true},
		{Name: "JSON", New: behind(func(c *echo.Context) error { return c.JSON(200, map[string]int{"a": 1}) }), Status: 200, Text: "{\"a\":1}\n", Stored: true},
		{Name: "HTML in pieces", New: behind(func(c *echo.Context) error {
			c.Response().Header().Set("Content-Type", "text/html")
			c.Response().WriteHeader(200)
			_, _ = io.WriteString(c.Response(), "a")
			_ = http.NewResponseController(c.Response()).Flush()
			_, err := io.WriteString(c.Response(), "b")
			return err
		}), Status: 200, Text: "ab", Stored: true},
		{Name: "NoContent", New: behind(func(c *echo.Context) error { return c.NoContent(204) }), Status: 204},
		{Name: "NoContent with status 200", New: behind(func(c *echo.Context) error { return c.NoContent(200) }), Status: 200, Stored: true},
		{Name: "nothing", New: behind(func(*echo.Context) error { return nil }), Status: 200},
		{Name: "an HTTP error", New: behind(func(*echo.Context) error { return echo.NewHTTPError(404, "gone") }), Status: 404, Text: "{\"message\":\"gone\"}\n"},
		{Name: "an error behind half a page", New: behind(func(c *echo.Context) error { _ = hi(c); return errors.New("oops") }), Status: 200, Text: "hi"},
		{Name: "an error behind half a page that is held", Header: []string{`If-None-Match: "x"`},
			New: behind(func(c *echo.Context) error { _ = hi(c); return errors.New("oops") }), Status: 200, Text: "hi"},
		{Name: "an error that is rendered behind half a page", New: behind(func(c *echo.Context) error {
			_ = hi(c)
			return c.JSON(500, "sorry")
		}), Status: 200, Text: "hi\"sorry\"\n"},
		{Name: "the same, held", Header: []string{`If-None-Match: "x"`}, New: behind(func(c *echo.Context) error {
			_ = hi(c)
			return c.JSON(500, "sorry")
		}), Status: 200, Text: "hi\"sorry\"\n"},
		{Name: "no route", Target: "/none", New: behind(hi), Status: 404, Text: "{\"message\":\"Not Found\"}\n"},
		{Name: "no method", Method: http.MethodPut, New: func(_ *testing.T, pages *page.Cache) http.Handler {
			e := newEcho()
			e.Use(echomw.Cache(pages))
			e.GET("/", hi)
			return e
		}, Status: 405, Text: "{\"message\":\"Method Not Allowed\"}\n"},
		{Name: "a cookie in a hook", New: behind(func(c *echo.Context) error {
			response(c).Before(func() { c.SetCookie(&http.Cookie{Name: "a", Value: "b"}) })
			return hi(c)
		}), Status: 200, Text: "hi"},
		{Name: "hooks", New: behind(func(c *echo.Context) error {
			response(c).Before(func() { c.Response().Header().Set("X-Before", "1") })
			response(c).After(func() { c.Response().Header().Set("X-After", "1") })
			return hi(c)
		}), Status: 200, Text: "hi", Stored: true, Check: func(t *testing.T, first, second pagetest.Answer) {
			for _, a := range []pagetest.Answer{first, second} {
				if a.Header.Get("X-Before") != "1" || a.Header.Get("X-After") != "" {
					t.Errorf("%v", a.Header)
				}
			}
		}},
		{Name: "what the response says while it is held", Header: []string{`If-None-Match: "v1"`}, New: behind(func(c *echo.Context) error {
			c.Response().Header().Set("Etag", `"v1"`)
			_ = hi(c)
			if r := response(c); !r.Committed || r.Status != 200 || r.Size != 2 {
				return c.String(500, fmt.Sprint(r.Committed, r.Status, r.Size))
			}
			return nil
		}), Status: 304, Stored: true},
		{Name: "what outer middlewares see", New: func(t *testing.T, pages *page.Cache) http.Handler {
			return before(hi, around(func(c *echo.Context, next func()) {
				writer, request := c.Response(), c.Request()
				next()
				if r := response(c); !r.Committed || r.Status != 200 || r.Size != 2 || c.Response() != writer || c.Request() != request {
					t.Errorf("committed %v, %d, %d bytes", r.Committed, r.Status, r.Size)
				}
			}))(t, pages)
		}, Status: 200, Text: "hi", Stored: true},
		{Name: "what they see of a 304", Header: []string{`If-None-Match: "v1"`}, New: func(t *testing.T, pages *page.Cache) http.Handler {
			return before(func(c *echo.Context) error { c.Response().Header().Set("Etag", `"v1"`); return hi(c) }, around(func(c *echo.Context, next func()) {
				if next(); response(c).Status != 304 || !response(c).Committed {
					t.Errorf("%d", response(c).Status)
				}
			}))(t, pages)
		}, Status: 304, Stored: true},
		{Name: "Recover before the cache", New: func(t *testing.T, pages *page.Cache) http.Handler {
			return before(func(c *echo.Context) error { _ = hi(c); panic("oops") }, around(func(c *echo.Context, next func()) {
				writer, request := c.Response(), c.Request()
				if next(); c.Response() != writer || c.Request() != request {
					t.Error("the context is not as it was")
				}
			}), middleware.RecoverWithConfig(middleware.RecoverConfig{DisablePrintStack: true}))(t, pages)
		}, Status: 200, Text: "hi"},
		{Name: "Recover behind the cache, in time", New: behind(func(*echo.Context) error { panic("oops") },
			middleware.RecoverWithConfig(middleware.RecoverConfig{DisablePrintStack: true})), Status: 500, Text: "{\"message\":\"Internal Server Error\"}\n"},
		{Name: "Recover behind the cache", New: behind(func(c *echo.Context) error { _ = hi(c); panic("oops") },
			middleware.RecoverWithConfig(middleware.RecoverConfig{DisablePrintStack: true})), Status: 200, Text: "hi"},
		{Name: "BodyDump before the cache", New: func(t *testing.T, pages *page.Cache) http.Handler {
			return before(hi, middleware.BodyDump(func(_ *echo.Context, _, body []byte, _ error) {
				if string(body) != "hi" {
					t.Errorf("dumped %q", body)
				}
			}))(t, pages)
		}, Status: 200, Text: "hi", Stored: true},
		{Name: "BodyDump behind the cache", New: func(t *testing.T, pages *page.Cache) http.Handler {
			n := 0
			return behind(hi, middleware.BodyDump(func(_ *echo.Context, _, body []byte, _ error) {
				if n++; n > 1 || string(body) != "hi" {
					t.Errorf("dumped %q", body)
				}
			}))(t, pages)
		}, Status: 200, Text: "hi", Stored: true},
		{Name: "Gzip before the cache", Header: []string{"Accept-Encoding: identity"}, New: before(hi, middleware.Gzip()), Status: 200, Text: "hi", Stored: true,
			Check: func(t *testing.T, _, second pagetest.Answer) {
				for _, header := range []string{"", `"v1"`} {
					r := second.Request.Clone(t.Context())
					r.Header.Set("Accept-Encoding", "gzip")
					if header != "" {
						r.Header.Set("If-None-Match", header)
					}
					for range 2 {
						a, err := (&pagetest.App{T: t}).Do(r)
						if err != nil || a.Header.Get("Content-Encoding") != "gzip" || unzip(t, a.Text) != "hi" {
							t.Errorf("%v: %v %q", err, a.Header, a.Text)
						}
					}
				}
				r := second.Request.Clone(t.Context())
				if a, err := (&pagetest.App{T: t}).Do(r); err != nil || a.Text != "hi" || a.Header.Get("Content-Encoding") != "" {
					t.Errorf("%q %v", a.Text, a.Header)
				}
			}},
		{Name: "Page", New: func(_ *testing.T, pages *page.Cache) http.Handler {
			e := newEcho()
			e.GET("/", echomw.Page(pages, time.Hour, hi))
			return e
		}, Options: page.Options{TTL: -1}, Status: 200, Text: "hi", Stored: true},
		{Name: "a hidden parameter that was read before", Target: "/?a=1&evil=1&evil=2", Options: page.Options{OnlyParams: []string{"a"}},
			New: func(t *testing.T, pages *page.Cache) http.Handler {
				return before(func(c *echo.Context) error {
					return c.String(200, c.QueryParam("a")+c.QueryParam("evil")+strings.Join(c.QueryParams()["evil"], "")+c.FormValue("evil")+c.QueryString())
				}, around(func(c *echo.Context, next func()) {
					if c.QueryParam("evil") != "1" {
						t.Error("no parameter")
					}
					if next(); c.QueryParam("evil") != "1" || !strings.Contains(c.QueryString(), "evil") {
						t.Error("the outer middleware has lost its request")
					}
				}))(t, pages)
			}, Status: 200, Text: "1a=1", Stored: true},
	})
}
