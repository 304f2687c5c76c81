// Package pagetest holds the adapters of the page cache to one behaviour: the same table of cases runs
// through each framework.
package pagetest

import (
	"bufio"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/page"
	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/memstore"
)

// Setup is an application of one catch-all route.
type Setup struct {
	Pages *page.Cache
	// Handler answers every request that reaches the route, of any method.
	Handler http.HandlerFunc
	// Outer, if not nil, runs before the cache, as a middleware registered earlier does.
	Outer func(http.ResponseWriter, *http.Request)
	// Site says that Cache stands in front of the whole application; Route that Page stands around the
	// handler, with the TTL.
	Site, Route bool
	TTL         time.Duration
}

// Build makes an application in one framework.
type Build func(Setup) http.Handler

// App is a running application and what it was made of.
type App struct {
	*testing.T
	Server *httptest.Server
	Pages  *page.Cache
	Runs   atomic.Int64 // of the handler
}

type options struct {
	page  page.Options
	cache cache.Options
	store store.Store
	setup Setup
}

// Start runs an application whose handler's runs are counted. Without Site and Route it is a Site.
func start(t *testing.T, build Build, o options) *App {
	t.Helper()
	st := o.store
	if st == nil {
		var err error
		if st, err = memstore.New(memstore.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	if o.cache.Observer == nil {
		// What the engine says helps to understand a failure.
		o.cache.Observer = &event.Observer{
			Refused:    func(_ context.Context, e event.Refused) { t.Logf("refused: %s", e.Reason) },
			StoreError: func(_ context.Context, e event.StoreError) { t.Logf("store error: %v", e.Err) },
			Corrupt:    func(_ context.Context, e event.Corrupt) { t.Logf("corrupt: %v", e.Err) },
		}
	}
	c, err := cache.New(st, o.cache)
	if err != nil {
		t.Fatal(err)
	}
	pages, err := page.New(c, o.page)
	if err != nil {
		t.Fatal(err)
	}
	app := &App{T: t, Pages: pages}
	inner := o.setup.Handler
	o.setup.Pages = pages
	o.setup.Site = o.setup.Site || !o.setup.Route
	o.setup.Handler = func(w http.ResponseWriter, r *http.Request) {
		app.Runs.Add(1)
		inner(w, r)
	}
	app.Server = httptest.NewServer(build(o.setup))
	t.Cleanup(func() {
		app.Server.Close()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return app
}

// Answer is a response with its body read.
type Answer struct {
	*http.Response
	Text string
	Err  error // of reading the body
}

// CacheStatus returns the last member of Cache-Status.
func (a Answer) CacheStatus() string {
	lines := a.Header["Cache-Status"]
	if len(lines) == 0 {
		return ""
	}
	return lines[len(lines)-1]
}

// Hit reports whether the page cache says that it answered.
func (a Answer) Hit() bool { return strings.Contains(a.CacheStatus(), "; hit") }

// Request makes a request; header lines are "Name: value".
func (app *App) Request(method, target string, header ...string) *http.Request {
	app.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, app.Server.URL+target, http.NoBody)
	if err != nil {
		app.Fatal(err)
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ":")
		if value = strings.TrimPrefix(value, " "); name == "Host" {
			r.Host = value
		} else {
			r.Header.Add(name, value)
		}
	}
	return r
}

// Do sends a request without following redirects.
func (app *App) Do(r *http.Request) (Answer, error) {
	client := &http.Client{
		Transport:     &http.Transport{DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	defer client.CloseIdleConnections()
	res, err := client.Do(r)
	if err != nil {
		return Answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return Answer{res, string(body), err}, nil
}

// Get sends a GET request and fails the test where it is not answered.
func (app *App) Get(target string, header ...string) Answer {
	app.Helper()
	return app.Send(http.MethodGet, target, header...)
}

// Send is Get for any method.
func (app *App) Send(method, target string, header ...string) Answer {
	app.Helper()
	a, err := app.Do(app.Request(method, target, header...))
	if err != nil {
		app.Fatalf("%s %s: %v", method, target, err)
	}
	return a
}

// WantRuns fails the test unless the handler has run n times.
func (app *App) WantRuns(n int64) {
	app.Helper()
	if got := app.Runs.Load(); got != n {
		app.Errorf("the handler has run %d times, want %d", got, n)
	}
}

// raw opens a connection and sends text as it is.
func (app *App) raw(text string) (net.Conn, *bufio.Reader) {
	app.Helper()
	conn, err := net.Dial("tcp", app.Server.Listener.Addr().String())
	if err != nil {
		app.Fatal(err)
	}
	app.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, text); err != nil {
		app.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

// Run runs the table through one framework.
func Run(t *testing.T, build Build) {
	t.Helper()
	for _, group := range []struct {
		name  string
		cases []testCase
	}{
		{"Key", keyCases}, {"Bypass", bypassCases}, {"Storable", storableCases}, {"Vary", varyCases},
		{"Serve", serveCases}, {"Stream", streamCases}, {"Coalesce", coalesceCases}, {"Control", controlCases},
		{"Remote", remoteCases},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, c := range group.cases {
				t.Run(c.name, func(t *testing.T) { c.run(t, build) })
			}
		})
	}
}

type testCase struct {
	name string
	run  func(t *testing.T, build Build)
}

func newLog(w io.Writer) *log.Logger { return log.New(w, "", 0) }

// text returns a handler that answers with the given header lines and body.
func text(body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, line := range header {
			name, value, _ := strings.Cut(line, ":")
			w.Header().Add(name, strings.TrimPrefix(value, " "))
		}
		_, _ = io.WriteString(w, body)
	}
}

// echoHandler answers with what the request asked for, as the handler saw it.
func echoHandler(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, r.URL.RequestURI())
}

func serve(h http.HandlerFunc) options { return options{setup: Setup{Handler: h}} }
