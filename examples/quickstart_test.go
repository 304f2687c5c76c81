package examples_test

import (
	"net/http"
	"strings"
	"testing"
)

func TestQuickstart(t *testing.T) {
	for _, name := range []string{"nethttp", "gin", "echo", "echo5"} {
		t.Run(name, func(t *testing.T) {
			p := start(t, name)
			first, second := p.get("/hello/gopher"), p.get("/hello/gopher")
			if first.StatusCode != http.StatusOK || !strings.HasPrefix(first.body, "Hello gopher, it was ") {
				t.Errorf("%s: %q", first.Status, first.body)
			}
			if got := first.cacheStatus(); got != "strata; fwd=uri-miss; stored" {
				t.Errorf("first: Cache-Status %q", got)
			}
			if !second.hit() || second.body != first.body || second.StatusCode != http.StatusOK {
				t.Errorf("second: %s, Cache-Status %q, %q", second.Status, second.cacheStatus(), second.body)
			}
		})
	}
}
