package page_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/page"
)

// recovered makes what a middleware behind the cache makes of a handler's panic.
func recovered(h page.Handler, render func(http.ResponseWriter)) page.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		defer func() {
			if recover() != nil {
				render(w)
			}
		}()
		return h(w, r)
	}
}

func TestWhatIsNotWholeIsNotStored(t *testing.T) {
	half := func(w http.ResponseWriter, _ *http.Request) error {
		_, _ = io.WriteString(w, "half a")
		panic("oops")
	}
	tests := map[string]page.Handler{
		"an error": func(w http.ResponseWriter, _ *http.Request) error {
			_, _ = io.WriteString(w, "half a")
			return errHandler
		},
		"an error before": func(http.ResponseWriter, *http.Request) error { return errHandler },
		"nothing written": func(http.ResponseWriter, *http.Request) error { return nil },
		"a panic that becomes a status": recovered(half, func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusInternalServerError)
		}),
		"a panic that becomes a page": recovered(half, func(w http.ResponseWriter) {
			http.Error(w, "sorry", http.StatusInternalServerError)
		}),
		"less than declared":  text("body", "Content-Length: 5"),
		"more than declared":  text("body", "Content-Length: 3"),
		"a length of letters": text("body", "Content-Length: x"),
		"a negative length":   text("body", "Content-Length: -4"),
		"a trailer": func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Trailer", "X-Sum")
			_, err := io.WriteString(w, "body")
			w.Header().Set("X-Sum", "1")
			return err
		},
		"a name that is none": func(w http.ResponseWriter, r *http.Request) error {
			w.Header()["X A"] = []string{"1"}
			return text("b")(w, r)
		},
		"a name in small": func(w http.ResponseWriter, r *http.Request) error {
			w.Header()["set-cookie"] = []string{"a=b"}
			return text("b")(w, r)
		},
		"a value with a break": func(w http.ResponseWriter, r *http.Request) error {
			w.Header()["X-A"] = []string{"1\r\nX-B: 2"}
			return text("b")(w, r)
		},
	}
	for name, h := range tests {
		for _, header := range []string{"X: y", `If-None-Match: "x"`} {
			t.Run(name+", "+header, func(t *testing.T) {
				a := simple(t, page.Options{}, h)
				for range 2 {
					if w, _ := a.do(get("/", header)); w.hit() {
						t.Error("a hit")
					}
				}
				a.wantRuns(t, 2)
			})
		}
	}
}

func TestWhatIsWrittenTwiceWithOneStatusIsStored(t *testing.T) {
	a := simple(t, page.Options{}, func(w http.ResponseWriter, r *http.Request) error {
		w.WriteHeader(http.StatusOK)
		w.WriteHeader(http.StatusOK)
		return text("body")(w, r)
	})
	a.get(t, "/")
	if !a.get(t, "/").hit() {
		t.Error("not stored")
	}
}

