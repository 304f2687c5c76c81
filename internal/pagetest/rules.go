package pagetest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/strata-cache/strata/core/page"
)

// bypass says that a request goes past a page that is stored.
type bypass struct {
	name, method string
	header       []string
	reason       string
	options      page.Options
}

var bypasses = []bypass{
	{name: "POST", method: http.MethodPost, reason: "fwd=method"},
	{name: "DELETE", method: http.MethodDelete, reason: "fwd=method"},
	{name: "OPTIONS", method: http.MethodOptions, reason: "fwd=method"},
	{name: "unknown method", method: "BREW", reason: "fwd=method"},
	{name: "session cookie", header: []string{"Cookie: session=1"}, reason: "fwd=bypass; detail=cookie"},
	{name: "one cookie of many", header: []string{"Cookie: _ga=1; session=1"}, reason: "fwd=bypass; detail=cookie"},
	{name: "a cookie whose name begins like an ignored one", header: []string{"Cookie: _gidx=1"}, reason: "fwd=bypass; detail=cookie"},
	{name: "cookie without a name", header: []string{"Cookie: =1"}, reason: "fwd=bypass; detail=cookie"},
	{name: "second Cookie line", header: []string{"Cookie: _ga=1", "Cookie: session=1"}, reason: "fwd=bypass; detail=cookie"},
	{name: "X-HTTP-Method-Override", header: []string{"X-HTTP-Method-Override: DELETE"}, reason: "fwd=bypass; detail=method-override"},
	{name: "X-Method-Override", header: []string{"X-Method-Override: DELETE"}, reason: "fwd=bypass; detail=method-override"},
	{name: "X-HTTP-Method", header: []string{"X-HTTP-Method: DELETE"}, reason: "fwd=bypass; detail=method-override"},
	{name: "If-Match", header: []string{`If-Match: "x"`}, reason: "fwd=bypass; detail=precondition"},
	{name: "Skip", header: []string{"X-Skip: 1"}, reason: "fwd=bypass; detail=skip", options: page.Options{Skip: func(r *http.Request) bool { return r.Header.Get("X-Skip") != "" }}},
	{name: "Authorization", header: []string{"Authorization: Basic eDp5"}, reason: "fwd=uri-miss"},
}

