package nethttpmw_test

import (
	"net/http"
	"testing"

	"github.com/strata-cache/strata/internal/pagetest"
	"github.com/strata-cache/strata/nethttpmw"
)

func TestCacheConformance(t *testing.T) { pagetest.Run(t, build) }

func TestCacheAllocations(t *testing.T) { pagetest.Allocs(t, build, 0) }

func build(s pagetest.Setup) http.Handler {
	var h http.Handler = s.Handler
	if s.Route {
		h = nethttpmw.Page(s.Pages, s.TTL, h)
	}
	if s.Site {
		h = nethttpmw.Cache(s.Pages)(h)
	}
	if s.Outer == nil {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.Outer(w, r)
		h.ServeHTTP(w, r)
	})
}
