package page_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/page"
)

// caught returns what f panics with.
func caught(f func()) (r any) {
	defer func() { r = recover() }()
	f()
	return nil
}

func TestPanicsComeThrough(t *testing.T) {
	boom := errors.New("boom")
	blow := func() { panic(boom) }
	tests := map[string]struct {
		opts page.Options
		at   string
	}{
		"in Skip":              {opts: page.Options{Skip: func(*http.Request) bool { blow(); return false }}},
		"in VaryBy":            {opts: page.Options{VaryBy: func(*http.Request) string { blow(); return "" }}},
		"in Validate":          {opts: page.Options{Validate: func(*http.Request) error { blow(); return nil }}},
		"before the header":    {at: "before"},
		"behind the header":    {at: "header"},
		"behind the body":      {at: "body"},
		"behind a flush":       {at: "flush"},
		"of a response held":   {at: "held"},
		"of one past the rest": {at: "past"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			fails := true
			a := simple(t, tt.opts, func(w http.ResponseWriter, r *http.Request) error {
				if !fails {
					return text("fine")(w, r)
				}
				switch tt.at {
				case "before":
				case "header":
					w.WriteHeader(http.StatusOK)
				case "flush":
					_, _ = io.WriteString(w, "half")
					_ = http.NewResponseController(w).Flush()
				default:
					_, _ = io.WriteString(w, "half")
				}
				blow()
				return nil
			})
			header := map[string]string{"held": `If-None-Match: "x"`, "past": "Cookie: a=b"}[tt.at]
			if header == "" {
				header = "X: y"
			}
			if r := caught(func() { _, _ = a.do(get("/", header)) }); r != any(boom) {
				t.Fatalf("recovered %v", r)
			}
			if tt.at == "" {
				return
			}
			fails = false
			a.get(t, "/")
			if w := a.get(t, "/"); !w.hit() || w.text() != "fine" {
				t.Errorf("afterwards %q (%s)", w.text(), w.cacheStatus())
			}
		})
	}
}

// Whatever happens to the one who makes a page: those who wait are told at once.
func TestFollowersAreNotForgotten(t *testing.T) {
	tests := map[string]func(w http.ResponseWriter, r *http.Request) error{
		"a panic":        func(http.ResponseWriter, *http.Request) error { panic("oops") },
		"Goexit":         func(http.ResponseWriter, *http.Request) error { runtime.Goexit(); return nil },
		"an error":       func(http.ResponseWriter, *http.Request) error { return errHandler },
		"nothing":        func(http.ResponseWriter, *http.Request) error { return nil },
		"a refusal":      text("mine", "Set-Cookie: a=b"),
		"half a page":    text("half", "Content-Length: 9"),
		"Goexit in body": func(w http.ResponseWriter, r *http.Request) error { _ = text("x")(w, r); runtime.Goexit(); return nil },
		"a hijacking":    func(w http.ResponseWriter, _ *http.Request) error { _, _, _ = w.(http.Hijacker).Hijack(); return nil },
		"two statuses": func(w http.ResponseWriter, r *http.Request) error {
			_ = text("half")(w, r)
			w.WriteHeader(500)
			return nil
		},
		"NoStore at the end": func(w http.ResponseWriter, r *http.Request) error {
			_ = text("mine")(w, r)
			page.NoStore(r)
			return nil
		},
	}
	for name, first := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := simple(t, page.Options{HardTimeout: -1}, func(w http.ResponseWriter, r *http.Request) error {
					if r.Header.Get("X-First") != "" {
						sleep(time.Second)
						return first(w, r)
					}
					return text("yours")(w, r)
				})
				go func() { _ = caught(func() { _, _ = a.do(get("/", "X-First: 1")) }) }()
				synctest.Wait()
				start := time.Now()
				done := []<-chan *answer{a.begin(get("/")), a.begin(get("/")), a.begin(get("/"))}
				for _, d := range done {
					if w := <-d; w.text() != "yours" {
						t.Errorf("got %q", w.text())
					}
				}
				if took := time.Since(start); took != time.Second {
					t.Errorf("waited for %v", took)
				}
			})
		})
	}
}