var bypassCases = func() []testCase {
	var cases []testCase
	for _, b := range bypasses {
		cases = append(cases, testCase{b.name, func(t *testing.T, build Build) {
			app := start(t, build, options{page: b.options, setup: Setup{Handler: func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, r.Method)
			}}})
			app.Get("/")
			method := b.method
			if method == "" {
				method = http.MethodGet
			}
			for range 2 {
				a := app.Send(method, "/", b.header...)
				if a.Text != method && method != http.MethodHead {
					t.Errorf("answered %q", a.Text)
				}
				if got := a.CacheStatus(); got != "strata; "+b.reason {
					t.Errorf("Cache-Status %q, want %q", got, b.reason)
				}
			}
			app.WantRuns(3)
			if a := app.Get("/"); !a.Hit() || a.Text != http.MethodGet {
				t.Errorf("the stored page is now %q (%s)", a.Text, a.CacheStatus())
			}
		}})
	}
	return append(cases,
		testCase{"a body on GET", func(t *testing.T, build Build) {
			app := start(t, build, serve(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				_, _ = w.Write(append([]byte("body:"), body...))
			}))
			for _, framing := range []string{"Content-Length: 4\r\n\r\nfat!", "Transfer-Encoding: chunked\r\n\r\n4\r\nfat!\r\n0\r\n\r\n"} {
				_, answer := app.raw("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + framing)
				if all, _ := io.ReadAll(answer); !strings.Contains(string(all), "body:fat!") || !strings.Contains(string(all), "detail=body") {
					t.Errorf("answered %s", all)
				}
			}
			if a := app.Get("/", "Host: x"); a.Text != "body:" {
				t.Errorf("an ordinary request got %q", a.Text)
			}
		}},
		testCase{"Upgrade wins over every other reason", func(t *testing.T, build Build) {
			app := start(t, build, serve(text("body")))
			for range 30 { // the order of headers is random
				a := app.Get("/", "Upgrade: x", "Connection: Upgrade", "Cookie: a=b", `If-Match: "x"`, "X-HTTP-Method: PUT")
				if got := a.CacheStatus(); got != "" {
					t.Fatalf("Cache-Status %q", got)
				}
			}
		}},
		testCase{"absolute form and Host", func(t *testing.T, build Build) {
			app := start(t, build, serve(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host+" "+r.RequestURI) }))
			for _, request := range []string{
				"GET / HTTP/1.1\r\nHost: one\r\n", "GET http://two/ HTTP/1.1\r\nHost: one\r\n", "GET http://one/ HTTP/1.1\r\nHost: two\r\n",
				"GET // HTTP/1.1\r\nHost: one\r\n", "GET /?http://one/ HTTP/1.1\r\nHost: one\r\n",
			} {
				_, target, _ := strings.Cut(request, " ")
				target, _, _ = strings.Cut(target, " ")
				var answers []string
				for range 2 {
					_, answer := app.raw(request + "Connection: close\r\n\r\n")
					all, _ := io.ReadAll(answer)
					answers = append(answers, string(all))
				}
				if !strings.HasSuffix(answers[0], " "+target) || !strings.HasSuffix(answers[1], " "+target) || !strings.Contains(answers[1], "; hit") {
					t.Errorf("%q was answered %q", request, answers)
				}
			}
		}},
		testCase{"Validate sees what the cache would answer", func(t *testing.T, build Build) {
			var strict bool
			app := start(t, build, options{
				page: page.Options{IgnoreParams: []string{"x"}, Validate: func(r *http.Request) error {
					if strict && r.URL.Query().Get("x") != "" {
						return errors.New("no x, please")
					}
					return nil
				}},
				setup: Setup{Handler: echoHandler},
			})
			app.Get("/?x=1")
			if strict = true; app.Get("/?x=1").StatusCode != http.StatusBadRequest {
				t.Error("a stored page hides a request from Validate")
			}
			if a := app.Get("/"); !a.Hit() {
				t.Errorf("a valid request says %q", a.CacheStatus())
			}
		}},
		testCase{"Validate refuses", func(t *testing.T, build Build) {
			app := start(t, build, options{
				page: page.Options{Validate: func(r *http.Request) error {
					if r.URL.Query().Get("page") == "x" {
						return errors.New("page must be a number")
					}
					return nil
				}},
				setup: Setup{Handler: echoHandler},
			})
			for range 2 {
				a := app.Get("/?page=x")
				if a.StatusCode != http.StatusBadRequest || !strings.Contains(a.Text, "page must be a number") || a.CacheStatus() != "" {
					t.Errorf("answered %d %q, Cache-Status %q", a.StatusCode, a.Text, a.CacheStatus())
				}
			}
			app.WantRuns(0)
			app.Get("/?page=1")
			app.WantRuns(1)
		}})
}()

// response says whether a response is stored.
type response struct {
	name    string
	status  int
	header  []string
	request []string
	stored  bool
}

