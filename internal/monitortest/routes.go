package monitortest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

const fileSize = 100_000

func newFile(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file.bin")
	if err := os.WriteFile(name, bytes.Repeat([]byte("0123456789"), fileSize/10), 0o600); err != nil {
		t.Fatal(err)
	}
	// The same in both runs, since it is sent as Last-Modified.
	if err := os.Chtimes(name, time.Time{}, time.Unix(1_700_000_000, 0)); err != nil {
		t.Fatal(err)
	}
	return name
}

// routes are handlers that do with a response what handlers do. All but /plain hit the cache first.
func (a *app) routes() map[string]http.HandlerFunc {
	hit := func(f http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			a.get(r, 1)
			f(w, r)
		}
	}
	return map[string]http.HandlerFunc{
		"/plain":     func(w http.ResponseWriter, _ *http.Request) { write(w, "plain") },
		"/item/{id}": func(w http.ResponseWriter, r *http.Request) { write(w, a.get(r, 77)) },
		"/mixed": func(w http.ResponseWriter, r *http.Request) {
			a.get(r, 1)
			a.get(r, 2)
			a.get(r, 2)
			a.get(r, 1)
			write(w, "mixed")
		},
		"/negative": func(w http.ResponseWriter, r *http.Request) {
			a.get(r, -1)
			a.get(r, -1)
			http.Error(w, "not found", http.StatusNotFound)
		},
		"/hit":       func(w http.ResponseWriter, r *http.Request) { write(w, a.get(r, 1)) },
		"/nocontent": hit(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }),
		"/notmodified": hit(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"v1"`)
			w.WriteHeader(http.StatusNotModified)
		}),
		"/redirect": hit(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/hit", http.StatusFound) }),
		"/empty":    hit(func(http.ResponseWriter, *http.Request) {}),
		"/error": hit(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			write(w, "sorry")
		}),
		"/own": hit(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Add("Server-Timing", "db;dur=5")
			w.Header().Add("Server-Timing", `app;desc="x, y"`)
			write(w, "own")
		}),
		"/stream": hit(func(w http.ResponseWriter, r *http.Request) {
			write(w, "first ")
			w.(http.Flusher).Flush()
			<-a.goOn
			a.get(r, 3)
			write(w, "later")
		}),
		"/flushfirst": hit(func(w http.ResponseWriter, _ *http.Request) {
			if err := http.NewResponseController(w).Flush(); err != nil {
				panic(err)
			}
			write(w, "abc")
		}),
		"/hijack":    hit(takeOver),
		"/panic":     hit(func(http.ResponseWriter, *http.Request) { panic("oh") }),
		"/panicpart": hit(func(w http.ResponseWriter, _ *http.Request) { write(w, "part"); flush(w); panic(http.ErrAbortHandler) }),
		"/trailers": hit(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-Sum")
			write(w, "body")
			w.Header().Set("X-Sum", "42")
			w.Header().Set(http.TrailerPrefix+"X-Late", "1")
		}),
		"/deadlines": hit(func(w http.ResponseWriter, _ *http.Request) {
			c, soon := http.NewResponseController(w), time.Now().Add(time.Minute)
			for _, err := range []error{c.SetReadDeadline(soon), c.SetWriteDeadline(soon), c.EnableFullDuplex()} {
				if err != nil {
					panic(err)
				}
			}
			write(w, "ok")
		}),
		"/file": hit(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, a.file) }),
		"/range": hit(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("Range", "bytes=500-1499")
			http.ServeFile(w, r, a.file)
		}),
		"/early": hit(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</a.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusTeapot)
			write(w, "late")
		}),
		"/form": hit(func(w http.ResponseWriter, r *http.Request) {
			if err := r.ParseMultipartForm(1); err != nil {
				panic(err)
			}
			write(w, "ok")
		}),
	}
}

// get looks a user up.
func (a *app) get(r *http.Request, id int) string {
	v, err := a.users.Get(r.Context(), id)
	if err != nil && id > 0 {
		a.t.Errorf("get %d: %v", id, err)
	}
	return v
}

func write(w io.Writer, s string) {
	// The client may have left, or there may be no body by the status.
	_, _ = io.WriteString(w, s)
}

func flush(w http.ResponseWriter) { w.(http.Flusher).Flush() }

// takeOver echoes a line on the bare connection.
func takeOver(w http.ResponseWriter, _ *http.Request) {
	conn, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	write(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	if err := rw.Flush(); err != nil {
		panic(err)
	}
	line, err := rw.ReadString('\n')
	if err != nil {
		panic(err)
	}
	fmt.Fprint(rw, "echo "+line)
	_ = rw.Flush()
}