func TestHeldAnswers(t *testing.T) {
	big := strings.Repeat("x", 100)
	tests := []struct {
		name    string
		handler page.Handler
		status  int
		text    string
		stored  bool
	}{
		{name: "a match", handler: text("body", `Etag: "v1"`), status: 304, stored: true},
		{name: "no match", handler: text("body", `Etag: "v2"`), status: 200, text: "body", stored: true},
		{name: "a match that is not for everybody", handler: text("body", `Etag: "v1"`, "Set-Cookie: a=b"), status: 200, text: "body"},
		{name: "no store", handler: text("body", `Etag: "v1"`, "Cache-Control: no-store"), status: 200, text: "body"},
		{name: "another status", handler: func(w http.ResponseWriter, r *http.Request) error {
			w.WriteHeader(http.StatusTeapot)
			return text("body")(w, r)
		}, status: 418, text: "body"},
		{name: "an error behind the body", handler: func(w http.ResponseWriter, r *http.Request) error {
			_ = text("half", `Etag: "v1"`)(w, r)
			return errHandler
		}, status: 200, text: "half"},
		{name: "a flush", handler: func(w http.ResponseWriter, r *http.Request) error {
			_ = text("one ", `Etag: "v1"`)(w, r)
			if err := http.NewResponseController(w).Flush(); err != nil {
				return err
			}
			return text("two")(w, r)
		}, status: 200, text: "one two", stored: true},
		{name: "more than the limit", handler: func(w http.ResponseWriter, r *http.Request) error {
			_ = text("one ", `Etag: "v1"`)(w, r)
			return text(big)(w, r)
		}, status: 200, text: "one " + big},
		{name: "less than declared", handler: text("body", `Etag: "v1"`, "Content-Length: 9"), status: 200, text: "body"},
		{name: "NoStore behind the body", handler: func(w http.ResponseWriter, r *http.Request) error {
			_ = text("body", `Etag: "v1"`)(w, r)
			page.NoStore(r)
			return nil
		}, status: 200, text: "body"},
		{name: "a status with a body of nothing", handler: func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Etag", `"v1"`)
			w.WriteHeader(http.StatusOK)
			return nil
		}, status: 304, stored: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := simple(t, page.Options{MaxBody: 50}, tt.handler)
			w, _ := a.do(get("/", `If-None-Match: "v1"`))
			if w.status != tt.status || w.text() != tt.text || w.calls != 1 || len(w.header["Cache-Status"]) != 1 {
				t.Errorf("%d %q, %d times, %q", w.status, w.text(), w.calls, w.header["Cache-Status"])
			}
			if stored := strings.Contains(w.cacheStatus(), "stored"); stored != tt.stored {
				t.Errorf("%s", w.cacheStatus())
			}
			if w, _ := a.do(get("/")); w.hit() != tt.stored {
				t.Errorf("then %s", w.cacheStatus())
			}
		})
	}
}

func TestAPanicBehindAHeldAnswer(t *testing.T) {
	a := simple(t, page.Options{}, func(w http.ResponseWriter, r *http.Request) error {
		_ = text("half", `Etag: "v1"`)(w, r)
		panic(http.ErrAbortHandler)
	})
	for range 2 {
		w := newAnswer()
		func() {
			defer func() {
				if r := recover(); r != any(http.ErrAbortHandler) {
					t.Errorf("recovered %v", r)
				}
			}()
			_ = a.serve(a.pages, w, get("/", `If-None-Match: "v1"`))
		}()
		if w.status != 200 || w.calls != 1 {
			t.Errorf("%d, written %d times", w.status, w.calls)
		}
	}
	a.wantRuns(t, 2)
}

// A goroutine that a handler leaves behind must not write into the page, nor into the buffer that another
// request records with by then.
func TestAGoroutineThatIsLeftBehind(t *testing.T) {
	p := newPages(t, open(t, memory(t), cache.Options{}), page.Options{})
	stop := make(chan struct{})
	var left sync.WaitGroup
	careless := newApp(func(w http.ResponseWriter, _ *http.Request) error {
		begun := make(chan struct{})
		left.Go(func() {
			for i := 0; ; i++ {
				if _, _ = io.WriteString(w, "careless"); i == 0 {
					close(begun)
				}
				select {
				case <-stop:
					return
				default:
					runtime.Gosched()
				}
			}
		})
		<-begun
		return nil
	}, p)
	careful := newApp(text("careful", "Content-Type: text/plain"), p)
	for i := range 20 {
		careless.get(t, "/careless"+strings.Repeat("x", i))
		for range 3 {
			if w := careful.get(t, "/careful"+strings.Repeat("x", i)); w.text() != "careful" {
				t.Fatalf("got %q", w.text())
			}
		}
	}
	close(stop)
	left.Wait()
}

func TestAHeaderValueThatIsKeptByOthers(t *testing.T) {
	lines := make([]string, 1, 8)
	lines[0] = "origin; hit"
	a := simple(t, page.Options{}, func(w http.ResponseWriter, r *http.Request) error {
		w.Header()["Cache-Status"] = lines
		return text("body")(w, r)
	})
	a.get(t, "/")
	if got := lines[:cap(lines)]; got[1] != "" {
		t.Errorf("the handler's own slice holds %q now", got)
	}
	w := a.get(t, "/")
	if got := w.header["Cache-Status"]; len(got) != 2 || got[0] != "origin; hit" {
		t.Errorf("%q", got)
	}
	w.live["Cache-Status"] = append(w.live["Cache-Status"], "outer")
	w.live.Add("Age", "1")
	if got := a.get(t, "/").header; len(got["Cache-Status"]) != 2 || len(got["Age"]) != 1 {
		t.Errorf("what one request added, another one got: %v", got)
	}
}