var responses = []response{
	{name: "plain 200", status: 200, stored: true},
	{name: "203", status: 203, stored: true},
	{name: "204", status: 204},
	{name: "500", status: 500}, {name: "500 with max-age", status: 500, header: []string{"Cache-Control: max-age=60"}},
	{name: "302", status: 302, header: []string{"Location: /x"}},
	{name: "404", status: 404}, {name: "404 with max-age", status: 404, header: []string{"Cache-Control: max-age=60"}, stored: true},
	{name: "201 with max-age", status: 201, header: []string{"Cache-Control: max-age=60"}},
	{name: "302 with max-age", status: 302, header: []string{"Location: /x", "Cache-Control: max-age=60"}},
	{name: "304 that nobody asked for", status: 304, header: []string{"Cache-Control: max-age=60"}},
	{name: "308 with max-age", status: 308, header: []string{"Location: /x", "Cache-Control: max-age=60"}, stored: true},
	{name: "301", status: 301, header: []string{"Location: /x"}},
	{name: "301 with s-maxage", status: 301, header: []string{"Location: /x", "Cache-Control: s-maxage=60"}, stored: true},
	{name: "410 with max-age", status: 410, header: []string{"Cache-Control: max-age=60"}, stored: true},
	{name: "206", status: 206, header: []string{"Content-Range: bytes 0-1/4", "Cache-Control: max-age=60"}},
	{name: "400 with max-age", status: 400, header: []string{"Cache-Control: max-age=60"}},
	{name: "Set-Cookie", status: 200, header: []string{"Set-Cookie: a=b"}},
	{name: "Set-Cookie and public", status: 200, header: []string{"Set-Cookie: a=b", "Cache-Control: public, max-age=60"}},
	{name: "private", status: 200, header: []string{"Cache-Control: private"}},
	{name: "Private", status: 200, header: []string{"Cache-Control: max-age=60, Private"}},
	{name: "private on another line", status: 200, header: []string{"Cache-Control: max-age=60", "Cache-Control: PRIVATE"}},
	{name: "private with a field", status: 200, header: []string{`Cache-Control: private="x, y"`}},
	{name: "no-store", status: 200, header: []string{"Cache-Control: no-store"}},
	{name: "no-cache", status: 200, header: []string{"Cache-Control: no-cache"}},
	{name: "Pragma alone", status: 200, header: []string{"Pragma: no-cache"}},
	{name: "private inside quotes is none", status: 200, header: []string{`Cache-Control: ext="a, private, b", max-age=60`}, stored: true},
	{name: "private behind a quote that nothing closes", status: 200, header: []string{`Cache-Control: ext="a, private`}},
	{name: "no-store behind a quote in a name", status: 200, header: []string{`Cache-Control: x"y, no-store, z"`}},
	{name: "Pragma among others", status: 200, header: []string{"Pragma: x, No-Cache"}},
	{name: "no-store behind an escaped quote", status: 200, header: []string{`Cache-Control: ext="a\"", no-store`}},
	{name: "unknown directives", status: 200, header: []string{"Cache-Control: immutable, foo=bar"}, stored: true},
	{name: "max-age", status: 200, header: []string{"Cache-Control: max-age=60"}, stored: true},
	{name: "max-age=0", status: 200, header: []string{"Cache-Control: max-age=0"}},
	{name: "max-age quoted", status: 200, header: []string{`Cache-Control: max-age="60"`}, stored: true},
	{name: "max-age is no number", status: 200, header: []string{"Cache-Control: max-age=abc"}},
	{name: "max-age negative", status: 200, header: []string{"Cache-Control: max-age=-1"}},
	{name: "max-age overflows", status: 200, header: []string{"Cache-Control: max-age=99999999999999999999"}, stored: true},
	{name: "s-maxage wins over max-age", status: 200, header: []string{"Cache-Control: max-age=60, s-maxage=0"}},
	{name: "max-age twice, the shorter counts", status: 200, header: []string{"Cache-Control: max-age=60, max-age=0"}},
	{name: "Expires ahead", status: 200, header: []string{"Expires: Tue, 31 Dec 2999 23:59:59 GMT"}, stored: true},
	{name: "Expires past", status: 200, header: []string{"Expires: Fri, 31 Dec 1999 23:59:59 GMT"}},
	{name: "Expires 0", status: 200, header: []string{"Expires: 0"}},
	{name: "Expires in another zone", status: 200, header: []string{"Expires: Tue, 31 Dec 2999 23:59:59 UTC"}},
	{name: "max-age wins over Expires", status: 200, header: []string{"Expires: 0", "Cache-Control: max-age=60"}, stored: true},
	{name: "older than its lifetime", status: 200, header: []string{"Age: 61", "Cache-Control: max-age=60"}},
	{name: "Vary star", status: 200, header: []string{"Vary: *"}},
	{name: "Vary star with blanks", status: 200, header: []string{"Vary:  * "}},
	{name: "Vary star among others", status: 200, header: []string{"Vary: Accept", "Vary: Cookie, *"}},
	{name: "Vary nonsense", status: 200, header: []string{"Vary: a b"}},
	{name: "Vary Cookie", status: 200, header: []string{"Vary: Cookie"}, stored: true},
	{name: "event stream", status: 200, header: []string{"Content-Type: text/event-stream; charset=utf-8"}},
	{name: "Authorization", status: 200, request: []string{"Authorization: x"}},
	{name: "Authorization, max-age", status: 200, request: []string{"Authorization: x"}, header: []string{"Cache-Control: max-age=60"}},
	{name: "Authorization, public", status: 200, request: []string{"Authorization: x"}, header: []string{"Cache-Control: public"}, stored: true},
	{name: "Authorization, s-maxage", status: 200, request: []string{"Authorization: x"}, header: []string{"Cache-Control: s-maxage=60"}, stored: true},
	{name: "Authorization, must-revalidate", status: 200, request: []string{"Authorization: x"}, header: []string{"Cache-Control: must-revalidate, max-age=60"}, stored: true},
	{name: "Authorization, public but private", status: 200, request: []string{"Authorization: x"}, header: []string{"Cache-Control: public, private"}},
}

