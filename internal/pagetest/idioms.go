package pagetest

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/page"
	"github.com/strata-cache/strata/core/store/memstore"
)

// Idiom is a way to answer that one framework has, and the others do not.
type Idiom struct {
	Name string
	// New makes an application around pages.
	New     func(t *testing.T, pages *page.Cache) http.Handler
	Options page.Options
	// Method is GET where nothing is said, Target "/".
	Method, Target string
	Header         []string
	// Status and Text are the answer, Stored says whether the second one comes from the cache.
	Status int
	Text   string
	Stored bool
	// Check, if not nil, looks closer at both answers.
	Check func(t *testing.T, first, second Answer)
}

// RunIdioms asks each application twice.
func RunIdioms(t *testing.T, idioms []Idiom) {
	t.Helper()
	for _, i := range idioms {
		t.Run(i.Name, func(t *testing.T) {
			app := &App{T: t, Pages: newPages(t, i.Options)}
			app.Server = httptest.NewServer(i.New(t, app.Pages))
			t.Cleanup(app.Server.Close)
			if i.Method == "" {
				i.Method = http.MethodGet
			}
			if i.Target == "" {
				i.Target = "/"
			}
			first := app.Send(i.Method, i.Target, i.Header...)
			second := app.Send(i.Method, i.Target, i.Header...)
			for n, a := range []Answer{first, second} {
				if a.StatusCode != i.Status || a.Text != i.Text || a.Err != nil || a.Hit() != (i.Stored && n == 1) {
					t.Errorf("answer %d: %d %q, %v, Cache-Status %q", n+1, a.StatusCode, a.Text, a.Err, a.CacheStatus())
				}
			}
			if i.Check != nil {
				i.Check(t, first, second)
			}
		})
	}
}

func newPages(t *testing.T, o page.Options) *page.Cache {
	t.Helper()
	st, err := memstore.New(memstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := cache.New(st, cache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	pages, err := page.New(c, o)
	if err != nil {
		t.Fatal(err)
	}
	return pages
}
