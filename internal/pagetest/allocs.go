package pagetest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/page"
	"github.com/strata-cache/strata/core/store/memstore"
)

// discard is a response writer that costs nothing itself.
type discard struct {
	h      http.Header
	status int
	n      int
}

func (w *discard) Header() http.Header { return w.h }

func (w *discard) WriteHeader(status int) { w.status = status }

func (w *discard) Write(b []byte) (int, error) {
	w.n += len(b)
	return len(b), nil
}

// Allocs fails the test where a hit, of a page with six fields and of whatever size, costs more than limit
// allocations.
func Allocs(t *testing.T, build Build, limit float64) {
	t.Helper()
	for _, size := range []int{1 << 10, 64 << 10} {
		st, err := memstore.New(memstore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		c, err := cache.New(st, cache.Options{})
		if err != nil {
			t.Fatal(err)
		}
		pages, err := page.New(c, page.Options{Vary: []string{"Accept-Encoding"}})
		if err != nil {
			t.Fatal(err)
		}
		h := build(Setup{Pages: pages, Site: true, Handler: text(strings.Repeat("x", size),
			"Content-Type: text/html; charset=utf-8", "Cache-Control: max-age=60", `Etag: "v1"`,
			"Last-Modified: Mon, 02 Jan 2023 15:04:05 GMT", "X-Frame-Options: DENY")})
		r := httptest.NewRequest(http.MethodGet, "/products?b=2&a=1", http.NoBody)
		r.Header.Set("Accept-Encoding", "gzip, br")
		r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)")
		w := &discard{h: http.Header{}}
		hit := func() {
			clear(w.h)
			w.n = 0
			h.ServeHTTP(w, r)
			if w.n != size || w.status != http.StatusOK {
				t.Fatalf("%d, %d bytes", w.status, w.n)
			}
		}
		hit()
		if hit(); w.h.Get("Age") == "" {
			t.Fatal("no hit")
		}
		if n := testing.AllocsPerRun(200, hit); n > limit && !race { // the race detector makes pools forget
			t.Errorf("%d bytes: %v allocations a hit, at most %v are allowed", size, n, limit)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}
