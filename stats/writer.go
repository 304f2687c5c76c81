package stats

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// Writer returns a writer for the response of the exchange, which passes everything on to w and notes the
// status and size. It is a http.Flusher and has Unwrap for http.ResponseController; it is a http.Hijacker
// and io.ReaderFrom, or a http.Pusher, where w is. Informational responses pass through untouched.
func (x *Exchange) Writer(w http.ResponseWriter) http.ResponseWriter {
	x.writer = writer{w, x}
	switch w.(type) {
	case http.Hijacker:
		return http1Writer{&x.writer}
	case http.Pusher:
		return http2Writer{&x.writer}
	default:
		return &x.writer
	}
}

type writer struct {
	http.ResponseWriter
	x *Exchange
}

// Unwrap returns the writer behind, for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader announces and passes on a final status.
func (w *writer) WriteHeader(status int) {
	if status < 200 && status >= 100 && status != http.StatusSwitchingProtocols {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.x.Announce(w.Header())
	w.ResponseWriter.WriteHeader(status)
	w.committed(status)
}

func (w *writer) committed(status int) {
	if w.x.status == 0 {
		w.x.status = status
	}
}

// Write leaves the implicit status to the writer behind.
func (w *writer) Write(b []byte) (int, error) {
	w.x.Announce(w.Header())
	n, err := w.ResponseWriter.Write(b)
	w.wrote(int64(n))
	return n, err
}

// WriteString is Write without a copy, where the writer behind can do that.
func (w *writer) WriteString(s string) (int, error) {
	w.x.Announce(w.Header())
	n, err := io.WriteString(w.ResponseWriter, s)
	w.wrote(int64(n))
	return n, err
}

func (w *writer) wrote(n int64) {
	w.committed(http.StatusOK)
	w.x.bytes += n
}

// Flush does nothing where the writer behind cannot flush.
func (w *writer) Flush() { _ = w.FlushError() }

// FlushError returns http.ErrNotSupported where the writer behind cannot flush.
func (w *writer) FlushError() error {
	w.x.Announce(w.Header())
	err := http.NewResponseController(w.ResponseWriter).Flush()
	if err == nil {
		w.committed(http.StatusOK)
	}
	return err
}

// http1Writer adds what the server's HTTP/1 writer can do beyond the interface.
type http1Writer struct{ *writer }

// Hijack takes over the connection.
func (w http1Writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.x.NoteHijack()
	}
	return c, rw, err
}

// ReadFrom lets the writer behind send a file without copying it through this process.
func (w http1Writer) ReadFrom(src io.Reader) (int64, error) {
	w.x.Announce(w.Header())
	n, err := io.Copy(w.ResponseWriter, src)
	if n > 0 {
		w.wrote(n)
	}
	return n, err
}

// http2Writer adds server push.
type http2Writer struct{ *writer }

// Push initiates an HTTP/2 server push.
func (w http2Writer) Push(target string, opts *http.PushOptions) error {
	return w.ResponseWriter.(http.Pusher).Push(target, opts)
}
