package pagetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/page"
	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/memstore"
)

// remote hides that its store is in this process, counts what it is asked, and fails as it is told.
type remote struct {
	store.Store
	mu     sync.Mutex
	fail   func(context.Context) error
	counts map[string]int
}

func newRemote(t *testing.T) *remote {
	t.Helper()
	st, err := memstore.New(memstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &remote{Store: st, counts: make(map[string]int)}
}

func (r *remote) begin(ctx context.Context, op string) error {
	r.mu.Lock()
	r.counts[op]++
	fail := r.fail
	r.mu.Unlock()
	if fail == nil {
		return nil
	}
	return fail(ctx)
}

func (r *remote) Get(ctx context.Context, key string) (*store.Entry, error) {
	if err := r.begin(ctx, "get"); err != nil {
		return nil, err
	}
	return r.Store.Get(ctx, key)
}

func (r *remote) Set(ctx context.Context, key string, e *store.Entry) error {
	if err := r.begin(ctx, "set"); err != nil {
		return err
	}
	return r.Store.Set(ctx, key, e)
}

func (r *remote) Delete(ctx context.Context, keys ...string) (int, error) {
	if err := r.begin(ctx, "delete"); err != nil {
		return 0, err
	}
	return r.Store.Delete(ctx, keys...)
}

func (r *remote) setFail(fail func(context.Context) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = fail
}

// took returns what was asked since it was called last.
func (r *remote) took() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := fmt.Sprintf("%d gets, %d sets, %d deletes", r.counts["get"], r.counts["set"], r.counts["delete"])
	clear(r.counts)
	return s
}

func broken(context.Context) error { return errors.New("pagetest: the store is broken") }

func hanging(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

var remoteCases = []testCase{
	{"hits, misses, and what they cost", func(t *testing.T, build Build) {
		st := newRemote(t)
		o := serve(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/vary" {
				w.Header().Set("Vary", "X-A, X-Keyed")
			}
			if r.URL.Path == "/keyed" {
				w.Header().Set("Vary", "X-Keyed")
			}
			_, _ = io.WriteString(w, r.Header.Get("X-A"))
		})
		o.store, o.page.Vary = st, []string{"X-Keyed"}
		app := start(t, build, o)
		for _, c := range []struct{ target, header, want string }{
			{"/", "X: y", "1 gets, 1 sets, 0 deletes"}, {"/", "X: y", "1 gets, 0 sets, 0 deletes"},
			{"/vary", "X-A: 1", "1 gets, 2 sets, 0 deletes"}, {"/vary", "X-A: 1", "2 gets, 0 sets, 0 deletes"},
			{"/vary", "X-A: 2", "2 gets, 1 sets, 0 deletes"}, {"/vary", "X-A: 2", "2 gets, 0 sets, 0 deletes"},
			{"/keyed", "X-Keyed: 1", "1 gets, 1 sets, 0 deletes"}, {"/keyed", "X-Keyed: 1", "1 gets, 0 sets, 0 deletes"},
			{"/skipped", "Cookie: a=b", "0 gets, 0 sets, 0 deletes"},
		} {
			app.Get(c.target, c.header)
			if got := st.took(); got != c.want {
				t.Errorf("%s, %s: %s, want %s", c.target, c.header, got, c.want)
			}
		}
		app.WantRuns(5)
	}},
	{"a store that fails costs nothing but the hit", func(t *testing.T, build Build) {
		for name, fail := range map[string]func(context.Context) error{"broken": broken, "hanging": hanging} {
			st := newRemote(t)
			o := serve(text("body", "Vary: X-A"))
			o.store = st
			o.cache.StoreTimeout = 10 * time.Millisecond
			app := start(t, build, o)
			app.Get("/warm")
			st.setFail(fail)
			for _, target := range []string{"/warm", "/cold", "/cold"} {
				if a := app.Get(target); a.StatusCode != 200 || a.Text != "body" || a.Hit() {
					t.Errorf("%s: %s: %d %q (%s)", name, target, a.StatusCode, a.Text, a.CacheStatus())
				}
			}
			if a := app.Get("/cold", `If-None-Match: "x"`); a.StatusCode != 200 || a.Text != "body" {
				t.Errorf("%s: a condition: %d %q", name, a.StatusCode, a.Text)
			}
			if a := app.Send(http.MethodHead, "/cold"); a.StatusCode != 200 {
				t.Errorf("%s: HEAD: %d", name, a.StatusCode)
			}
			if _, err := app.Pages.Purge(t.Context(), app.Server.URL+"/warm"); err == nil {
				t.Errorf("%s: Purge hides that it could not", name)
			}
			st.setFail(nil)
			if a := app.Get("/warm"); !a.Hit() {
				t.Errorf("%s: afterwards: %s", name, a.CacheStatus())
			}
		}
	}},
	{"a crowd before a store that fails makes one run", func(t *testing.T, build Build) {
		const n = 50
		st, finish := newRemote(t), make(chan struct{})
		st.setFail(broken)
		o := serve(func(w http.ResponseWriter, _ *http.Request) {
			<-finish
			_, _ = io.WriteString(w, "body")
		})
		o.store, o.page.HardTimeout = st, -1
		app := start(t, build, o)
		answers := make(chan []Answer, 1)
		go func() {
			answers <- app.crowd(n, func(int) *http.Request { return app.Request(http.MethodGet, "/") })
		}()
		untilWaiting(t, n-1)
		close(finish)
		for _, a := range <-answers {
			if a.Err != nil || a.Text != "body" {
				t.Errorf("%q, %v", a.Text, a.Err)
			}
		}
		app.WantRuns(1)
	}},
	{"Clear", func(t *testing.T, build Build) {
		o := serve(text("body"))
		o.store = newRemote(t)
		app := start(t, build, o)
		app.Get("/")
		if err := app.Pages.Clear(t.Context()); err != nil {
			t.Fatal(err)
		}
		if a := app.Get("/"); a.Hit() {
			t.Error("still there")
		}
	}},
	{"Validate and Skip before a look-up", func(t *testing.T, build Build) {
		st := newRemote(t)
		o := serve(text("body"))
		o.store = st
		o.page = page.Options{
			Validate: func(r *http.Request) error {
				if r.URL.RawQuery != "" {
					return errors.New("no parameters, please")
				}
				return nil
			},
			Skip: func(r *http.Request) bool { return r.URL.Path == "/skip" },
		}
		app := start(t, build, o)
		if a := app.Get("/?x"); a.StatusCode != http.StatusBadRequest {
			t.Errorf("answered %d", a.StatusCode)
		}
		app.Get("/skip")
		if got := st.took(); got != "0 gets, 0 sets, 0 deletes" {
			t.Error(got)
		}
	}},
}