func TestTheClientIsGone(t *testing.T) {
	a := simple(t, page.Options{}, func(w http.ResponseWriter, _ *http.Request) error {
		for range 10 {
			if _, err := io.WriteString(w, "0123456789"); err != nil {
				return err
			}
		}
		return nil
	})
	w := newAnswer()
	w.broken = errors.New("broken pipe")
	if err := a.serve(a.pages, w, get("/")); err != nil {
		t.Fatal(err)
	}
	if w := a.get(t, "/"); !w.hit() || w.text() != strings.Repeat("0123456789", 10) {
		t.Errorf("the page for those who come next: %q (%s)", w.text(), w.cacheStatus())
	}
}

func TestErrorsOfTheServerReachTheHandler(t *testing.T) {
	for _, broken := range []error{http.ErrContentLength, http.ErrBodyNotAllowed} {
		a := simple(t, page.Options{}, func(w http.ResponseWriter, _ *http.Request) error {
			_, err := io.WriteString(w, "body")
			return err
		})
		w := newAnswer()
		w.broken = broken
		if err := a.serve(a.pages, w, get("/")); !errors.Is(err, broken) {
			t.Errorf("got %v, want %v", err, broken)
		}
		if a.get(t, "/").hit() {
			t.Errorf("%v: stored", broken)
		}
	}
}

// hijackable is an answer whose connection can be taken over, and that can copy by itself.
type hijackable struct {
	*answer
	hijacked bool
	copied   int64
}

func (h *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	h.hijacked = true
	return nil, nil, nil
}

func (h *hijackable) ReadFrom(src io.Reader) (int64, error) {
	n, err := io.Copy(h.answer, src)
	h.copied += n
	return n, err
}

func TestHijack(t *testing.T) {
	a := simple(t, page.Options{}, func(w http.ResponseWriter, _ *http.Request) error {
		_, _, err := w.(http.Hijacker).Hijack()
		return err
	})
	for _, header := range []string{"X: y", "Cookie: a=b", `If-None-Match: "x"`} {
		w := &hijackable{answer: newAnswer()}
		if err := a.serve(a.pages, w, get("/", header)); err != nil || !w.hijacked || w.calls != 0 {
			t.Errorf("%s: %v, hijacked %v, %d headers", header, err, w.hijacked, w.calls)
		}
	}
	if _, err := a.do(get("/")); !errors.Is(err, http.ErrNotSupported) {
		t.Errorf("without a connection: %v", err)
	}
}

func TestReadFrom(t *testing.T) {
	big := strings.Repeat("x", 100_000)
	a := simple(t, page.Options{MaxBody: 1000}, func(w http.ResponseWriter, r *http.Request) error {
		if r.URL.Path == "/declared" {
			w.Header().Set("Content-Length", "100000")
			w.WriteHeader(http.StatusOK)
		}
		_, err := io.Copy(w, struct{ io.Reader }{strings.NewReader(big)}) // which cannot write by itself
		return err
	})
	for target, direct := range map[string]bool{"/declared": true, "/": false, "/skipped": true} {
		header := "X: y"
		if target == "/skipped" {
			header = "Cookie: a=b"
		}
		w := &hijackable{answer: newAnswer()}
		if err := a.serve(a.pages, w, get(target, header)); err != nil || w.text() != big {
			t.Errorf("%s: %d bytes, %v", target, len(w.text()), err)
		}
		if (w.copied > 0) != direct {
			t.Errorf("%s: %d bytes were copied by the server", target, w.copied)
		}
	}
}

