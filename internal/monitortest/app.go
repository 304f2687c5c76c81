package monitortest

import (
	"bytes"
	"context"
	"io"
	"log"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/store/memstore"
	"github.com/strata-cache/strata/stats"
)

// app is an application of one framework with a cache and a server of its own.
type app struct {
	t       *testing.T
	users   *cache.Kind[int, string]
	server  *httptest.Server
	records chan map[string]any
	goOn    chan struct{} // lets the streaming handler go on
	file    string
}

func newApp(t *testing.T, a Adapter, monitors int) *app {
	t.Helper()
	app := &app{t: t, users: newUsers(t), records: make(chan map[string]any, 16), goOn: make(chan struct{}), file: newFile(t)}
	opts := make([]stats.MonitorOptions, monitors)
	for i := range opts {
		opts[i].Logger = slog.New(recordHandler{app.records})
	}
	app.server = httptest.NewUnstartedServer(a.New(opts, app.routes()))
	app.server.Config.ErrorLog = log.New(io.Discard, "", 0) // panics
	app.server.Start()
	t.Cleanup(app.server.Close)
	return app
}

// newUsers returns a kind in which 1 is cached, others can be loaded and those below 0 do not exist.
func newUsers(t *testing.T) *cache.Kind[int, string] {
	t.Helper()
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
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	users, err := cache.NewKind(c, "user", cache.KindOptions[int, string]{
		Load: func(_ context.Context, id int) (string, error) {
			if id < 0 {
				return "", cache.ErrNotFound
			}
			return "loaded", nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := users.Set(context.Background(), 1, "Ada"); err != nil {
		t.Fatal(err)
	}
	return users
}

// answer is all that a client sees of a response.
type answer struct {
	failed          bool // the connection broke before the response was complete
	status          int
	header, trailer http.Header
	body            string
	informational   []http.Header
}

// do sends a request and reads the response. It gives up after ten seconds.
func (a *app) do(method, path string, interact func(*testing.T, *app, *http.Response) string) answer {
	a.t.Helper()
	var got answer
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
			got.informational = append(got.informational, http.Header(h))
			return nil
		},
	})
	r := newRequest(a.t, method, a.server.URL+path).WithContext(ctx)
	res, err := a.server.Client().Transport.RoundTrip(r)
	if err != nil {
		if ctx.Err() != nil {
			a.t.Fatal(err)
		}
		return answer{failed: true, header: http.Header{}}
	}
	defer res.Body.Close()
	if interact != nil {
		got.body = interact(a.t, a, res)
	} else {
		body, err := io.ReadAll(res.Body)
		got.body, got.failed = string(body), err != nil
	}
	got.status, got.header, got.trailer = res.StatusCode, res.Header, res.Trailer
	got.header.Del("Date")
	return got
}

func newRequest(t *testing.T, method, url string) *http.Request {
	t.Helper()
	if method != http.MethodPost {
		r, err := http.NewRequest(method, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept-Encoding", "identity")
		return r
	}
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", "name.txt")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := part.Write(bytes.Repeat([]byte("x"), 10_000)); err != nil {
		t.Fatal(err)
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest(method, url, &body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", form.FormDataContentType())
	return r
}

// record waits for the next log record. It is written after the client has its response.
func (a *app) record() map[string]any {
	a.t.Helper()
	select {
	case r := <-a.records:
		return r
	case <-time.After(10 * time.Second):
		a.t.Fatal("no log record")
		return nil
	}
}

// recordHandler passes the attributes of records on.
type recordHandler struct{ records chan<- map[string]any }

func (recordHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }

func (h recordHandler) Handle(_ context.Context, r slog.Record) error {
	attrs := map[string]any{}
	r.Attrs(func(a slog.Attr) bool {
		attrs[a.Key] = a.Value.Any()
		return true
	})
	h.records <- attrs
	return nil
}

func (h recordHandler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h recordHandler) WithGroup(string) slog.Handler      { return h }
