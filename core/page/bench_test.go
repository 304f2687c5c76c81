package page_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
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
func (w *discard) WriteHeader(s int)   { w.status = s }
func (w *discard) Write(b []byte) (int, error) {
	w.n += len(b)
	return len(b), nil
}

func (w *discard) reset() {
	clear(w.h)
	w.status, w.n = 0, 0
}

func openPages(t testing.TB, o page.Options) *page.Cache {
	t.Helper()
	st, err := memstore.New(memstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := cache.New(st, cache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	p, err := page.New(c, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// sixFields answers as an ordinary handler does, with six fields of its own.
func sixFields(size int) page.Handler {
	body := bytes.Repeat([]byte("x"), size)
	return func(w http.ResponseWriter, _ *http.Request) error {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Cache-Control", "max-age=60")
		h.Set("Etag", `"v1"`)
		h.Set("Last-Modified", "Mon, 02 Jan 2023 15:04:05 GMT")
		h.Set("X-Frame-Options", "DENY")
		_, err := w.Write(body)
		return err
	}
}

// browserRequest is what a browser sends, less its cookies.
func browserRequest(target string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, target, http.NoBody)
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36")
	r.Header.Set("Accept", "text/html,application/xhtml+xml")
	r.Header.Set("Accept-Encoding", "gzip, deflate, br")
	r.Header.Set("Accept-Language", "en-US,en;q=0.9")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Upgrade-Insecure-Requests", "1")
	return r
}

var variants = []struct {
	name, target string
	vary         []string
}{
	{"plain", "/products/42", nil},
	{"query", "/products?a=1&b=2&c=3", nil},
	{"unsorted", "/products?c=3&b=2&a=1", nil},
	{"keyed headers", "/products?a=1&b=2&c=3", []string{"Accept-Encoding", "Accept-Language"}},
}

func TestHitAllocatesNothing(t *testing.T) {
	for _, size := range []int{1 << 10, 64 << 10} {
		for _, v := range variants {
			p := openPages(t, page.Options{Vary: v.vary})
			r, w := browserRequest(v.target), &discard{h: http.Header{}}
			if err := p.Run(w, r, sixFields(size)); err != nil {
				t.Fatal(err)
			}
			hit := func() {
				w.reset()
				if !p.TryServe(w, r) || w.status != http.StatusOK || w.n != size {
					t.Fatalf("%s: no hit: status %d, %d bytes", v.name, w.status, w.n)
				}
			}
			hit()
			if n := testing.AllocsPerRun(200, hit); n != 0 {
				t.Errorf("%s, %d bytes: %v allocations a hit", v.name, size, n)
			}
		}
	}
}

func BenchmarkHit(b *testing.B) {
	for _, v := range variants {
		b.Run(v.name, func(b *testing.B) {
			p := openPages(b, page.Options{Vary: v.vary})
			r, w := browserRequest(v.target), &discard{h: http.Header{}}
			if err := p.Run(w, r, sixFields(1024)); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				w.reset()
				if !p.TryServe(w, r) {
					b.Fatal("no hit")
				}
			}
		})
	}
	b.Run("ordinary handler with eight fields", func(b *testing.B) {
		body := bytes.Repeat([]byte("x"), 1024)
		w := &discard{h: http.Header{}}
		b.ReportAllocs()
		for b.Loop() {
			w.reset()
			h := w.Header()
			h.Set("Content-Type", "text/html; charset=utf-8")
			h.Set("Content-Length", "1024")
			h.Set("Cache-Control", "max-age=60")
			h.Set("Etag", `"v1"`)
			h.Set("Last-Modified", "Mon, 02 Jan 2023 15:04:05 GMT")
			h.Set("X-Frame-Options", "DENY")
			h.Set("Age", "1")
			h.Set("Cache-Status", "strata; hit; ttl=59")
			w.WriteHeader(http.StatusOK)
			_, _ = w.Write(body)
		}
	})
}

var _ io.Writer = (*discard)(nil)
