package stats_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/stats"
)

// serve runs a handler under the monitor, as a middleware does, and returns its response.
func serve(m *stats.Monitor, w http.ResponseWriter, r *http.Request, route string, h http.HandlerFunc) {
	r, x := m.Begin(r)
	if x == nil {
		h(w, r)
		return
	}
	panicked := true
	defer func() { x.End(route, panicked) }()
	h(x.Writer(w), r)
	panicked = false
}

func get(ctx context.Context) *http.Request {
	return httptest.NewRequestWithContext(ctx, http.MethodGet, "/secret/path", nil)
}

func textLogger() (*slog.Logger, *bytes.Buffer) {
	var out bytes.Buffer
	return slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		switch a.Key {
		case slog.TimeKey, "duration", "cache_time", "load_time":
			return slog.Attr{}
		}
		return a
	}})), &out
}

func TestRecordHoldsNoPath(t *testing.T) {
	logger, out := textLogger()
	o := newRecorder(t, stats.Options{}).Observer()
	m := stats.NewMonitor(stats.MonitorOptions{Logger: logger, Level: slog.LevelWarn})
	serve(m, httptest.NewRecorder(), get(t.Context()), "/{id}", func(w http.ResponseWriter, r *http.Request) {
		o.Call(r.Context(), event.Call{Cache: "c", Key: "secret", Outcome: event.OutcomeHit})
		o.Call(r.Context(), event.Call{Cache: "c", Key: "secret", Outcome: event.OutcomeFiltered})
		o.Call(r.Context(), event.Call{Cache: "c", Key: "secret", Outcome: event.OutcomeFallback})
		o.Load(r.Context(), event.Load{Cache: "c", Key: "secret", Result: event.LoadOverload})
		io.WriteString(w, "hello")
	})
	want := "level=WARN msg=request method=GET route=/{id} status=200 bytes=5 hits=1 negative=0 stale=0 misses=0 loads=0 filtered=1 fallback=1 overload=1\n"
	if out.String() != want {
		t.Errorf("got  %swant %s", out, want)
	}
}

func TestSampling(t *testing.T) {
	for _, tc := range []struct {
		name  string
		every int
		want  string // one letter a record: of good requests, failed ones and panics
	}{
		{"default: all", 0, "gfpgfpgfp"},
		{"one in one", 1, "gfpgfpgfp"},
		{"one in six, and failures", 6, "gfpfpgfp"},
		{"failures only", -1, "fpfpfp"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			logger, out := textLogger()
			m := stats.NewMonitor(stats.MonitorOptions{Logger: logger, SampleEvery: tc.every})
			for range 3 {
				serve(m, httptest.NewRecorder(), get(t.Context()), "g", func(http.ResponseWriter, *http.Request) {})
				serve(m, httptest.NewRecorder(), get(t.Context()), "f", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
				func() {
					defer func() { _ = recover() }()
					serve(m, httptest.NewRecorder(), get(t.Context()), "p", func(http.ResponseWriter, *http.Request) { panic("oh") })
				}()
			}
			var got strings.Builder
			for line := range strings.Lines(out.String()) {
				_, route, _ := strings.Cut(line, "route=")
				got.WriteString(route[:1])
			}
			if got.String() != tc.want {
				t.Errorf("logged %s, want %s", got.String(), tc.want)
			}
		})
	}
}

func TestServerTimingIsOptional(t *testing.T) {
	o := newRecorder(t, stats.Options{}).Observer()
	m := stats.NewMonitor(stats.MonitorOptions{ServerTiming: func(r *http.Request) bool { return r.Header.Get("X-Debug") != "" }})
	for debug, want := range map[string]string{"": "", "1": `cache;desc="1 hit"`} {
		r, w := get(t.Context()), httptest.NewRecorder()
		r.Header.Set("X-Debug", debug)
		serve(m, w, r, "", func(_ http.ResponseWriter, r *http.Request) { o.Call(r.Context(), hit("k")) })
		if got := w.Header().Get("Server-Timing"); got != want {
			t.Errorf("debug %q: Server-Timing %q, want %q", debug, got, want)
		}
	}
}

func TestMonitorUsesATraceThatIsThere(t *testing.T) {
	o, m := newRecorder(t, stats.Options{}).Observer(), stats.NewMonitor(stats.MonitorOptions{})
	ctx, trace := stats.WithTrace(t.Context())
	for range 2 { // it may be that of a job with several requests
		w := httptest.NewRecorder()
		serve(m, w, get(ctx), "", func(_ http.ResponseWriter, r *http.Request) { o.Call(r.Context(), hit("k")) })
		if w.Header().Get("Server-Timing") == "" {
			t.Error("not announced")
		}
	}
	o.Call(ctx, hit("k"))
	if s := trace.Finish(); s.Hits != 3 {
		t.Errorf("%d hits in the trace, want 3", s.Hits)
	}
	// Detached work of a finished request is watched for itself.
	serve(m, httptest.NewRecorder(), get(ctx), "", func(_ http.ResponseWriter, r *http.Request) {
		if stats.FromContext(r.Context()) == trace {
			t.Error("the finished trace is still used")
		}
	})
}

