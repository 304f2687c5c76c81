package page_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/page"
	"github.com/strata-cache/strata/core/store"
)

// TestStorm lets many users ask for a few pages in every way at once, while the pages are changed and
// purged. Whatever happens, everybody gets a whole page, of his URL and variant, that belongs to nobody
// else, and that is not older than the last purge which was over when he asked.
func TestStorm(t *testing.T) {
	for name, st := range map[string]store.Store{"in process": memory(t), "remote": newRemote(t)} {
		t.Run(name, func(t *testing.T) {
			c := open(t, st, cache.Options{})
			outer := newPages(t, c, page.Options{Prefix: "outer"})
			s := &storm{}
			s.app = newApp(s.handle, outer)
			s.inner = newApp(s.handle, outer, newPages(t, c, page.Options{Prefix: "inner"}))
			var all sync.WaitGroup
			for user := range 8 {
				all.Go(func() {
					rng := rand.New(rand.NewPCG(uint64(user), 1))
					for range 300 {
						if err := s.ask(rng, "user"+strconv.Itoa(user)); err != nil {
							t.Error(err)
						}
					}
				})
			}
			all.Go(func() {
				rng := rand.New(rand.NewPCG(99, 1))
				for range 150 {
					if err := s.change(t.Context(), rng, outer); err != nil {
						t.Error(err)
					}
					runtime.Gosched()
				}
			})
			all.Wait()
		})
	}
}

const stormPages = 3

type storm struct {
	app, inner *app
	versions   [stormPages]atomic.Int64 // of the pages' content
	purged     [stormPages]atomic.Int64 // the last version whose predecessors are gone
}

// handle answers as the request's X-Do says; what it answers depends on what is keyed, on the version, and
// on the user where the answer says so.
func (s *storm) handle(w http.ResponseWriter, r *http.Request) error {
	n, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
	user := "all"
	h := w.Header()
	if n == 1 {
		h.Set("Vary", "X-Lang")
	}
	h.Set("Etag", `"v"`)
	do := r.Header.Get("X-Do")
	switch do {
	case "cookie":
		h.Set("Set-Cookie", "a=b")
		user = r.Header.Get("X-User")
	case "private":
		h.Set("Cache-Control", "private")
		user = r.Header.Get("X-User")
	case "nostore":
		page.NoStore(r)
		user = r.Header.Get("X-User")
	case "public":
		h.Set("Cache-Control", "public")
	}
	if r.Header.Get("Authorization") != "" && do != "public" {
		user = r.Header.Get("X-User")
	}
	lang := ""
	if n == 1 {
		lang = r.Header.Get("X-Lang")
	}
	version := s.versions[n].Load()
	runtime.Gosched()
	_, _ = fmt.Fprintf(w, "page %d in %q, version %d, for %s", n, lang, version, user)
	switch do {
	case "panic":
		panic(http.ErrAbortHandler)
	case "error":
		return errHandler
	case "flush":
		_ = http.NewResponseController(w).Flush()
	}
	_, err := io.WriteString(w, ". The end.")
	return err
}

func (s *storm) ask(rng *rand.Rand, user string) error {
	n := rng.IntN(stormPages)
	lang := []string{"de", "fr"}[rng.IntN(2)]
	r := get("/"+strconv.Itoa(n), "X-User: "+user, "X-Lang: "+lang)
	do := []string{"", "", "", "cookie", "private", "nostore", "public", "panic", "error", "flush"}[rng.IntN(10)]
	if do != "" {
		r.Header.Set("X-Do", do)
	}
	if rng.IntN(4) == 0 {
		r.Header.Set("Authorization", user)
	}
	if rng.IntN(5) == 0 {
		r.Header.Set("If-None-Match", `"x"`)
	}
	if rng.IntN(8) == 0 {
		ctx, leave := context.WithCancel(r.Context())
		r = r.WithContext(ctx)
		if rng.IntN(2) == 0 {
			leave()
		} else {
			go leave()
		}
		defer leave()
	}
	a := s.app
	if n == 2 && rng.IntN(3) == 0 {
		a = s.inner
	}
	floor := s.purged[n].Load()
	w, err := newAnswer(), error(nil)
	failed := caught(func() { err = a.serve(a.pages, w, r) })
	if failed != nil || err != nil || w.status == http.StatusServiceUnavailable {
		return nil // his own handler's failure, or he has left
	}
	var page int
	var version int64
	var gotLang, gotUser string
	if _, err := fmt.Sscanf(w.text(), "page %d in %q, version %d, for %s The end.", &page, &gotLang, &version, &gotUser); err != nil {
		return fmt.Errorf("%s got %q (%s): %w", user, w.text(), w.cacheStatus(), err)
	}
	gotUser = strings.TrimSuffix(gotUser, ".")
	switch {
	case page != n, n == 1 && gotLang != lang:
		return fmt.Errorf("%s asked for page %d in %s and got %q", user, n, lang, w.text())
	case gotUser != "all" && gotUser != user:
		return fmt.Errorf("%s got %q (%s)", user, w.text(), w.cacheStatus())
	case version < floor && a == s.app:
		return fmt.Errorf("version %d was purged before and is served: %q (%s)", floor, w.text(), w.cacheStatus())
	}
	return nil
}

func (s *storm) change(ctx context.Context, rng *rand.Rand, pages *page.Cache) error {
	n := rng.IntN(stormPages - 1) // the last one has an inner cache, which is purged by nobody
	version := s.versions[n].Add(1)
	var err error
	switch rng.IntN(3) {
	case 0:
		err = pages.Clear(ctx)
	default:
		_, err = pages.Purge(ctx, host+"/"+strconv.Itoa(n))
	}
	s.purged[n].Store(version)
	return err
}
