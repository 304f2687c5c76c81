package ginmw

import (
	"bufio"
	"net"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/strata-cache/strata/stats"
)

// Monitor returns a middleware that traces what each request does to its caches, tells it in a
// Server-Timing field of the response and, with a Logger, in a log record. The caches have to be observed
// by a stats.Recorder. The response is otherwise the same as without it.
//
// It belongs outside of a page cache: register it first. The route in the record is c.FullPath(). The body
// of Gin's own 404 and 405 is written after all middlewares and is not in the record's bytes.
func Monitor(opts stats.MonitorOptions) gin.HandlerFunc {
	m := stats.NewMonitor(opts)
	return func(c *gin.Context) {
		r, x := m.Begin(c.Request)
		if x == nil {
			c.Next()
			return
		}
		c.Request = r
		w := &monitored{c.Writer, x}
		c.Writer = w
		panicked := true
		defer func() {
			w.end(panicked)
			if c.Writer == gin.ResponseWriter(w) {
				c.Writer = w.ResponseWriter
			}
			x.End(c.FullPath(), panicked)
		}()
		c.Next()
		panicked = false
	}
}

// monitored announces before Gin writes the header, which its WriteHeader does not do.
type monitored struct {
	gin.ResponseWriter
	x *stats.Exchange
}

// Unwrap returns the writer behind, for http.ResponseController.
func (w *monitored) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *monitored) WriteHeaderNow() {
	w.x.Announce(w.Header())
	w.ResponseWriter.WriteHeaderNow()
}

func (w *monitored) Write(b []byte) (int, error) {
	w.x.Announce(w.Header())
	return w.ResponseWriter.Write(b)
}

func (w *monitored) WriteString(s string) (int, error) {
	w.x.Announce(w.Header())
	return w.ResponseWriter.WriteString(s)
}

func (w *monitored) Flush() {
	w.x.Announce(w.Header())
	w.ResponseWriter.Flush()
}

func (w *monitored) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := w.ResponseWriter.Hijack()
	if err == nil {
		w.x.NoteHijack()
	}
	return c, rw, err
}

// end tells the exchange what has become of the response. A status that a handler has only set is written
// by Gin after the last middleware; after a panic, what handles the panic decides.
func (w *monitored) end(panicked bool) {
	if !w.Written() {
		w.x.Announce(w.Header())
		if panicked {
			return
		}
	}
	w.x.Note(w.Status(), int64(max(w.Size(), 0)))
}
