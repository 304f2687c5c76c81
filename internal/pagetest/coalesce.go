package pagetest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/page"
)

// crowd sends n requests at once and returns their answers.
func (app *App) crowd(n int, request func(i int) *http.Request) []Answer {
	answers := make([]Answer, n)
	transport := &http.Transport{MaxConnsPerHost: 0, DisableCompression: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			res, err := client.Do(request(i))
			if err != nil {
				answers[i] = Answer{Err: err}
				return
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			answers[i] = Answer{res, string(body), err}
		})
	}
	wg.Wait()
	return answers
}

// waiters is how many requests have to be on their way before the handler answers; what has arrived is
// counted by the middleware before the cache.
type waiters struct {
	mu   sync.Mutex
	n    int
	full chan struct{}
	want int
}

func newWaiters(want int) *waiters { return &waiters{want: want, full: make(chan struct{})} }

func (w *waiters) arrive(http.ResponseWriter, *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n++; w.n == w.want {
		close(w.full)
	}
}

var coalesceCases = []testCase{
	{"1,000 cold requests, one run", func(t *testing.T, build Build) {
		n := 1000
		if race {
			n = 300 // each costs ten times as much
		}
		w := newWaiters(n)
		o := serve(func(rw http.ResponseWriter, _ *http.Request) {
			<-w.full
			_, _ = io.WriteString(rw, "body")
		})
		o.page.HardTimeout = -1 // a machine that is busy may take a while to send so many
		o.setup.Outer = w.arrive
		app := start(t, build, o)
		collapsed := 0
		for _, a := range app.crowd(n, func(int) *http.Request { return app.Request(http.MethodGet, "/") }) {
			if a.Err != nil || a.Text != "body" || a.StatusCode != 200 {
				t.Fatalf("%q, %v", a.Text, a.Err)
			}
			if strings.Contains(a.CacheStatus(), "collapsed") {
				collapsed++
			}
		}
		app.WantRuns(1)
		if collapsed == 0 {
			t.Error("nobody waited")
		}
	}},
	{"what cannot be shared runs in parallel", func(t *testing.T, build Build) {
		const n = 20
		for _, header := range []string{"Set-Cookie: a=b", "Cache-Control: private", "Cache-Control: no-store", "Vary: *"} {
			all := newWaiters(n)
			o := serve(func(w http.ResponseWriter, r *http.Request) {
				name, value, _ := strings.Cut(header, ": ")
				w.Header().Set(name, value)
				_, _ = w.Write(nil) // Gin begins an answer with a write
				// Only if all run at once does any of them go on.
				all.arrive(w, r)
				select {
				case <-all.full:
				case <-time.After(patience):
					t.Errorf("%s: the runs wait for each other", header)
				}
				_, _ = io.WriteString(w, r.Header.Get("X-Me"))
			})
			o.page.HardTimeout = -1 // which must not be what releases them
			app := start(t, build, o)
			for i, a := range app.crowd(n, func(i int) *http.Request { return app.Request(http.MethodGet, "/", fmt.Sprintf("X-Me: %d", i)) }) {
				if a.Text != fmt.Sprint(i) {
					t.Errorf("%s: request %d got %q", header, i, a.Text)
				}
			}
			app.WantRuns(n)
		}
	}},
	{"variants are not mixed up", func(t *testing.T, build Build) {
		const n = 60
		w := newWaiters(n)
		o := serve(func(rw http.ResponseWriter, r *http.Request) {
			<-w.full
			rw.Header().Set("Vary", "X-A")
			_, _ = io.WriteString(rw, r.Header.Get("X-A"))
		})
		o.setup.Outer = w.arrive
		app := start(t, build, o)
		for i, a := range app.crowd(n, func(i int) *http.Request { return app.Request(http.MethodGet, "/", fmt.Sprintf("X-A: %d", i%3)) }) {
			if a.Text != fmt.Sprint(i%3) {
				t.Errorf("variant %d got %q", i%3, a.Text)
			}
		}
		app.WantRuns(3)
	}},
	{"credentials are not mixed up", func(t *testing.T, build Build) {
		const n = 30
		w := newWaiters(n)
		o := serve(func(rw http.ResponseWriter, r *http.Request) {
			<-w.full
			_, _ = io.WriteString(rw, r.Header.Get("Authorization"))
		})
		o.setup.Outer = w.arrive
		app := start(t, build, o)
		for i, a := range app.crowd(n, func(i int) *http.Request {
			if i%2 == 0 {
				return app.Request(http.MethodGet, "/")
			}
			return app.Request(http.MethodGet, "/", fmt.Sprintf("Authorization: %d", i))
		}) {
			want := ""
			if i%2 == 1 {
				want = fmt.Sprint(i)
			}
			if a.Text != want {
				t.Errorf("request %d got %q, want %q", i, a.Text, want)
			}
		}
	}},
	{"a leader that leaves costs nothing", func(t *testing.T, build Build) {
		begun, finish := make(chan struct{}), make(chan struct{})
		o := serve(func(w http.ResponseWriter, r *http.Request) {
			close(begun) // a second run would panic
			select {
			case <-finish:
			case <-r.Context().Done():
				t.Error("the handler's context has ended with its first client")
			}
			for range 64 {
				_, _ = io.WriteString(w, strings.Repeat("x", 1024))
			}
		})
		left := newDepartures()
		o.page.HardTimeout = -1
		o.setup.Outer = left.watch
		app := start(t, build, o)
		conn, _ := app.raw("GET / HTTP/1.1\r\nX-Leaves: 1\r\nHost: " + app.Server.Listener.Addr().String() + "\r\n\r\n")
		<-begun
		follower := make(chan Answer, 1)
		go func() {
			a, err := app.Do(app.Request(http.MethodGet, "/"))
			if err != nil {
				a.Err = err
			}
			follower <- a
		}()
		untilWaiting(t, 1)
		conn.Close()
		left.wait(t)
		close(finish)
		if a := <-follower; a.Err != nil || len(a.Text) != 64*1024 {
			t.Errorf("the follower got %d bytes, %v", len(a.Text), a.Err)
		}
		app.WantRuns(1)
		if a := app.Get("/"); !a.Hit() {
			t.Errorf("the page was not stored: %d %q %v", a.StatusCode, a.Text[:min(len(a.Text), 80)], a.Header)
		}
	}},
	{"a leader that panics costs one run", func(t *testing.T, build Build) {
		const n = 20
		w := newWaiters(n)
		var first sync.Once
		o := serve(func(rw http.ResponseWriter, _ *http.Request) {
			<-w.full
			first.Do(func() { panic(http.ErrAbortHandler) })
			_, _ = io.WriteString(rw, "body")
		})
		o.setup.Outer = w.arrive
		app := start(t, build, o)
		failed := 0
		for _, a := range app.crowd(n, func(int) *http.Request { return app.Request(http.MethodGet, "/") }) {
			if a.Err != nil || a.StatusCode != 200 {
				failed++
			} else if a.Text != "body" {
				t.Errorf("got %q", a.Text)
			}
		}
		if failed > 1 {
			t.Errorf("%d requests failed, only the one that panicked may", failed)
		}
		app.WantRuns(2)
	}},
	{"failures do not queue", func(t *testing.T, build Build) {
		const n = 20
		all := newWaiters(n)
		o := serve(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write(nil)
			all.arrive(w, r)
			select {
			case <-all.full:
			case <-time.After(patience):
				t.Error("the runs wait for each other")
			}
		})
		o.page.HardTimeout = -1
		app := start(t, build, o)
		for _, a := range app.crowd(n, func(int) *http.Request { return app.Request(http.MethodGet, "/") }) {
			if a.StatusCode != 500 {
				t.Errorf("%d, %v", a.StatusCode, a.Err)
			}
		}
	}},
	{"a follower leaves at its own deadline", func(t *testing.T, build Build) {
		begun, finish := make(chan struct{}), make(chan struct{})
		o := serve(func(w http.ResponseWriter, _ *http.Request) {
			close(begun)
			<-finish
			_, _ = io.WriteString(w, "body")
		})
		app := start(t, build, o)
		leader := make(chan Answer, 1)
		go func() {
			a, err := app.Do(app.Request(http.MethodGet, "/"))
			a.Err = err
			leader <- a
		}()
		<-begun
		h := app.Server.Config.Handler
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		r := app.Request(http.MethodGet, "/").WithContext(ctx)
		r.Host, r.RequestURI = app.Server.Listener.Addr().String(), "/"
		w := newResponse()
		h.ServeHTTP(w, r) // returns while the handler still runs
		if w.status != http.StatusServiceUnavailable {
			t.Errorf("answered %d", w.status)
		}
		close(finish)
		if a := <-leader; a.Err != nil || a.Text != "body" {
			t.Errorf("the leader got %q, %v", a.Text, a.Err)
		}
		app.WantRuns(1)
	}},
	{"a page that is purged while it is made is not stored", func(t *testing.T, build Build) {
		for _, vary := range []string{"", "X-A"} {
			begun, finish := make(chan struct{}, 9), make(chan struct{})
			app := start(t, build, serve(func(w http.ResponseWriter, r *http.Request) {
				if vary != "" {
					w.Header().Set("Vary", vary)
				}
				if r.Header.Get("X-A") != "warm" {
					begun <- struct{}{}
					<-finish
				}
				_, _ = io.WriteString(w, "old")
			}))
			if vary != "" {
				app.Get("/", "X-A: warm")
			}
			done := make(chan Answer, 1)
			go func() {
				a, _ := app.Do(app.Request(http.MethodGet, "/", "X-A: 1"))
				done <- a
			}()
			<-begun
			if _, err := app.Pages.Purge(t.Context(), app.Server.URL+"/"); err != nil {
				t.Fatal(err)
			}
			close(finish)
			if a := <-done; a.Text != "old" {
				t.Errorf("the one who asked got %q", a.Text)
			}
			if a := app.Get("/", "X-A: 1"); a.Hit() {
				t.Errorf("Vary %q: what was made before the purge was stored", vary)
			}
		}
	}},
	{"pages inside of pages do not wait for themselves", func(t *testing.T, build Build) {
		var app *App
		o := serve(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/outer" {
				inner := newResponse()
				again := r.Clone(r.Context())
				again.URL.Path, again.RequestURI = "/inner", "/inner"
				app.Server.Config.Handler.ServeHTTP(inner, again)
				_, _ = io.WriteString(w, "outer+"+inner.body.String())
				return
			}
			_, _ = io.WriteString(w, "inner")
		})
		app = start(t, build, o)
		for range 2 {
			if a := app.Get("/outer"); a.Text != "outer+inner" {
				t.Errorf("%q", a.Text)
			}
		}
		app.WantRuns(2)
	}},
	{"a handler has the values of its request", func(t *testing.T, build Build) {
		app := start(t, build, serve(func(w http.ResponseWriter, r *http.Request) {
			page.AddTags(r, "a", "b")
			if r.Context().Value(http.ServerContextKey) == nil {
				t.Error("the context has lost the server's values")
			}
			if err := r.Context().Err(); err != nil {
				t.Errorf("the context has ended: %v", err)
			}
			_, _ = io.WriteString(w, "body")
		}))
		app.Get("/")
	}},
}

// written is a response without a server.
type written struct {
	header http.Header
	status int
	body   strings.Builder
}

func newResponse() *written { return &written{header: http.Header{}} }

func (w *written) Header() http.Header { return w.header }

func (w *written) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *written) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}
