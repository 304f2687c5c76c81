package page_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/page"
	"github.com/strata-cache/strata/core/store"
)

const host = "http://example.com" // what httptest.NewRequest asks for

func TestPurge(t *testing.T) {
	tests := []struct {
		target, url string
		gone        bool
	}{
		{"/a?x=1&y=2", host + "/a?y=2&x=1", true},
		{"/a", host + "/a#fragment", true},
		{"/a", "HTTP://EXAMPLE.com:80/a", true},
		{"/", host, true},
		{"/", host + "/", true},
		{"/?x=1", host + "?x=1", true},
		{"/a%2Fb", host + "/a%2Fb", true},
		{"/a%20b", host + "/a b", true},
		{"/a", host + "/b", false},
		{"/a", "https://example.com/a", false},
		{"/a", "http://other.example/a", false},
		{"/a", host + ":8080/a", false},
	}
	for _, tt := range tests {
		t.Run(tt.target+" by "+tt.url, func(t *testing.T) {
			a := simple(t, page.Options{}, text("body"))
			a.get(t, tt.target)
			if gone, err := a.pages[0].Purge(t.Context(), tt.url); gone != tt.gone || err != nil {
				t.Errorf("%v, %v", gone, err)
			}
			if hit := a.get(t, tt.target).hit(); hit == tt.gone {
				t.Errorf("afterwards a hit: %v", hit)
			}
		})
	}
	a := simple(t, page.Options{}, text("body"))
	for _, bad := range []string{"", "/a", "example.com/a", "ftp://example.com/", "http:///a", "http://%zz/", "http:opaque"} {
		if _, err := a.pages[0].Purge(t.Context(), bad); err == nil || !strings.HasPrefix(err.Error(), "page: ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestPurgeRequest(t *testing.T) {
	a := simple(t, page.Options{Vary: []string{"X-A"}, VaryCookies: []string{"lang"}}, text("body"))
	request := func() *http.Request { return get("/", "X-A: 1", "Cookie: lang=de", "X-Forwarded-Host: x") }
	_, _ = a.do(request())
	if gone, err := a.pages[0].Purge(t.Context(), host+"/"); gone || err != nil {
		t.Errorf("Purge of another page: %v, %v", gone, err)
	}
	if gone, err := a.pages[0].PurgeRequest(t.Context(), request()); !gone || err != nil {
		t.Errorf("%v, %v", gone, err)
	}
	if w, _ := a.do(request()); w.hit() {
		t.Error("still there")
	}
}

func TestPrefixesKeepPagesApart(t *testing.T) {
	c := open(t, memory(t), cache.Options{})
	one, two := newApp(text("one"), newPages(t, c, page.Options{})), newApp(text("two"), newPages(t, c, page.Options{Prefix: "two"}))
	fill := func() {
		for range 2 {
			one.get(t, "/")
			two.get(t, "/")
		}
	}
	fill()
	if w := two.get(t, "/"); w.text() != "two" || !w.hit() {
		t.Errorf("%q", w.text())
	}
	if err := one.pages[0].Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	if one.get(t, "/").hit() || !two.get(t, "/").hit() {
		t.Error("Clear of one prefix missed its pages, or took others")
	}
	if err := c.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	if two.get(t, "/").hit() {
		t.Error("the cache's own Clear has left a page")
	}
	if _, err := page.New(c, page.Options{Prefix: "two"}); err == nil {
		t.Error("one prefix was given twice")
	}
}

// removals are all that can remove a page while its handler runs.
var removals = map[string]func(context.Context, *app, *cache.Cache) error{
	"Purge": func(ctx context.Context, a *app, _ *cache.Cache) error {
		_, err := a.pages[0].Purge(ctx, host+"/")
		return err
	},
	"PurgeRequest": func(ctx context.Context, a *app, _ *cache.Cache) error {
		_, err := a.pages[0].PurgeRequest(ctx, get("/", "X-A: 9"))
		return err
	},
	"Clear":       func(ctx context.Context, a *app, _ *cache.Cache) error { return a.pages[0].Clear(ctx) },
	"cache.Clear": func(ctx context.Context, _ *app, c *cache.Cache) error { return c.Clear(ctx) },
}

func TestWhatIsRemovedWhileItIsMade(t *testing.T) {
	cases := map[string]struct {
		header []string // of the response
		warm   []string // of a request that came before
		cold   []string // of the one during which the page is removed
	}{
		"a cold page":                  {},
		"a cold page that varies":      {header: []string{"Vary: X-A"}, cold: []string{"X-A: 1"}},
		"another variant":              {header: []string{"Vary: X-A"}, warm: []string{"X-A: 1"}, cold: []string{"X-A: 2"}},
		"a variant that varies more":   {header: []string{"Vary: X-A"}, warm: []string{"X-A: 1"}, cold: []string{"X-A: 2", "X-More: 1"}},
		"with credentials":             {header: []string{"Cache-Control: public"}, cold: []string{"Authorization: x"}},
		"a variant with credentials":   {header: []string{"Cache-Control: public", "Vary: X-A"}, warm: []string{"X-A: 1"}, cold: []string{"X-A: 2", "Authorization: x"}},
		"a condition":                  {header: []string{`Etag: "v1"`}, cold: []string{`If-None-Match: "x"`}},
		"a long URL":                   {cold: []string{"X-Forwarded-Host: " + strings.Repeat("x", 300)}},
		"a cold page with credentials": {header: []string{"Cache-Control: s-maxage=60", "Vary: X-A"}, cold: []string{"Authorization: x"}},
	}
	for name, c := range cases {
		for how, remove := range removals {
			if name == "a long URL" && strings.HasPrefix(how, "Purge") {
				continue // of another request
			}
			t.Run(name+", "+how, func(t *testing.T) {
				begun, finish := make(chan struct{}, 1), make(chan struct{})
				blocks := false
				engine := open(t, memory(t), cache.Options{})
				a := newApp(func(w http.ResponseWriter, r *http.Request) error {
					if blocks {
						begun <- struct{}{}
						<-finish
					}
					if r.Header.Get("X-More") != "" {
						w.Header().Add("Vary", "X-More")
					}
					return text("old", c.header...)(w, r)
				}, newPages(t, engine, page.Options{}))
				if c.warm != nil {
					a.get(t, "/", c.warm...)
				}
				blocks = true
				done := a.begin(get("/", c.cold...))
				<-begun
				if err := remove(t.Context(), a, engine); err != nil {
					t.Fatal(err)
				}
				blocks = false
				close(finish)
				if w := <-done; w.text() != "old" && w.status != http.StatusNotModified {
					t.Errorf("the one who asked before got %d %q", w.status, w.text())
				}
				if w := a.get(t, "/", c.cold...); w.hit() {
					t.Errorf("what was made before is served afterwards: %s", w.cacheStatus())
				}
				if w := a.get(t, "/", c.cold...); !w.hit() {
					t.Errorf("and the next one is not stored: %s", w.cacheStatus())
				}
			})
		}
	}
}

// A removal that comes while the page is being stored waits, whatever has become of the flight meanwhile.
func TestWhatIsRemovedWhileItIsStored(t *testing.T) {
	for how, remove := range removals {
		if how == "PurgeRequest" {
			continue
		}
		for _, flushed := range []bool{false, true} { // who waits is let go a second behind a flush
			t.Run(how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					st := newRemote(t)
					engine := open(t, st, cache.Options{StoreTimeout: -1})
					a := newApp(func(w http.ResponseWriter, r *http.Request) error {
						err := text("old")(w, r)
						if flushed {
							_ = http.NewResponseController(w).Flush()
						}
						return err
					}, newPages(t, engine, page.Options{}))
					st.set(func(_ context.Context, op string, _ ...string) error {
						if op == "set" {
							sleep(2 * time.Second)
						}
						return nil
					})
					done := a.begin(get("/"))
					sleep(1500 * time.Millisecond)
					if err := remove(t.Context(), a, engine); err != nil {
						t.Fatal(err)
					}
					<-done
					st.set(nil)
					if w := a.get(t, "/"); w.hit() {
						t.Error("what was made before the removal is served after it")
					}
				})
			})
		}
	}
}

