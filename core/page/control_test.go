package page_test

import (
	"io"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/page"
)

// nested returns a handler behind two page caches on one cache, the second inside of the first.
func nested(t testing.TB, h page.Handler) *app {
	t.Helper()
	c := open(t, memory(t), cache.Options{})
	return newApp(h, newPages(t, c, page.Options{Prefix: "outer"}), newPages(t, c, page.Options{Prefix: "inner"}))
}

func TestNoStoreHoldsForAllCachesAround(t *testing.T) {
	n := 0
	a := nested(t, func(w http.ResponseWriter, r *http.Request) error {
		page.NoStore(r)
		n++
		_, err := io.WriteString(w, "token "+strconv.Itoa(n))
		return err
	})
	for want := range 3 {
		if w := a.get(t, "/"); w.text() != "token "+strconv.Itoa(want+1) {
			t.Fatalf("request %d got somebody else's %q (%s)", want+1, w.text(), w.cacheStatus())
		}
	}
}

func TestNoStoreOfAPartHoldsForTheWhole(t *testing.T) {
	p := newPages(t, open(t, memory(t), cache.Options{}), page.Options{})
	var a *app
	n := 0
	a = newApp(func(w http.ResponseWriter, r *http.Request) error {
		if r.URL.Path == "/part" {
			page.NoStore(r)
			n++
			_, err := io.WriteString(w, strconv.Itoa(n))
			return err
		}
		part := newAnswer()
		if err := a.serve(a.pages, part, get("/part").WithContext(r.Context())); err != nil {
			return err
		}
		_, err := io.WriteString(w, "whole with "+part.text())
		return err
	}, p)
	for want := range 3 {
		if w := a.get(t, "/whole"); w.text() != "whole with "+strconv.Itoa(want+1) {
			t.Fatalf("request %d got %q (%s)", want+1, w.text(), w.cacheStatus())
		}
	}
}

func TestSetTTLBoundsTheCachesAround(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := nested(t, func(w http.ResponseWriter, r *http.Request) error {
			page.SetTTL(r, 10*time.Second)
			return text("body")(w, r)
		})
		a.get(t, "/")
		if w := a.get(t, "/"); !w.hit() || w.cacheStatus() != "strata; hit; ttl=10" {
			t.Errorf("%s", w.cacheStatus())
		}
		sleep(11 * time.Second)
		a.get(t, "/")
		a.wantRuns(t, 2)
	})
}

func TestARouteInsideOfAnother(t *testing.T) {
	p := newPages(t, open(t, memory(t), cache.Options{}), page.Options{TTL: time.Minute})
	// Cache, Page for an hour, and Page that says nothing: the hour counts.
	a := newApp(text("body"), p, p.WithTTL(time.Hour), p.WithTTL(0))
	a.get(t, "/")
	if w := a.get(t, "/"); w.cacheStatus() != "strata; hit; ttl=3600" && w.cacheStatus() != "strata; hit; ttl=3599" {
		t.Error(w.cacheStatus())
	}
	a.wantRuns(t, 1)
}

func TestACacheBetweenTwoOfOne(t *testing.T) {
	c := open(t, memory(t), cache.Options{})
	one, two := newPages(t, c, page.Options{}), newPages(t, c, page.Options{Prefix: "two"})
	a := newApp(text("body"), one, two, one)
	w := a.get(t, "/")
	if got := w.header["Cache-Status"]; len(got) != 2 {
		t.Errorf("Cache-Status %q, want one member a cache", got)
	}
	if w := a.get(t, "/"); !w.hit() {
		t.Error(w.cacheStatus())
	}
	a.wantRuns(t, 1)
}

func TestTagsReachTheEntries(t *testing.T) {
	st := newRemote(t)
	c := open(t, st, cache.Options{})
	a := newApp(func(w http.ResponseWriter, r *http.Request) error {
		page.AddTags(r, "a", "b")
		err := text("body")(w, r)
		page.AddTags(r, "c")
		return err
	}, newPages(t, c, page.Options{}), newPages(t, c, page.Options{Prefix: "inner"}))
	a.get(t, "/")
	n := 0
	for _, key := range st.seen() {
		if e, err := st.Store.Get(t.Context(), key); err == nil {
			if n++; len(e.Tags) != 3 || e.Tags[0] != "a" || e.Tags[2] != "c" {
				t.Errorf("%s has the tags %q", key, e.Tags)
			}
		}
	}
	if n != 2 {
		t.Errorf("%d entries", n)
	}
}

func TestTooManyTags(t *testing.T) {
	a := simple(t, page.Options{}, func(w http.ResponseWriter, r *http.Request) error {
		for i := range cache.MaxTags + 1 {
			page.AddTags(r, strconv.Itoa(i))
		}
		return text("body")(w, r)
	})
	for range 2 {
		if w := a.get(t, "/"); w.hit() || w.text() != "body" {
			t.Error("a page that could not be invalidated by all of its tags was stored")
		}
	}
}

func TestControlsWithoutACache(t *testing.T) {
	r := get("/")
	page.NoStore(r)
	page.SetTTL(r, time.Minute)
	page.AddTags(r, "a")
}
