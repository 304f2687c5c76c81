package page_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/page"
	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/memstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// answer is a response as a client of net/http gets it: the header as it was when the status was written.
type answer struct {
	mu      sync.Mutex
	live    http.Header
	header  http.Header
	status  int
	calls   int // of WriteHeader
	flushes int
	body    bytes.Buffer
	broken  error // what writes fail with
}

func newAnswer() *answer { return &answer{live: http.Header{}} }

func (a *answer) Header() http.Header { return a.live }

func (a *answer) WriteHeader(status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.writeHeader(status)
}

func (a *answer) writeHeader(status int) {
	if a.calls++; a.calls == 1 {
		a.status, a.header = status, a.live.Clone()
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.calls == 0 {
		a.writeHeader(http.StatusOK)
	}
	if a.broken != nil {
		return 0, a.broken
	}
	return a.body.Write(b)
}

func (a *answer) Flush() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.flushes++
}

func (a *answer) text() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.body.String()
}

// cacheStatus is the last member of Cache-Status.
func (a *answer) cacheStatus() string {
	lines := a.header["Cache-Status"]
	if len(lines) == 0 {
		return ""
	}
	return lines[len(lines)-1]
}

func (a *answer) hit() bool { return strings.Contains(a.cacheStatus(), "; hit") }

// app is a handler behind page caches, the first of which is the outermost.
type app struct {
	handler page.Handler
	pages   []*page.Cache

	mu   sync.Mutex
	runs int
}

func (a *app) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.runs
}

func newApp(h page.Handler, pages ...*page.Cache) *app { return &app{handler: h, pages: pages} }

// do answers r as an adapter does.
func (a *app) do(r *http.Request) (*answer, error) {
	w := newAnswer()
	err := a.serve(a.pages, w, r)
	return w, err
}

func (a *app) serve(pages []*page.Cache, w http.ResponseWriter, r *http.Request) error {
	if len(pages) == 0 {
		a.mu.Lock()
		a.runs++
		a.mu.Unlock()
		return a.handler(w, r)
	}
	if pages[0].TryServe(w, r) {
		return nil
	}
	return pages[0].Run(w, r, func(w http.ResponseWriter, r *http.Request) error { return a.serve(pages[1:], w, r) })
}

func (a *app) get(t testing.TB, target string, header ...string) *answer {
	t.Helper()
	w, err := a.do(get(target, header...))
	if err != nil {
		t.Fatalf("GET %s: %v", target, err)
	}
	return w
}

// begin answers r on a goroutine of its own.
func (a *app) begin(r *http.Request) <-chan *answer {
	done := make(chan *answer, 1)
	go func() {
		w, _ := a.do(r)
		done <- w
	}()
	return done
}

func (a *app) wantRuns(t testing.TB, n int) {
	t.Helper()
	if got := a.count(); got != n {
		t.Errorf("the handler has run %d times, want %d", got, n)
	}
}

// get returns a request with header lines "Name: value".
func get(target string, header ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, target, http.NoBody)
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	return r
}

// text returns a handler that answers with header lines and a body.
func text(body string, header ...string) page.Handler {
	return func(w http.ResponseWriter, _ *http.Request) error {
		for _, line := range header {
			name, value, _ := strings.Cut(line, ": ")
			w.Header().Add(name, value)
		}
		_, err := io.WriteString(w, body)
		return err
	}
}

func memory(t testing.TB) store.Store {
	t.Helper()
	return cache.Must(memstore.New(memstore.Options{}))
}

// open returns a cache that is closed with the test, without jitter unless it is asked for.
func open(t testing.TB, st store.Store, o cache.Options) *cache.Cache {
	t.Helper()
	if o.Policy.Jitter == 0 {
		o.Policy.Jitter = -1
	}
	c, err := cache.New(st, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func newPages(t testing.TB, c *cache.Cache, o page.Options) *page.Cache {
	t.Helper()
	p, err := page.New(c, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// simple returns an application with one page cache over a store in memory.
func simple(t testing.TB, o page.Options, h page.Handler) *app {
	t.Helper()
	return newApp(h, newPages(t, open(t, memory(t), cache.Options{}), o))
}

// remote hides that its store is in this process. Hooks run before each operation and may replace it.
type remote struct {
	store.Store
	mu     sync.Mutex
	before func(ctx context.Context, op string, keys ...string) error
	keys   map[string]bool // all that were seen
}

func newRemote(t testing.TB) *remote { return &remote{Store: memory(t), keys: make(map[string]bool)} }

func (r *remote) set(before func(ctx context.Context, op string, keys ...string) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.before = before
}

func (r *remote) seen() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.keys))
}

func (r *remote) begin(ctx context.Context, op string, keys ...string) error {
	r.mu.Lock()
	for _, k := range keys {
		r.keys[k] = true
	}
	before := r.before
	r.mu.Unlock()
	if before == nil {
		return nil
	}
	return before(ctx, op, keys...)
}

func (r *remote) Get(ctx context.Context, key string) (*store.Entry, error) {
	if err := r.begin(ctx, "get", key); err != nil {
		return nil, err
	}
	return r.Store.Get(ctx, key)
}

func (r *remote) Set(ctx context.Context, key string, e *store.Entry) error {
	if err := r.begin(ctx, "set", key); err != nil {
		return err
	}
	return r.Store.Set(ctx, key, e)
}

func (r *remote) Delete(ctx context.Context, keys ...string) (int, error) {
	if err := r.begin(ctx, "delete", keys...); err != nil {
		return 0, err
	}
	return r.Store.Delete(ctx, keys...)
}

// sleep lets d pass in a bubble of synctest.
func sleep(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	<-t.C
}

// refusals collects why responses were not stored.
type refusals struct {
	mu      sync.Mutex
	reasons []string
}

func (r *refusals) observer() *event.Observer {
	return &event.Observer{Refused: func(_ context.Context, e event.Refused) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.reasons = append(r.reasons, e.Reason)
	}}
}

func (r *refusals) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	reasons := r.reasons
	r.reasons = nil
	return reasons
}

var errHandler = errors.New("the handler failed")