func TestAPurgeThatIsInAHurry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newRemote(t)
		a := newApp(text("old"), newPages(t, open(t, st, cache.Options{StoreTimeout: -1}), page.Options{}))
		st.set(func(_ context.Context, op string, _ ...string) error {
			if op == "set" {
				sleep(2 * time.Second)
			}
			return nil
		})
		done := a.begin(get("/"))
		sleep(time.Second)
		hurry, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		if _, err := a.pages[0].Purge(hurry, host+"/"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("%v", err)
		}
		<-done
		st.set(nil)
		if w := a.get(t, "/"); w.hit() {
			t.Error("the page was not taken back")
		}
	})
}

func TestPurgeSaysThatItCouldNot(t *testing.T) {
	st := newRemote(t)
	broken := errors.New("broken")
	a := newApp(text("body"), newPages(t, open(t, st, cache.Options{}), page.Options{}))
	a.get(t, "/")
	st.set(func(context.Context, string, ...string) error { return broken })
	if _, err := a.pages[0].Purge(t.Context(), host+"/"); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

func TestKeysKeepTheLimit(t *testing.T) {
	st := newRemote(t)
	a := newApp(text("body", "Vary: X-A", "Cache-Control: public"), newPages(t, open(t, st, cache.Options{}), page.Options{}))
	for n := range 300 {
		target := "/" + strings.Repeat("x", n)
		a.get(t, target, "X-A: "+strings.Repeat("y", n))
		a.get(t, target, "Authorization: x")
		if _, err := a.pages[0].Purge(t.Context(), host+target); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range st.seen() {
		if len(key) > 250 {
			t.Errorf("%d bytes: %s", len(key), key)
		}
	}
}

func TestCorruptPages(t *testing.T) {
	st := newRemote(t)
	a := newApp(text("body", "X-A: 1"), newPages(t, open(t, st, cache.Options{}), page.Options{}))
	for _, damage := range []func(e *store.Entry){
		func(e *store.Entry) { e.Value = e.Value[:len(e.Value)-1] },
		func(e *store.Entry) { e.Value = append(slices.Clip(e.Value), 'x') },
		func(e *store.Entry) { e.Value = e.Value[:3] },
		func(e *store.Entry) { e.Value = nil },
		func(e *store.Entry) { e.Value = []byte("garbage") },
		func(e *store.Entry) { e.Schema++ },
		func(e *store.Entry) { e.Flags = store.FlagNegative },
	} {
		a.get(t, "/")
		for _, key := range st.seen() {
			e, err := st.Store.Get(t.Context(), key)
			if err != nil {
				continue
			}
			e = e.WithTimes(e.Times) // without the decoded form
			damage(e)
			if err := st.Store.Set(t.Context(), key, e); err != nil {
				t.Fatal(err)
			}
		}
		if w := a.get(t, "/"); w.hit() || w.text() != "body" {
			t.Errorf("served %q (%s)", w.text(), w.cacheStatus())
		}
		if w := a.get(t, "/"); !w.hit() || w.text() != "body" {
			t.Errorf("and not mended: %q (%s)", w.text(), w.cacheStatus())
		}
	}
}
