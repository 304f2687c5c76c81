package echomw_test

import (
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/labstack/echo/v5"

	echomw "github.com/strata-cache/strata/echomw/v5"
	"github.com/strata-cache/strata/internal/monitortest"
	"github.com/strata-cache/strata/stats"
)

var wildcard = regexp.MustCompile(`\{(\w+)\}`)

func template(path string) string { return wildcard.ReplaceAllString(path, ":$1") }

func newEcho() *echo.Echo {
	e := echo.New()
	e.Logger = slog.New(slog.DiscardHandler)
	return e
}

func TestMonitor(t *testing.T) {
	monitortest.Run(t, monitortest.Adapter{
		New: func(monitors []stats.MonitorOptions, routes map[string]http.HandlerFunc) http.Handler {
			e := newEcho()
			for _, opts := range monitors {
				e.Use(echomw.Monitor(opts))
			}
			for path, h := range routes {
				e.Any(template(path), func(c *echo.Context) error {
					h(c.Response(), c.Request())
					return nil
				})
			}
			return e
		},
		Template: template,
	})
}

func TestMonitorEchoIdioms(t *testing.T) {
	idiom := func(name string, status int, size int64, h echo.HandlerFunc, setup ...func(*echo.Echo)) monitortest.Idiom {
		return monitortest.Idiom{
			Name: name, Status: status, Bytes: size,
			New: func(_ *testing.T, monitors []stats.MonitorOptions, hit func(*http.Request)) http.Handler {
				e := newEcho()
				for _, opts := range monitors {
					e.Use(echomw.Monitor(opts))
				}
				e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
					return func(c *echo.Context) error {
						hit(c.Request())
						return next(c)
					}
				})
				for _, f := range setup {
					f(e)
				}
				if h != nil {
					e.Any("/", h)
				}
				return e
			},
		}
	}
	// Adds to what is there, as a handler that does not look whether the response has begun.
	careless := func(e *echo.Echo) {
		e.HTTPErrorHandler = func(c *echo.Context, err error) {
			_ = c.String(http.StatusTeapot, err.Error())
		}
	}
	silent := func(e *echo.Echo) { e.HTTPErrorHandler = func(c *echo.Context, err error) {} }
	fail := func(*echo.Context) error { return errors.New("lost") }
	monitortest.RunIdioms(t, []monitortest.Idiom{
		idiom("String", 200, 2, func(c *echo.Context) error { return c.String(200, "hi") }),
		idiom("JSON", 201, 8, func(c *echo.Context) error { return c.JSON(201, map[string]int{"a": 1}) }),
		idiom("NoContent", 204, 0, func(c *echo.Context) error { return c.NoContent(204) }),
		idiom("Redirect", 302, 0, func(c *echo.Context) error { return c.Redirect(302, "/x") }),
		idiom("nothing", 200, 0, func(*echo.Context) error { return nil }),
		idiom("Stream", 200, 3, func(c *echo.Context) error { return c.Stream(200, "text/plain", strings.NewReader("abc")) }),
		idiom("HTTP error", 409, -1, func(*echo.Context) error { return echo.NewHTTPError(409, "taken") }),
		idiom("other error", 500, -1, fail),
		idiom("error after the response", 200, 2, func(c *echo.Context) error { _ = c.String(200, "hi"); return errors.New("late") }),
		idiom("no route", 404, -1, nil),
		idiom("careless error handler", 418, 4, fail, careless),
		idiom("error handler that writes nothing", 200, 0, fail, silent),
		idiom("recovered panic", 500, -1, func(*echo.Context) error { panic("oh") }, use(recovering)),
		idiom("replaced writer", 200, 4, func(c *echo.Context) error { return c.String(200, "hi") }, use(doubling)),
		idiom("error behind a replaced writer", 500, -1, fail, use(doubling)),
	})
}

func use(m echo.MiddlewareFunc) func(*echo.Echo) { return func(e *echo.Echo) { e.Use(m) } }

// recovering makes an error of a panic.
func recovering(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c *echo.Context) (err error) {
		defer func() {
			if recover() != nil {
				err = errors.New("panicked")
			}
		}()
		return next(c)
	}
}

// doubling writes everything twice, through a writer that it takes away again, as compression does.
func doubling(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c *echo.Context) error {
		res, err := echo.UnwrapResponse(c.Response())
		if err != nil {
			return err
		}
		behind := res.ResponseWriter
		defer func() { res.ResponseWriter = behind }()
		res.ResponseWriter = doubled{behind}
		return next(c)
	}
}

type doubled struct{ http.ResponseWriter }

func (w doubled) Write(b []byte) (int, error) {
	if n, err := w.ResponseWriter.Write(b); err != nil {
		return n, err
	}
	return w.ResponseWriter.Write(b)
}

func ExampleMonitor() {
	e := echo.New()
	e.Use(echomw.Monitor(stats.MonitorOptions{Logger: slog.Default(), SampleEvery: 100}))
	e.GET("/item/:id", func(c *echo.Context) error {
		// Caches asked with c.Request().Context() appear in Server-Timing.
		return c.String(http.StatusOK, "hello")
	})
}