func TestRequestIsHandedBack(t *testing.T) {
	m, r := stats.NewMonitor(stats.MonitorOptions{}), get(t.Context())
	mux := http.NewServeMux()
	mux.HandleFunc("GET /secret/{id}", func(http.ResponseWriter, *http.Request) {})
	serve(m, httptest.NewRecorder(), r, "", mux.ServeHTTP)
	if r.Pattern != "GET /secret/{id}" {
		t.Errorf("the pattern outside is %q", r.Pattern)
	}
}

func TestAFlushWritesTheHeader(t *testing.T) {
	logger, out := textLogger()
	m := stats.NewMonitor(stats.MonitorOptions{Logger: logger})
	defer func() {
		if recover() == nil || !strings.Contains(out.String(), "status=200 bytes=0 hits=0 negative=0 stale=0 misses=0 loads=0 panic=true") {
			t.Errorf("record %s", out)
		}
	}()
	serve(m, httptest.NewRecorder(), get(t.Context()), "", func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush()
		panic("oh")
	})
}

// fullWriter can do what the server's HTTP/1 writer can.
type fullWriter struct {
	*httptest.ResponseRecorder
	http.Hijacker
	readFrom int64
}

func (w *fullWriter) ReadFrom(src io.Reader) (int64, error) {
	n, err := io.Copy(w.Body, src)
	w.readFrom += n
	return n, err
}

// pushWriter can do what the server's HTTP/2 writer can.
type pushWriter struct {
	http.ResponseWriter
	pushed string
}

func (w *pushWriter) Push(target string, _ *http.PushOptions) error {
	w.pushed = target
	return nil
}

// mute cannot even flush.
type mute struct{ http.ResponseWriter }

func TestWriterHasTheAbilitiesOfTheOneBehind(t *testing.T) {
	m := stats.NewMonitor(stats.MonitorOptions{})
	with := func(t *testing.T, behind http.ResponseWriter, f func(http.ResponseWriter)) {
		t.Helper()
		serve(m, behind, get(t.Context()), "", func(w http.ResponseWriter, _ *http.Request) { f(w) })
	}
	t.Run("HTTP/1", func(t *testing.T) {
		behind := &fullWriter{ResponseRecorder: httptest.NewRecorder()}
		with(t, behind, func(w http.ResponseWriter) {
			n, err := io.Copy(w, io.LimitReader(strings.NewReader("hello world"), 5))
			if n != 5 || err != nil || behind.readFrom != 5 {
				t.Errorf("copied %d, %v; %d of them by ReadFrom", n, err, behind.readFrom)
			}
			if _, ok := w.(http.Hijacker); !ok {
				t.Error("not a Hijacker")
			}
			if _, ok := w.(http.Pusher); ok {
				t.Error("a Pusher")
			}
		})
	})
	t.Run("HTTP/2", func(t *testing.T) {
		behind := &pushWriter{ResponseWriter: httptest.NewRecorder()}
		with(t, behind, func(w http.ResponseWriter) {
			if err := w.(http.Pusher).Push("/a.css", nil); err != nil || behind.pushed != "/a.css" {
				t.Errorf("pushed %q, %v", behind.pushed, err)
			}
			if _, ok := w.(http.Hijacker); ok {
				t.Error("a Hijacker")
			}
		})
	})
	t.Run("neither", func(t *testing.T) {
		behind := mute{httptest.NewRecorder()}
		with(t, behind, func(w http.ResponseWriter) {
			if err := http.NewResponseController(w).Flush(); !errors.Is(err, http.ErrNotSupported) {
				t.Errorf("flush: %v", err)
			}
			if _, _, err := http.NewResponseController(w).Hijack(); !errors.Is(err, http.ErrNotSupported) {
				t.Errorf("hijack: %v", err)
			}
		})
	})
}

func TestAnEmptyReadFromWritesNoHeader(t *testing.T) {
	logger, out := textLogger()
	m := stats.NewMonitor(stats.MonitorOptions{Logger: logger})
	behind := &fullWriter{ResponseRecorder: httptest.NewRecorder()}
	serve(m, behind, get(t.Context()), "", func(w http.ResponseWriter, _ *http.Request) {
		if _, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader("")); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusNotFound)
		w.WriteHeader(http.StatusOK) // superfluous
	})
	if !strings.Contains(out.String(), "status=404") {
		t.Errorf("record %s", out)
	}
}
