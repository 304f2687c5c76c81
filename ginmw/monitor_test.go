package ginmw_test

import (
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/strata-cache/strata/ginmw"
	"github.com/strata-cache/strata/internal/monitortest"
	"github.com/strata-cache/strata/stats"
)

var wildcard = regexp.MustCompile(`\{(\w+)\}`)

func template(path string) string { return wildcard.ReplaceAllString(path, ":$1") }

func newEngine() *gin.Engine {
	gin.SetMode(gin.TestMode)
	return gin.New()
}

func TestMonitor(t *testing.T) {
	monitortest.Run(t, monitortest.Adapter{
		New: func(monitors []stats.MonitorOptions, routes map[string]http.HandlerFunc) http.Handler {
			e := newEngine()
			for _, opts := range monitors {
				e.Use(ginmw.Monitor(opts))
			}
			for path, h := range routes {
				e.Any(template(path), func(c *gin.Context) { h(c.Writer, c.Request) })
			}
			return e
		},
		Template: template,
	})
}

func TestMonitorGinIdioms(t *testing.T) {
	idiom := func(name string, status int, size int64, h gin.HandlerFunc) monitortest.Idiom {
		return monitortest.Idiom{
			Name: name, Status: status, Bytes: size,
			New: func(_ *testing.T, monitors []stats.MonitorOptions, hit func(*http.Request)) http.Handler {
				e := newEngine()
				for _, opts := range monitors {
					e.Use(ginmw.Monitor(opts))
				}
				e.Use(func(c *gin.Context) { hit(c.Request) })
				if h != nil {
					e.Any("/", h)
				}
				return e
			},
		}
	}
	monitortest.RunIdioms(t, []monitortest.Idiom{
		idiom("String", 200, 2, func(c *gin.Context) { c.String(200, "hi") }),
		idiom("JSON", 201, 7, func(c *gin.Context) { c.JSON(201, gin.H{"a": 1}) }),
		idiom("Status only", 202, 0, func(c *gin.Context) { c.Status(202) }),
		idiom("AbortWithStatus", 403, 0, func(c *gin.Context) { c.AbortWithStatus(403) }),
		idiom("Redirect", 307, -1, func(c *gin.Context) { c.Redirect(307, "/x") }),
		idiom("Stream", 200, 4, func(c *gin.Context) {
			n := 0
			c.Stream(func(w io.Writer) bool {
				n++
				_, _ = io.WriteString(w, "ab")
				return n < 2
			})
		}),
		idiom("error left to a middleware", 400, -1, func(c *gin.Context) { _ = c.AbortWithError(400, io.EOF) }),
		idiom("no route", 404, -1, nil),
		idiom("own middleware replaces the writer", 200, 4, func(c *gin.Context) {
			c.Writer = doubling{c.Writer}
			c.String(200, "hi")
		}),
	})
}

// doubling writes everything twice, and stays in the context as such writers do.
type doubling struct{ gin.ResponseWriter }

func (w doubling) Write(b []byte) (int, error) {
	if n, err := w.ResponseWriter.Write(b); err != nil {
		return n, err
	}
	return w.ResponseWriter.Write(b)
}

func TestMonitorLeavesAReplacedWriter(t *testing.T) {
	monitortest.RunIdioms(t, []monitortest.Idiom{{
		Name: "a middleware further out writes on", Status: 200, Bytes: 4,
		New: func(_ *testing.T, monitors []stats.MonitorOptions, hit func(*http.Request)) http.Handler {
			e := newEngine()
			e.Use(func(c *gin.Context) {
				c.Next()
				_, _ = c.Writer.Write([]byte("!"))
			})
			for _, opts := range monitors {
				e.Use(ginmw.Monitor(opts))
			}
			e.Any("/", func(c *gin.Context) {
				hit(c.Request)
				c.Writer = doubling{c.Writer}
				c.String(200, "hi")
			})
			return e
		},
	}})
}

func TestMonitorUnderRecovery(t *testing.T) {
	monitortest.RunIdioms(t, []monitortest.Idiom{{
		Name: "a panic", Status: 500, Bytes: 0,
		New: func(_ *testing.T, monitors []stats.MonitorOptions, hit func(*http.Request)) http.Handler {
			e := newEngine()
			e.Use(gin.RecoveryWithWriter(io.Discard))
			for _, opts := range monitors {
				e.Use(ginmw.Monitor(opts))
			}
			e.Any("/", func(c *gin.Context) { hit(c.Request); panic("oh") })
			return e
		},
	}})
}

func ExampleMonitor() {
	r := gin.New()
	r.Use(ginmw.Monitor(stats.MonitorOptions{Logger: slog.Default(), SampleEvery: 100}))
	r.GET("/item/:id", func(c *gin.Context) {
		// Caches asked with c.Request.Context() appear in Server-Timing.
		c.String(http.StatusOK, "hello")
	})
}
