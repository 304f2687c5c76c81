// Package monitortest is the one table of cases that the Monitor middleware of every framework has to pass.
// Each case runs against a real server, once behind the middleware and once without it: the two answers
// must be the same but for Server-Timing.
package monitortest

import (
	"maps"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/strata-cache/strata/stats"
)

// Adapter is the middleware of one framework.
type Adapter struct {
	// New returns an application with the routes, for any method, behind one Monitor for each of the
	// options: none without any. A path is "/static" or "/item/{id}", as net/http writes it. The
	// application must not recover panics.
	New func(monitors []stats.MonitorOptions, routes map[string]http.HandlerFunc) http.Handler
	// Template returns how the framework writes a path of the routes.
	Template func(path string) string
	// Informational says that the framework lets WriteHeader(103) through.
	Informational bool
}

// Run runs the table.
func Run(t *testing.T, a Adapter) {
	for _, tc := range cases() {
		t.Run(tc.name, func(t *testing.T) {
			plain := newApp(t, a, 0)
			want := plain.do(tc.method, tc.path, tc.interact)
			app := newApp(t, a, 1)
			got := app.do(tc.method, tc.path, tc.interact)

			timing := got.header.Values("Server-Timing")
			if !matches(timing, tc.timing) {
				t.Errorf("Server-Timing %q, want %q", timing, tc.timing)
			}
			checkRecord(t, app.record(), tc, a)
			for _, h := range got.informational {
				if h.Get("Server-Timing") != "" {
					t.Error("Server-Timing in an informational response")
				}
			}
			if a.Informational && len(got.informational) != tc.informational {
				t.Errorf("%d informational responses, want %d", len(got.informational), tc.informational)
			}
			got.header.Del("Server-Timing")
			want.header.Del("Server-Timing")
			if !reflect.DeepEqual(got, want) {
				t.Errorf("with Monitor\n%+v\nwithout\n%+v", got, want)
			}
		})
	}
	t.Run("nested monitors report once", func(t *testing.T) {
		app := newApp(t, a, 2)
		got := app.do(http.MethodGet, "/hit", nil)
		if timing := got.header.Values("Server-Timing"); !matches(timing, []string{`cache;desc="1 hit"` + dur}) {
			t.Errorf("Server-Timing %q", timing)
		}
		if r := app.record(); r["hits"] != int64(1) {
			t.Errorf("record %v", r)
		}
		app.server.Close()
		if n := len(app.records); n != 0 {
			t.Errorf("%d records too many", n)
		}
	})
	t.Run("files of a form are removed", func(t *testing.T) {
		t.Setenv("TMPDIR", t.TempDir())
		app := newApp(t, a, 1)
		app.do(http.MethodPost, "/form", nil)
		app.server.Close() // waits until the server has tidied up
		if files, err := os.ReadDir(os.TempDir()); err != nil || slices.ContainsFunc(files, isFormFile) {
			t.Errorf("left behind: %v, %v", files, err)
		}
	})
	t.Run("requests do not mix", func(t *testing.T) {
		app := newApp(t, a, 1)
		for range 3 { // contexts of frameworks are pooled
			app.do(http.MethodGet, "/hit", nil)
			if r := app.record(); r["hits"] != int64(1) {
				t.Errorf("record %v", r)
			}
		}
	})
}

// Idiom is a handler written in a framework's own way.
type Idiom struct {
	Name   string
	Status int
	Bytes  int64 // of the log record; below 0 where it does not say
	// New returns an application that answers /, behind one Monitor for each of the options. Each request
	// hits the cache once, by hit.
	New func(t *testing.T, monitors []stats.MonitorOptions, hit func(*http.Request)) http.Handler
}

// RunIdioms checks that each application answers as it does without Monitor, and that the record is right.
func RunIdioms(t *testing.T, idioms []Idiom) {
	for _, id := range idioms {
		t.Run(id.Name, func(t *testing.T) {
			a := Adapter{New: func(monitors []stats.MonitorOptions, routes map[string]http.HandlerFunc) http.Handler {
				return id.New(t, monitors, func(r *http.Request) { routes["/empty"](nil, r) })
			}}
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				want := newApp(t, a, 0).do(method, "/", nil)
				app := newApp(t, a, 1)
				got := app.do(method, "/", nil)
				if timing := got.header.Values("Server-Timing"); !matches(timing, []string{`cache;desc="1 hit"` + dur}) {
					t.Errorf("%s: Server-Timing %q", method, timing)
				}
				got.header.Del("Server-Timing")
				if !reflect.DeepEqual(got, want) {
					t.Errorf("%s: with Monitor\n%+v\nwithout\n%+v", method, got, want)
				}
				r := app.record()
				if want.status != id.Status || r["status"] != int64(id.Status) {
					t.Errorf("%s: status %d, in the record %d, want %d", method, want.status, r["status"], id.Status)
				}
				if method == http.MethodGet && id.Bytes >= 0 && r["bytes"] != id.Bytes {
					t.Errorf("%d bytes in the record, want %d", r["bytes"], id.Bytes)
				}
			}
		})
	}
}

func isFormFile(f os.DirEntry) bool { return strings.HasPrefix(f.Name(), "multipart-") }

func checkRecord(t *testing.T, r map[string]any, tc testCase, a Adapter) {
	t.Helper()
	want := map[string]any{
		"method": tc.method, "route": "", "status": int64(tc.status), "bytes": int64(tc.bytes),
		"hits": int64(0), "negative": int64(0), "stale": int64(0), "misses": int64(0), "loads": int64(0),
	}
	if tc.route != "" {
		want["route"] = a.Template(tc.route)
	}
	maps.Copy(want, tc.record)
	for _, k := range tc.anyOf {
		delete(want, k)
		delete(r, k)
	}
	for _, k := range []string{"duration", "cache_time", "load_time"} {
		if _, ok := r[k]; !ok {
			t.Errorf("record without %s", k)
		}
		delete(r, k)
	}
	if !reflect.DeepEqual(r, want) {
		t.Errorf("record\n%v\nwant\n%v", r, want)
	}
}
