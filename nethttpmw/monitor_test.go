package nethttpmw_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/page"
	"github.com/strata-cache/strata/core/store/memstore"
	"github.com/strata-cache/strata/internal/monitortest"
	"github.com/strata-cache/strata/nethttpmw"
	"github.com/strata-cache/strata/stats"
)

func TestMonitor(t *testing.T) {
	monitortest.Run(t, monitortest.Adapter{
		New: func(monitors []stats.MonitorOptions, routes map[string]http.HandlerFunc) http.Handler {
			mux := http.NewServeMux()
			for path, h := range routes {
				mux.HandleFunc(path, h)
			}
			var app http.Handler = mux
			for _, opts := range monitors {
				app = nethttpmw.Monitor(opts)(app)
			}
			return app
		},
		Template:      func(path string) string { return path },
		Informational: true,
	})
}

func TestMonitorOverAPageCache(t *testing.T) {
	recorder, err := stats.New(stats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	store, err := memstore.New(memstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := cache.New(store, cache.Options{Observer: recorder.Observer()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	pages, err := page.New(c, page.Options{})
	if err != nil {
		t.Fatal(err)
	}
	handler := http.NewServeMux()
	handler.HandleFunc("GET /item/{id}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Server-Timing", "db;dur=5")
		_, _ = io.WriteString(w, "hello")
	})
	var log bytes.Buffer
	monitor := nethttpmw.Monitor(stats.MonitorOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	app := monitor(nethttpmw.Cache(pages)(handler))
	for _, want := range []struct{ record, own, timing string }{
		{`route="GET /item/{id}" status=200 bytes=5`, `db;dur=5`, `cache;desc="1 miss"`},
		{"hits=1 negative=0 stale=0 misses=0 loads=0", ``, `cache;desc="1 hit"`}, // the handler's own is not stored with the page
	} {
		w := httptest.NewRecorder()
		app.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/item/1", nil))
		if timing := strings.Join(w.Header().Values("Server-Timing"), ", "); !strings.Contains(timing, want.timing) {
			t.Errorf("Server-Timing %q, want %s", timing, want.timing)
		}
		if !strings.Contains(log.String(), want.record) || w.Body.String() != "hello" {
			t.Errorf("body %q, record %swant %s", w.Body, &log, want.record)
		}
		if own := slices.Contains(w.Header().Values("Server-Timing"), "db;dur=5"); own != (want.own != "") {
			t.Errorf("Server-Timing %q", w.Header().Values("Server-Timing"))
		}
		log.Reset()
	}
}

func ExampleMonitor() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /item/{id}", func(w http.ResponseWriter, _ *http.Request) {
		// Caches asked with r.Context() appear in Server-Timing.
		w.WriteHeader(http.StatusNoContent)
	})
	monitor := nethttpmw.Monitor(stats.MonitorOptions{Logger: slog.Default(), SampleEvery: 100})
	_ = http.Server{Handler: monitor(mux)}
}