var storableCases = func() []testCase {
	var cases []testCase
	for _, c := range responses {
		cases = append(cases, testCase{c.name, func(t *testing.T, build Build) {
			app := start(t, build, serve(func(w http.ResponseWriter, _ *http.Request) {
				for _, line := range c.header {
					name, value, _ := strings.Cut(line, ":")
					w.Header().Add(name, strings.TrimPrefix(value, " "))
				}
				w.WriteHeader(c.status)
				if c.status != http.StatusNoContent && c.status != http.StatusNotModified {
					_, _ = io.WriteString(w, "body")
				}
			}))
			first := app.Get("/", c.request...)
			if first.StatusCode != c.status {
				t.Errorf("answered %d", first.StatusCode)
			}
			second := app.Get("/", c.request...)
			if second.Hit() != c.stored || second.StatusCode != c.status || second.Text != first.Text {
				t.Errorf("the second answer is %d %q, Cache-Status %q", second.StatusCode, second.Text, second.CacheStatus())
			}
			if stored := strings.Contains(first.CacheStatus(), "stored"); stored != c.stored {
				t.Errorf("the first answer says %q", first.CacheStatus())
			}
		}})
	}
	return append(cases, testCase{"a page that is not for everybody is not given to credentials", func(t *testing.T, build Build) {
		app := start(t, build, serve(text("anonymous")))
		app.Get("/")
		if a := app.Get("/", "Authorization: x"); a.Hit() {
			t.Error("a request with credentials was answered with it")
		}
		if a := app.Get("/"); !a.Hit() {
			t.Error("and the page is gone")
		}
	}})
}()

var varyCases = []testCase{
	{"variants", func(t *testing.T, build Build) {
		app := start(t, build, serve(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Vary", "accept-LANGUAGE")
			fmt.Fprintf(w, "%q", r.Header["Accept-Language"])
		}))
		requests := [][]string{{"Accept-Language: de"}, {"Accept-Language: fr"}, {"Accept-Language:"}, {"Accept-Language: de", "Accept-Language: fr"}, {"Accept-Language: de, fr"}}
		var bodies []string
		for _, header := range requests {
			bodies = append(bodies, app.Get("/", header...).Text)
		}
		for i, header := range requests {
			if a := app.Get("/", header...); !a.Hit() || a.Text != bodies[i] {
				t.Errorf("%q: %q, want %q (%s)", header, a.Text, bodies[i], a.CacheStatus())
			}
		}
		app.WantRuns(int64(len(requests)))
		if a := app.Get("/", "Accept-Language: it"); a.CacheStatus() != "strata; fwd=vary-miss; stored" {
			t.Errorf("a new variant says %q", a.CacheStatus())
		}
	}},
	{"framing of values", func(t *testing.T, build Build) {
		app := start(t, build, serve(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Vary", "X-A, X-B")
			_, _ = io.WriteString(w, r.Header.Get("X-A")+"|"+r.Header.Get("X-B"))
		}))
		app.Get("/", "X-A: ab", "X-B: c")
		if a := app.Get("/", "X-A: a", "X-B: bc"); a.Text != "a|bc" {
			t.Errorf("got the page of another request: %q", a.Text)
		}
	}},
	{"a narrower answer does not hide the wider one", func(t *testing.T, build Build) {
		app := start(t, build, serve(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Vary", "X-A")
			if r.Header.Get("X-A") == "2" {
				w.Header().Add("Vary", "X-B")
			}
			_, _ = io.WriteString(w, r.Header.Get("X-A")+"|"+r.Header.Get("X-B"))
		}))
		for range 3 {
			for _, a := range []string{"1", "2", "1"} {
				for _, b := range []string{"x", "y"} {
					got := app.Get("/", "X-A: "+a, "X-B: "+b).Text
					if a == "2" && got != "2|"+b {
						t.Fatalf("X-A %s, X-B %s got %q", a, b, got)
					}
				}
			}
		}
		if runs := app.Runs.Load(); runs > 6 {
			t.Errorf("the handler has run %d times for 4 variants", runs)
		}
	}},
	{"the cap of variants", func(t *testing.T, build Build) {
		o := serve(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Vary", "X-A")
			_, _ = io.WriteString(w, r.Header.Get("X-A"))
		})
		o.page.MaxVariants = 3
		app := start(t, build, o)
		for i := range 6 {
			app.Get("/", fmt.Sprintf("X-A: %d", i))
		}
		hits := 0
		for i := range 6 {
			a := app.Get("/", fmt.Sprintf("X-A: %d", i))
			if a.Text != fmt.Sprint(i) {
				t.Errorf("variant %d got %q", i, a.Text)
			}
			if a.Hit() {
				hits++
			}
		}
		if hits != 3 {
			t.Errorf("%d of 6 variants are stored, the cap is 3", hits)
		}
	}},
}