func TestStreams(t *testing.T) {
	flush := func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() }
	t.Run("a short one is stored", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := simple(t, page.Options{}, func(w http.ResponseWriter, r *http.Request) error {
				_ = text("one ")(w, r)
				flush(w)
				sleep(time.Second / 2)
				return text("two")(w, r)
			})
			a.get(t, "/")
			if w := a.get(t, "/"); !w.hit() || w.text() != "one two" {
				t.Errorf("%q (%s)", w.text(), w.cacheStatus())
			}
		})
	})
	t.Run("a long one makes nobody wait", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := simple(t, page.Options{}, func(w http.ResponseWriter, r *http.Request) error {
				_ = text("one ")(w, r)
				flush(w)
				sleep(time.Minute) // longer than the hard timeout
				return text("two", "X-Err: "+http.StatusText(200))(w, r)
			})
			first := a.begin(get("/"))
			synctest.Wait()
			start := time.Now()
			second := a.begin(get("/"))
			sleep(2 * time.Second) // the second one waited for one of them
			third, fourth := a.begin(get("/")), a.begin(get("/"))
			synctest.Wait()
			a.wantRuns(t, 4)
			for i, done := range []<-chan *answer{first, second, third, fourth} {
				if w := <-done; w.text() != "one two" {
					t.Errorf("answer %d: %q", i, w.text())
				}
			}
			if took := time.Since(start); took > 62*time.Second {
				t.Errorf("took %v", took)
			}
			if a.get(t, "/").hit() {
				t.Error("stored")
			}
		})
	})
	t.Run("its context ends with its client", func(t *testing.T) {
		for _, c := range []struct {
			name  string
			after time.Duration
			begin page.Handler
		}{
			{"recorded", 5 * time.Second, text("one ")},
			{"recorded, at once", 0, text("one ")},
			{"past the hard timeout", 30 * time.Second, text("one ")},
			{"refused", 5 * time.Second, text("one ", "Cache-Control: no-store")},
			{"with a length that is none", 5 * time.Second, text("one ", "Content-Length: x")},
			{"with two statuses", 5 * time.Second, func(w http.ResponseWriter, r *http.Request) error {
				err := text("one ")(w, r)
				w.WriteHeader(http.StatusInternalServerError)
				return err
			}},
		} {
			t.Run(c.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					client, leave := context.WithCancel(t.Context())
					a := simple(t, page.Options{}, func(w http.ResponseWriter, r *http.Request) error {
						_ = c.begin(w, r)
						flush(w)
						<-r.Context().Done()
						return nil
					})
					done := a.begin(get("/").WithContext(client))
					sleep(c.after)
					select {
					case <-done:
						t.Fatal("the context has ended before")
					default:
					}
					leave()
					select {
					case <-done:
					case <-time.After(2 * time.Second):
						t.Fatal("the handler runs for nobody")
					}
				})
			})
		}
	})
}

func TestTheOuterHeaderIsNotThePage(t *testing.T) {
	p := newPages(t, open(t, memory(t), cache.Options{}), page.Options{})
	a := newApp(func(w http.ResponseWriter, r *http.Request) error {
		h := w.Header()
		h["X-Same"] = []string{"outer"} // what outer middleware has set already
		h.Add("X-More", "handler")
		h.Del("X-Less")
		h["X-Empty"] = nil
		return text("body")(w, r)
	}, p)
	odd := strings.ToLower("X-Odd") // not as net/http writes it
	outer := func(user string) *answer {
		w := newAnswer()
		h := w.Header()
		h.Set("X-Same", "outer")
		h.Set("X-User", user)
		h.Set("X-More", user)
		h.Set("X-Less", user)
		h.Set("X-Empty", user)
		h[odd] = []string{user}
		if err := a.serve(a.pages, w, get("/")); err != nil {
			t.Fatal(err)
		}
		return w
	}
	first, second := outer("alice"), outer("bob")
	for _, w := range []*answer{first, second} {
		user := w.header.Get("X-User")
		if more := w.header["X-More"]; !slices.Equal(more, []string{user, "handler"}) || w.header.Get("X-Same") != "outer" ||
			w.header.Get("X-Less") != "" || len(w.header["X-Empty"]) > 0 || w.header[odd][0] != user {
			t.Errorf("%s: %v", user, w.header)
		}
	}
	if !second.hit() || second.header.Get("X-User") != "bob" {
		t.Errorf("%v", second.header)
	}
}