// An observer that panics, which it must not, does not make a whole site wait.
func TestAnObserverThatPanicsHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		armed := true
		o := &event.Observer{
			Call: func(_ context.Context, e event.Call) {
				if armed && e.Outcome == event.OutcomeMiss {
					armed = false
					sleep(time.Second)
					panic("observer")
				}
			},
		}
		p := newPages(t, open(t, memory(t), cache.Options{Observer: o}), page.Options{HardTimeout: -1})
		a := newApp(text("body"), p)
		go func() { _ = caught(func() { _, _ = a.do(get("/")) }) }()
		synctest.Wait()
		select {
		case w := <-a.begin(get("/")):
			if w.text() != "body" {
				t.Errorf("got %q", w.text())
			}
		case <-time.After(time.Minute):
			t.Fatal("a request waits for one that is over")
		}
	})
}

func TestAMarkedPageIsStoredOnceItCanBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := simple(t, page.Options{}, func(w http.ResponseWriter, r *http.Request) error {
			if r.Header.Get("X-Evil") != "" {
				w.Header().Set("Set-Cookie", "a=b")
			}
			sleep(time.Second)
			return text("body")(w, r)
		})
		// Somebody sees to it that the page is marked all the time.
		for range 10 {
			a.get(t, "/", "X-Evil: 1")
			a.get(t, "/")
		}
		if w := a.get(t, "/"); !w.hit() {
			t.Errorf("the page is kept out of the cache: %s", w.cacheStatus())
		}
	})
}

func TestMarkedPagesRunBesideEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := simple(t, page.Options{HitForMiss: 5 * time.Second}, func(w http.ResponseWriter, r *http.Request) error {
			sleep(time.Second)
			return text(r.Header.Get("X-Me"), "Cache-Control: private")(w, r)
		})
		a.get(t, "/")
		start := time.Now()
		var done []<-chan *answer
		for i := range 10 {
			done = append(done, a.begin(get("/", fmt.Sprint("X-Me: ", i))))
		}
		for i, d := range done {
			if w := <-d; w.text() != fmt.Sprint(i) {
				t.Errorf("request %d got %q", i, w.text())
			}
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("they took %v", took)
		}
	})
}

func TestADeclaredLengthOverTheLimitMakesNobodyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := simple(t, page.Options{MaxBody: 1000}, func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Length", "2000")
			w.WriteHeader(http.StatusOK)
			for range 20 {
				sleep(time.Second)
				_, _ = io.WriteString(w, strings.Repeat("x", 100))
			}
			return nil
		})
		a.begin(get("/"))
		synctest.Wait()
		start := time.Now()
		if w := a.get(t, "/"); len(w.text()) != 2000 || time.Since(start) != 20*time.Second {
			t.Errorf("%d bytes after %v", len(w.text()), time.Since(start))
		}
	})
}

func TestDifferentVariantsInOneRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := simple(t, page.Options{}, func(w http.ResponseWriter, r *http.Request) error {
			sleep(time.Second)
			return text(r.Header.Get("X-A"), "Vary: X-A")(w, r)
		})
		values := []string{"1", "2", "1", "3", "2", "", "1"}
		var done []<-chan *answer
		for _, v := range values {
			done = append(done, a.begin(get("/", "X-A: "+v)))
			synctest.Wait()
		}
		for i, d := range done {
			if w := <-d; w.text() != values[i] {
				t.Errorf("%q got the page of %q", values[i], w.text())
			}
		}
		a.wantRuns(t, 4)
	})
}

func TestCredentialsInOneRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := simple(t, page.Options{}, func(w http.ResponseWriter, r *http.Request) error {
			sleep(time.Second)
			h := text(r.Header.Get("Authorization"))
			if r.URL.Path == "/public" {
				h = text("for all", "Cache-Control: public")
			}
			return h(w, r)
		})
		for _, target := range []string{"/", "/public"} {
			var done []<-chan *answer
			users := []string{"alice", "bob", "", "alice", ""}
			for _, user := range users {
				r := get(target)
				if user != "" {
					r.Header.Set("Authorization", user)
				}
				done = append(done, a.begin(r))
				synctest.Wait()
			}
			for i, d := range done {
				want := users[i]
				if target == "/public" {
					want = "for all"
				}
				if w := <-d; w.text() != want {
					t.Errorf("%s: %q got %q", target, users[i], w.text())
				}
			}
		}
		// The handler ran for each with credentials, once for those without, and twice for the public page.
		a.wantRuns(t, 3+1+2)
	})
}

func TestAClientsCertificateIsACredential(t *testing.T) {
	a := simple(t, page.Options{}, func(w http.ResponseWriter, r *http.Request) error {
		name := "nobody"
		if len(r.TLS.PeerCertificates) > 0 {
			name = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		return text(name)(w, r)
	})
	as := func(name string) *http.Request {
		r := get("https://example.com/")
		if name != "" {
			cert := &x509.Certificate{}
			cert.Subject.CommonName = name
			r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}
		}
		return r
	}
	for _, name := range []string{"alice", "bob", "", "alice", ""} {
		want := name
		if want == "" {
			want = "nobody"
		}
		if w, _ := a.do(as(name)); w.text() != want {
			t.Errorf("%s got the page of %q (%s)", want, w.text(), w.cacheStatus())
		}
	}
}

func TestAFollowerThatLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := simple(t, page.Options{}, func(w http.ResponseWriter, r *http.Request) error {
			sleep(time.Minute / 12)
			return text("body")(w, r)
		})
		leader := a.begin(get("/"))
		synctest.Wait()
		client, leave := context.WithTimeout(t.Context(), time.Second)
		defer leave()
		w, err := a.do(get("/").WithContext(client))
		if err != nil || w.status != http.StatusServiceUnavailable || w.hit() {
			t.Errorf("%d, %v", w.status, err)
		}
		if w := <-leader; w.text() != "body" {
			t.Errorf("the leader got %q", w.text())
		}
		if !a.get(t, "/").hit() {
			t.Error("not stored")
		}
	})
}

func TestTheLastToLeaveEndsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause error
		a := simple(t, page.Options{HardTimeout: -1}, func(w http.ResponseWriter, r *http.Request) error {
			_, _ = io.WriteString(w, "half")
			<-r.Context().Done()
			cause = context.Cause(r.Context())
			return nil
		})
		first, leaveFirst := context.WithCancel(t.Context())
		second, leaveSecond := context.WithCancel(t.Context())
		leader := a.begin(get("/").WithContext(first))
		synctest.Wait()
		follower := a.begin(get("/").WithContext(second))
		synctest.Wait()
		leaveFirst()
		synctest.Wait()
		select {
		case <-leader:
			t.Fatal("the run ended although somebody waits")
		default:
		}
		leaveSecond()
		<-follower
		<-leader
		if cause == nil {
			t.Error("the context has no cause")
		}
		if w := a.begin(get("/").WithContext(first)); (<-w).hit() {
			t.Error("half a page was stored")
		}
	})
}

