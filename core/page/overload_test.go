package page_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/page"
)

func TestTooManyColdPagesAreTurnedAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, memory(t), cache.Options{Policy: cache.Policy{MaxLoads: 1, LoadWait: 100 * time.Millisecond}})
		goOn := make(chan struct{})
		a := newApp(func(w http.ResponseWriter, r *http.Request) error {
			if r.URL.Path == "/slow" {
				<-goOn
			}
			return text("body")(w, r)
		}, newPages(t, c, page.Options{}))
		slow := a.begin(get("/slow"))
		synctest.Wait()
		w := a.get(t, "/other")
		if w.status != http.StatusServiceUnavailable || w.header.Get("Retry-After") == "" {
			t.Errorf("%d %v", w.status, w.header)
		}
		close(goOn)
		if w := <-slow; w.text() != "body" {
			t.Errorf("%d", w.status)
		}
		if w := a.get(t, "/other"); w.text() != "body" || w.hit() {
			t.Errorf("%d %s", w.status, w.cacheStatus())
		}
	})
}

// TestAnOverloadedLoaderIsAnsweredByUnavailable, unless the handler has begun to answer.
func TestAnOverloadedLoaderIsAnsweredByUnavailable(t *testing.T) {
	for _, lack := range []error{cache.ErrOverload, cache.ErrTimeout} {
		custom := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
		a := simple(t, page.Options{Unavailable: custom}, func(w http.ResponseWriter, r *http.Request) error {
			if r.URL.Path == "/begun" {
				_, _ = io.WriteString(w, "half")
			}
			return errors.Join(errors.New("no product"), lack)
		})
		if w := a.get(t, "/"); w.status != http.StatusTeapot {
			t.Errorf("%v: %d", lack, w.status)
		}
		w := newAnswer()
		if err := a.serve(a.pages, w, get("/begun")); !errors.Is(err, lack) || w.text() != "half" {
			t.Errorf("%v, %q", err, w.text())
		}
	}
}

// TestFallbackAnswersAColdPageAtOnce, through a real server: the page is made by a request of the cache's own.
func TestFallbackAnswersAColdPageAtOnce(t *testing.T) {
	c := open(t, memory(t), cache.Options{})
	pages := newPages(t, c, page.Options{
		Fallback: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "simple") }),
	})
	var runs atomic.Int32
	goOn := make(chan struct{})
	made := make(chan struct{}, 16)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = pages.Run(w, r, func(w http.ResponseWriter, r *http.Request) error {
			runs.Add(1)
			<-goOn
			_, _ = io.WriteString(w, "full "+r.URL.RawQuery+" "+r.Header.Get("Accept-Language"))
			return nil
		})
		if r.Context().Value(http.ServerContextKey) != nil && w.Header().Get("Cache-Status") != "" && strings.Contains(w.Header().Get("Cache-Status"), "stored") {
			made <- struct{}{}
		}
	}))
	defer srv.Close()
	ask := func() (string, string) {
		t.Helper()
		r, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, srv.URL+"/?q=1", http.NoBody)
		r.Header.Set("Accept-Language", "de")
		resp, err := srv.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return string(b), resp.Header.Get("Cache-Status")
	}
	for range 3 {
		if body, status := ask(); body != "simple" || !strings.Contains(status, "detail=fallback") {
			t.Errorf("%q, %s", body, status)
		}
	}
	close(goOn)
	<-made
	if body, status := ask(); body != "full q=1 de" || !strings.Contains(status, "hit") {
		t.Errorf("%q, %s", body, status)
	}
	if runs.Load() != 1 {
		t.Errorf("%d runs", runs.Load())
	}
}

// TestAPageFollowsWhatItReads: an object that is read through the request's context takes the page with it.
func TestAPageFollowsWhatItReads(t *testing.T) {
	c := open(t, memory(t), cache.Options{})
	name := "ann"
	users := cache.Must(cache.NewKind(c, "user", cache.KindOptions[int, string]{
		Load: func(context.Context, int) (string, error) { return name, nil },
		Tags: func(int, string) []string { return []string{"team"} },
	}))
	a := newApp(func(w http.ResponseWriter, r *http.Request) error {
		u, err := users.Get(r.Context(), 1)
		_, _ = io.WriteString(w, "hello "+u)
		return err
	}, newPages(t, c, page.Options{}))
	is := func(body string, hit bool) {
		t.Helper()
		if w := a.get(t, "/"); w.text() != body || w.hit() != hit {
			t.Errorf("%q, %s; want %q, hit %v", w.text(), w.cacheStatus(), body, hit)
		}
	}
	ctx := context.Background()
	is("hello ann", false)
	is("hello ann", true)
	for _, end := range []func(to string) error{
		func(to string) error { return users.Set(ctx, 1, to) },
		func(to string) error { name = to; _, err := users.Delete(ctx, 1); return err },
		func(to string) error { name = to; return c.InvalidateTags(ctx, "team") },
		func(to string) error {
			return users.Update(ctx, 1, func(context.Context) error { name = to; return nil })
		},
	} {
		to := name + "!"
		if err := end(to); err != nil {
			t.Fatal(err)
		}
		is("hello "+to, false)
		is("hello "+to, true)
	}
}

func TestDisabledGoesPastTheCache(t *testing.T) {
	a := simple(t, page.Options{}, text("body"))
	a.get(t, "/")
	for range 2 {
		r := get("/")
		w, err := a.do(r.WithContext(cache.Disabled(r.Context())))
		if err != nil || w.hit() || !strings.Contains(w.cacheStatus(), "detail=disabled") {
			t.Errorf("%v, %s", err, w.cacheStatus())
		}
	}
	a.wantRuns(t, 3)
}
