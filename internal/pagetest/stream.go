package pagetest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"testing"
)

var streamCases = []testCase{
	{"what is flushed arrives", func(t *testing.T, build Build) {
		release := make(chan struct{})
		app := start(t, build, serve(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "first ")
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Errorf("Flush: %v", err)
			}
			<-release
			_, _ = io.WriteString(w, "second")
		}))
		res, err := http.DefaultClient.Do(app.Request(http.MethodGet, "/"))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		got := make([]byte, 6)
		if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != "first " {
			t.Fatalf("before the handler has ended: %q, %v", got, err)
		}
		close(release)
		if rest, err := io.ReadAll(res.Body); err != nil || string(rest) != "second" {
			t.Errorf("then %q, %v", rest, err)
		}
	}},
	{"a connection can be hijacked", func(t *testing.T, build Build) {
		app := start(t, build, serve(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Errorf("Hijack: %v", err)
				return
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nraw")
		}))
		for _, header := range []string{"", "Connection: Upgrade\r\nUpgrade: test\r\n"} {
			_, r := app.raw("GET / HTTP/1.1\r\nHost: x\r\n" + header + "\r\n")
			if all, _ := io.ReadAll(r); !strings.HasSuffix(string(all), "\r\n\r\nraw") {
				t.Errorf("%q: got %q", header, all)
			}
		}
		app.WantRuns(2)
	}},
	{"an informational answer comes first", func(t *testing.T, build Build) {
		app := start(t, build, serve(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</style.css>; rel=preload")
			unwrap(w).WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusOK)
			_, _ = io.WriteString(w, "body")
		}))
		for i := range 2 {
			var hints []string
			r := app.Request(http.MethodGet, "/")
			r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
				Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
					hints = append(hints, fmt.Sprint(code, h["Link"]))
					return nil
				},
			}))
			a, err := app.Do(r)
			if err != nil || a.StatusCode != 200 || a.Text != "body" {
				t.Errorf("answer %d: %d %q, %v", i, a.StatusCode, a.Text, err)
			}
			if want := 1 - i; len(hints) != want {
				t.Errorf("answer %d came with hints %q", i, hints)
			}
		}
	}},
	{"trailers reach the one who asked", func(t *testing.T, build Build) {
		app := start(t, build, serve(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/declared" {
				w.Header().Set("Trailer", "X-Sum")
			}
			_, _ = io.WriteString(w, "body")
			_ = http.NewResponseController(w).Flush()
			w.Header().Set("X-Sum", "1")
			w.Header().Set(http.TrailerPrefix+"X-Late", "2")
		}))
		for _, target := range []string{"/declared", "/"} {
			for i := range 2 {
				a := app.Get(target)
				declared := target == "/declared"
				if a.Text != "body" || a.Hit() != (i == 1 && !declared) || a.Header.Get("X-Late")+a.Header.Get("X-Sum") != "" {
					t.Errorf("%s: %q %v", target, a.Text, a.Header)
				}
				if got := a.Trailer.Get("X-Late"); (got == "2") == a.Hit() || declared && a.Trailer.Get("X-Sum") != "1" {
					t.Errorf("%s: the trailers of answer %d are %v", target, i, a.Trailer)
				}
			}
		}
	}},
	{"a panic stores nothing", func(t *testing.T, build Build) {
		var broken sync.Once
		app := start(t, build, serve(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "body")
			broken.Do(func() { panic(http.ErrAbortHandler) })
		}))
		if a, err := app.Do(app.Request(http.MethodGet, "/")); err == nil && a.Err == nil && a.StatusCode == 200 && a.ContentLength >= 0 {
			t.Errorf("the aborted answer looks complete: %d %q", a.StatusCode, a.Text)
		}
		if a := app.Get("/"); a.Hit() || a.Text != "body" {
			t.Errorf("then %q (%s)", a.Text, a.CacheStatus())
		}
		if a := app.Get("/"); !a.Hit() {
			t.Errorf("and then %s", a.CacheStatus())
		}
	}},
	{"a body that is cut off is not stored", func(t *testing.T, build Build) {
		app := start(t, build, serve(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "short")
		}))
		for range 2 {
			if a, err := app.Do(app.Request(http.MethodGet, "/")); err == nil && a.Err == nil {
				t.Errorf("got a whole answer %q", a.Text)
			}
		}
		app.WantRuns(2)
	}},
	{"a client that leaves does not spoil the page", func(t *testing.T, build Build) {
		begun, left := make(chan struct{}), make(chan struct{})
		var once sync.Once
		app := start(t, build, serve(func(w http.ResponseWriter, r *http.Request) {
			once.Do(func() {
				close(begun)
				<-left
				<-r.Context().Done() // nobody else waits: the handler may stop
			})
			_, _ = io.WriteString(w, "body")
		}))
		conn, _ := app.raw("GET / HTTP/1.1\r\nHost: " + app.Server.Listener.Addr().String() + "\r\n\r\n")
		<-begun
		conn.Close()
		close(left)
		for range 2 {
			if a := app.Get("/"); a.Text != "body" || a.Err != nil {
				t.Errorf("%q, %v", a.Text, a.Err)
			}
		}
	}},
}

// unwrap returns the server's own writer: an informational status that is given to a framework's writer
// may be lost there, with a page cache or without.
func unwrap(w http.ResponseWriter) http.ResponseWriter {
	for {
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = u.Unwrap()
	}
}