func TestValidateAndSkip(t *testing.T) {
	skipped, validated := 0, 0
	a := simple(t, page.Options{
		Skip: func(r *http.Request) bool { skipped++; return r.Header.Get("X-Skip") != "" },
		Validate: func(r *http.Request) error {
			validated++
			if r.URL.RawQuery == "bad" {
				return errors.New("that is bad")
			}
			return nil
		},
	}, func(w http.ResponseWriter, r *http.Request) error { return text(r.Method)(w, r) })
	for _, header := range []string{"X: y", "X-Skip: 1", "Cookie: a=b"} {
		if w := a.get(t, "/?bad", header); w.status != 400 || w.text() != "that is bad\n" || w.cacheStatus() != "" {
			t.Errorf("%s: %d %q", header, w.status, w.text())
		}
	}
	a.wantRuns(t, 0)
	r := get("/?bad")
	r.Method = http.MethodPost
	if w, _ := a.do(r); w.text() != "POST" {
		t.Errorf("POST: %d %q", w.status, w.text())
	}
	a.get(t, "/")
	if w := a.get(t, "/", "X-Skip: 1"); w.hit() {
		t.Error("a hit for a request that is to go past")
	}
	if !a.get(t, "/").hit() || skipped == 0 || validated == 0 {
		t.Error("no hit")
	}
}

func TestReasons(t *testing.T) {
	var r refusals
	c := open(t, memory(t), cache.Options{Observer: r.observer()})
	for reason, header := range map[string][]string{
		"set-cookie": {"Set-Cookie: a=b"}, "private": {"Cache-Control: private"}, "no-store": {"Cache-Control: no-store"},
		"no-cache": {"Cache-Control: no-cache"}, "vary": {"Vary: *"}, "stream": {"Content-Type: text/event-stream"},
		"no-freshness": {"Expires: 0"}, "trailer": {"Trailer: X"}, "too-large": {"Content-Length: 9999999"},
		"header": {"Content-Length: x"}, "incomplete": {"Content-Length: 9"},
	} {
		p := newPages(t, c, page.Options{Prefix: reason})
		newApp(text("body", header...), p).get(t, "/")
		if got := r.take(); !slices.Equal(got, []string{reason}) {
			t.Errorf("%s: %q", reason, got)
		}
	}
}

func TestTheHandlersRequest(t *testing.T) {
	type key struct{}
	a := simple(t, page.Options{Cookies: page.CookiesIgnore, IgnoreParams: []string{"utm_*"}}, func(w http.ResponseWriter, r *http.Request) error {
		return text(fmt.Sprint(r.RequestURI, " ", r.URL.RawQuery, " ", r.Header["Cookie"], r.Header["If-None-Match"], r.Context().Value(key{}), r.PathValue("id")))(w, r)
	})
	for i, c := range []struct {
		target, uri, want string
		header            []string
	}{
		{"/a?utm_x=1&b=2", "", "/a?b=2 b=2 [] []v7", nil},
		{"/b?utm_x=1", "", "/b  [] []v7", nil},
		{"/c?b=2", "", "/c?b=2 b=2 [] []v7", []string{"Cookie: session=1", `If-None-Match: "x"`}},
		{"/d?utm_x=1&b=2", "/api/d?utm_x=1&b=2", "/api/d?b=2 b=2 [] []v7", nil}, // behind http.StripPrefix
		{"/e?utm_x=1", "/api/e?utm_x=1", "/api/e  [] []v7", nil},
	} {
		r := get(c.target, c.header...)
		if c.uri != "" {
			r.RequestURI = c.uri
		}
		r.SetPathValue("id", "7")
		r = r.WithContext(context.WithValue(t.Context(), key{}, "v"))
		before := *r
		w, err := a.do(r)
		if err != nil || w.text() != c.want {
			t.Errorf("%d: the handler saw %q, want %q", i, w.text(), c.want)
		}
		if r.RequestURI != before.RequestURI || r.URL.RawQuery != before.URL.RawQuery || len(r.Header) != len(c.header) {
			t.Errorf("%d: the request itself was changed", i)
		}
	}
}

func TestGoodConditionsOnly(t *testing.T) {
	a := simple(t, page.Options{}, text("body"))
	if w := a.get(t, "/", "If-None-Match: *"); w.status != http.StatusNotModified {
		t.Errorf("If-None-Match: * on a page without an ETag: %d", w.status)
	}
	if w := a.get(t, "/", `If-None-Match: ""`); w.status != http.StatusOK {
		t.Errorf("an empty tag: %d", w.status)
	}
}
