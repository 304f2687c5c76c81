package pagetest

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/page"
)

var serveCases = []testCase{
	{"a hit is the stored response", func(t *testing.T, build Build) {
		app := start(t, build, serve(func(w http.ResponseWriter, _ *http.Request) {
			h := w.Header()
			h.Set("Content-Type", "text/x-test")
			h["X-Lines"] = []string{"one", "two"}
			h.Set("Cache-Control", "max-age=60")
			_, _ = io.WriteString(w, "first")
			_, _ = io.WriteString(w, "second")
		}))
		first, second := app.Get("/"), app.Get("/")
		if second.Text != "firstsecond" || second.ContentLength != 11 {
			t.Errorf("body %q, Content-Length %d", second.Text, second.ContentLength)
		}
		for _, name := range []string{"Content-Type", "X-Lines", "Cache-Control"} {
			if !slices.Equal(first.Header[name], second.Header[name]) {
				t.Errorf("%s: first %q, then %q", name, first.Header[name], second.Header[name])
			}
		}
		if age, err := strconv.Atoi(second.Header.Get("Age")); err != nil || age < 0 || age > 5 {
			t.Errorf("Age %q", second.Header.Get("Age"))
		}
		if first.Header.Get("Age") != "" {
			t.Error("the first answer has an Age")
		}
		if s := second.CacheStatus(); !strings.HasPrefix(s, "strata; hit; ttl=") {
			t.Errorf("Cache-Status %q", s)
		}
		if s := first.CacheStatus(); s != "strata; fwd=uri-miss; stored" {
			t.Errorf("first Cache-Status %q", s)
		}
	}},
	{"a type that was sniffed stays the same", func(t *testing.T, build Build) {
		app := start(t, build, serve(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusOK)
			_, _ = io.WriteString(w, "<html>")
			_, _ = io.WriteString(w, "rest")
		}))
		if first, second := app.Get("/"), app.Get("/"); first.Header.Get("Content-Type") != second.Header.Get("Content-Type") || !second.Hit() {
			t.Errorf("first %q, then %q", first.Header.Get("Content-Type"), second.Header.Get("Content-Type"))
		}
	}},
	{"a type that was sniffed in pieces stays the same", func(t *testing.T, build Build) {
		for _, pieces := range [][]string{{"<", "html><body>"}, {"<htm", "flush", "l>rest"}, {"flush", "<html>"}, {"\x00\x01", "<html>"}, {"", "%PDF-", "x"}} {
			app := start(t, build, serve(func(w http.ResponseWriter, _ *http.Request) {
				for _, piece := range pieces {
					if piece == "flush" {
						_ = http.NewResponseController(w).Flush()
						continue
					}
					_, _ = io.WriteString(w, piece)
				}
			}))
			first, second := app.Get("/"), app.Get("/")
			if !second.Hit() || !slices.Equal(first.Header["Content-Type"], second.Header["Content-Type"]) {
				t.Errorf("%q: first %q, then %q (%s)", pieces, first.Header["Content-Type"], second.Header["Content-Type"], second.CacheStatus())
			}
		}
	}},
	{"a field that the server must not add stays away", func(t *testing.T, build Build) {
		app := start(t, build, serve(func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"], w.Header()["Date"] = nil, nil
			_, _ = io.WriteString(w, "<html>")
		}))
		for i := range 2 {
			if a := app.Get("/"); a.Header["Content-Type"] != nil || a.Header["Date"] != nil || a.Hit() != (i == 1) {
				t.Errorf("answer %d: %v", i, a.Header)
			}
		}
	}},
	{"a 404 is the same to HEAD and to conditions", func(t *testing.T, build Build) {
		app := start(t, build, serve(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Etag", `"v1"`)
			w.Header().Set("Content-Type", "text/x-gone")
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, "nothing here")
		}))
		app.Get("/")
		for _, header := range []string{`If-None-Match: "v1"`, "Range: bytes=0-1"} {
			if a := app.Get("/", header); !a.Hit() || a.StatusCode != 404 || a.Text != "nothing here" {
				t.Errorf("%s: %d %q (%s)", header, a.StatusCode, a.Text, a.CacheStatus())
			}
		}
		if a := app.Send(http.MethodHead, "/"); !a.Hit() || a.StatusCode != 404 || a.ContentLength != 12 || a.Header.Get("Content-Type") != "text/x-gone" {
			t.Errorf("HEAD: %d, Content-Length %d, %v", a.StatusCode, a.ContentLength, a.Header)
		}
	}},
	{"a held answer is sent once", func(t *testing.T, build Build) {
		app := start(t, build, serve(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Set-Cookie", "a=b")
			w.WriteHeader(http.StatusOK)
			_, _ = io.WriteString(w, "one ")
			w.Header().Set("X-Late", "1")
			_, _ = io.WriteString(w, "two")
		}))
		var log strings.Builder
		app.Server.Config.ErrorLog = newLog(&log)
		a := app.Get("/", `If-None-Match: "x"`)
		if got := a.Header["Cache-Status"]; a.Text != "one two" || len(got) != 1 {
			t.Errorf("%q, Cache-Status %q", a.Text, got)
		}
		app.Server.Close() // what follows reads what its goroutines have written
		if log.Len() > 0 {
			t.Errorf("the server says %s", &log)
		}
	}},
	{"what is changed behind the header has no effect", func(t *testing.T, build Build) {
		app := start(t, build, serve(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-A", "early")
			_, _ = w.Write([]byte("body"))
			w.Header().Set("X-A", "late")
			w.Header().Set("Set-Cookie", "a=b")
		}))
		for i, header := range []string{`If-None-Match: "x"`, "X: y", `If-None-Match: "x"`} {
			if a := app.Get("/", header); a.Text != "body" || a.Header.Get("X-A") != "early" || a.Header.Get("Set-Cookie") != "" {
				t.Errorf("answer %d: %q %v", i, a.Text, a.Header)
			}
		}
		app.WantRuns(1)
	}},
	{"files", func(t *testing.T, build Build) {
		const body = "0123456789abcdef"
		modified := time.Date(2023, 1, 2, 15, 4, 5, 0, time.UTC)
		app := start(t, build, serve(func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "file.txt", modified, strings.NewReader(body))
		}))
		if a := app.Get("/cold", "Range: bytes=2-3"); a.StatusCode != 206 || a.Text != "23" || a.Hit() {
			t.Errorf("cold: %d %q (%s)", a.StatusCode, a.Text, a.CacheStatus())
		}
		if a := app.Get("/", "If-Modified-Since: Mon, 02 Jan 2023 15:04:05 GMT"); a.StatusCode != 304 || a.Text != "" {
			t.Errorf("first: %d %q", a.StatusCode, a.Text)
		}
		for _, c := range []struct {
			method, header, text string
			status               int
			length               int64
		}{
			{"GET", "X: y", body, 200, 16}, {"HEAD", "X: y", "", 200, 16}, {"GET", "Range: bytes=2-3", "23", 206, 2},
			{"GET", "Range: bytes=-2", "ef", 206, 2}, {"GET", "Range: lines=1", "invalid range\n", 416, 14},
			{"GET", "If-Modified-Since: Mon, 02 Jan 2023 15:04:05 GMT", "", 304, 0},
		} {
			a := app.Send(c.method, "/", c.header)
			if !a.Hit() || a.StatusCode != c.status || a.Text != c.text || c.status != 304 && a.ContentLength != c.length {
				t.Errorf("%s, %s: %d %q, Content-Length %d (%s)", c.method, c.header, a.StatusCode, a.Text, a.ContentLength, a.CacheStatus())
			}
		}
		app.WantRuns(2)
	}},
	{"HEAD is answered from GET", func(t *testing.T, build Build) {
		app := start(t, build, serve(text("body", "X-A: b")))
		if a := app.Send(http.MethodHead, "/"); a.Text != "" {
			t.Errorf("a cold HEAD has the body %q", a.Text)
		}
		if a := app.Get("/"); a.Hit() || a.Text != "body" {
			t.Errorf("a HEAD has filled the page: %q", a.Text)
		}
		a := app.Send(http.MethodHead, "/")
		if !a.Hit() || a.Text != "" || a.ContentLength != 4 || a.Header.Get("X-A") != "b" {
			t.Errorf("HEAD: %q, Content-Length %d, %v", a.Text, a.ContentLength, a.Header)
		}
	}},
	{"an upstream's Age and Cache-Status", func(t *testing.T, build Build) {
		app := start(t, build, serve(text("body", "Age: 30", "Cache-Control: max-age=60", "Cache-Status: origin; hit")))
		first := app.Get("/")
		if got := strings.Join(first.Header["Cache-Status"], ", "); got != "origin; hit, strata; fwd=uri-miss; stored" {
			t.Errorf("first Cache-Status %q", got)
		}
		second := app.Get("/")
		if age, _ := strconv.Atoi(second.Header.Get("Age")); age < 30 || age > 35 {
			t.Errorf("Age %q", second.Header.Get("Age"))
		}
		if got := strings.Join(second.Header["Cache-Status"], ", "); !strings.HasPrefix(got, "origin; hit, strata; hit; ttl=") {
			t.Errorf("then %q", got)
		}
	}},
	{"conditions are answered from the page that they fill", func(t *testing.T, build Build) {
		app := start(t, build, serve(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", `"v1"`)
			w.Header().Set("Last-Modified", "Mon, 02 Jan 2023 15:04:05 GMT")
			if r.Header.Get("If-None-Match")+r.Header.Get("If-Modified-Since") != "" {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			_, _ = io.WriteString(w, r.URL.Path)
		}))
		for _, c := range []struct {
			target, header string
			status         int
		}{
			{"/a", `If-None-Match: "v1"`, 304}, {"/b", `If-None-Match: "x", W/"v1"`, 304}, {"/c", "If-None-Match: *", 304},
			{"/d", `If-None-Match: "v0"`, 200}, {"/e", `If-None-Match: "a,b"`, 200},
			{"/f", "If-Modified-Since: Mon, 02 Jan 2023 15:04:05 GMT", 304}, {"/g", "If-Modified-Since: Mon, 02 Jan 2023 15:04:04 GMT", 200},
			{"/h", "If-Modified-Since: yesterday", 200},
		} {
			for _, when := range []string{"cold", "warm"} {
				a := app.Get(c.target, c.header)
				if a.StatusCode != c.status || c.status == 304 && a.Text != "" || c.status == 200 && a.Text != c.target {
					t.Errorf("%s, %s: %d %q, want %d", c.header, when, a.StatusCode, a.Text, c.status)
				}
				if a.StatusCode == 304 && (a.Header.Get("Etag") != `"v1"` || a.Header.Get("Content-Type") != "") {
					t.Errorf("%s, %s: the 304 has %v", c.header, when, a.Header)
				}
			}
			if a := app.Get(c.target); !a.Hit() || a.StatusCode != 200 || a.Text != c.target {
				t.Errorf("after %s the page is %d %q (%s)", c.header, a.StatusCode, a.Text, a.CacheStatus())
			}
		}
		app.WantRuns(8)
	}},
	{"ranges are answered from the whole page", func(t *testing.T, build Build) {
		app := start(t, build, serve(text("0123456789", `Etag: "v1"`, "Content-Type: text/plain")))
		if a := app.Get("/", "Range: bytes=2-3"); a.StatusCode != 200 || a.Text != "0123456789" || a.Hit() {
			t.Errorf("cold: %d %q", a.StatusCode, a.Text)
		}
		app.Get("/")
		app.WantRuns(2)
		if a := app.Get("/", "Range: bytes=2-3"); a.StatusCode != 206 || a.Text != "23" || a.Header.Get("Content-Range") != "bytes 2-3/10" {
			t.Errorf("warm: %d %q %v", a.StatusCode, a.Text, a.Header)
		}
		if a := app.Get("/", "Range: bytes=2-3", `If-Range: "v0"`); a.StatusCode != 200 || a.Text != "0123456789" {
			t.Errorf("If-Range of another version: %d %q", a.StatusCode, a.Text)
		}
		if a := app.Get("/", "Range: bytes=0-1,8-9"); a.StatusCode != 206 || !strings.Contains(a.Header.Get("Content-Type"), "multipart/byteranges") {
			t.Errorf("two ranges: %d %v", a.StatusCode, a.Header)
		}
		if a := app.Get("/", "Range: bytes=20-"); a.StatusCode != 416 {
			t.Errorf("beyond the end: %d", a.StatusCode)
		}
		app.WantRuns(2)
		if a := app.Get("/"); a.StatusCode != 200 || a.Text != "0123456789" || a.Header.Get("Content-Range") != "" {
			t.Errorf("the page is now %d %q %v", a.StatusCode, a.Text, a.Header)
		}
	}},
	{"what belongs to one exchange is not stored", func(t *testing.T, build Build) {
		n := 0
		o := serve(func(w http.ResponseWriter, _ *http.Request) {
			h := w.Header()
			h.Set("Connection", "x-hop")
			h.Set("X-Hop", "1")
			h.Set("Server-Timing", "db;dur=1")
			h.Set("Keep-Alive", "timeout=5")
			h.Set("Proxy-Authentication-Info", "x")
			h.Set("Authentication-Info", "nextnonce=x")
			h.Del("X-Removed")
			h.Add("Vary", "Accept")
			h.Set("X-Replaced", "handler")
			_, _ = io.WriteString(w, "body")
		})
		o.setup.Outer = func(w http.ResponseWriter, _ *http.Request) {
			n++
			h := w.Header()
			h.Set("X-Request-Id", strconv.Itoa(n))
			h.Set("Vary", "Origin")
			h.Set("X-Replaced", "outer")
			h.Set("X-Removed", "outer")
		}
		app := start(t, build, o)
		app.Get("/")
		a := app.Get("/")
		if !a.Hit() {
			t.Fatalf("no hit: %v", a.Header)
		}
		for _, name := range []string{"X-Hop", "Server-Timing", "Keep-Alive", "Proxy-Authentication-Info", "Authentication-Info"} {
			if v := a.Header.Get(name); v != "" {
				t.Errorf("%s: %q was replayed", name, v)
			}
		}
		if got := a.Header["X-Request-Id"]; !slices.Equal(got, []string{"2"}) {
			t.Errorf("X-Request-Id %q is another request's", got)
		}
		if got := a.Header["Vary"]; !slices.Equal(got, []string{"Origin", "Accept"}) {
			t.Errorf("Vary %q", got)
		}
		if got := a.Header["X-Removed"]; got != nil {
			t.Errorf("X-Removed %q came back", got)
		}
		if got := a.Header["X-Replaced"]; !slices.Equal(got, []string{"handler"}) {
			t.Errorf("X-Replaced %q", got)
		}
	}},
	{"Expires keeps its Date", func(t *testing.T, build Build) {
		app := start(t, build, serve(text("body", "Expires: Tue, 31 Dec 2999 23:59:59 GMT", "Date: Tue, 31 Dec 2999 22:59:59 GMT")))
		app.Get("/")
		if a := app.Get("/"); !a.Hit() || a.Header.Get("Date") != "Tue, 31 Dec 2999 22:59:59 GMT" {
			t.Errorf("Date %q (%s)", a.Header.Get("Date"), a.CacheStatus())
		}
	}},
	{"a hit cannot be changed by who receives it", func(t *testing.T, build Build) {
		o := serve(text("body", "X-A: 1"))
		o.setup.Outer = func(w http.ResponseWriter, _ *http.Request) { w.Header().Add("X-A", "outer") }
		app := start(t, build, o)
		for range 3 {
			if a := app.Get("/"); !slices.Equal(a.Header["X-A"], []string{"outer", "1"}) {
				t.Errorf("X-A %q", a.Header["X-A"])
			}
		}
	}},
	{"a body over the limit passes through", func(t *testing.T, build Build) {
		o := serve(func(w http.ResponseWriter, _ *http.Request) {
			for range 10 {
				_, _ = io.WriteString(w, strings.Repeat("x", 100))
			}
		})
		o.page.MaxBody = 999
		app := start(t, build, o)
		for range 2 {
			if a := app.Get("/"); len(a.Text) != 1000 || a.Hit() {
				t.Errorf("%d bytes, %s", len(a.Text), a.CacheStatus())
			}
		}
		app.WantRuns(2)
	}},
	{"a body at the limit is stored", func(t *testing.T, build Build) {
		o := serve(text(strings.Repeat("x", 999)))
		o.page.MaxBody = 999
		app := start(t, build, o)
		app.Get("/")
		if a := app.Get("/"); !a.Hit() || len(a.Text) != 999 {
			t.Errorf("%d bytes, %s", len(a.Text), a.CacheStatus())
		}
	}},
	{"no Cache-Status, if that is wanted", func(t *testing.T, build Build) {
		o := serve(text("body"))
		o.page.Name = "-"
		app := start(t, build, o)
		for i := range 2 {
			if a := app.Get("/"); a.CacheStatus() != "" || (a.Header.Get("Age") != "") != (i == 1) {
				t.Errorf("answer %d: %v", i, a.Header)
			}
		}
		app.WantRuns(1)
	}},
	{"cache.Purge", func(t *testing.T, build Build) {
		app := start(t, build, serve(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Vary", "X-A")
			fmt.Fprint(w, r.Header.Get("X-A"))
		}))
		app.Get("/p?b=1&a=2", "X-A: 1")
		app.Get("/p?b=1&a=2", "X-A: 2")
		if ok, err := app.Pages.Purge(t.Context(), app.Server.URL+"/p?a=2&b=1"); !ok || err != nil {
			t.Fatalf("Purge: %v, %v", ok, err)
		}
		app.Get("/p?b=1&a=2", "X-A: 1")
		app.Get("/p?b=1&a=2", "X-A: 2")
		app.WantRuns(4)
		if ok, err := app.Pages.Purge(t.Context(), app.Server.URL+"/other"); ok || err != nil {
			t.Errorf("Purge of nothing: %v, %v", ok, err)
		}
	}},
	{"Cache and Page around each other", func(t *testing.T, build Build) {
		o := serve(text("body"))
		o.setup.Site, o.setup.Route, o.setup.TTL = true, true, 3600e9
		o.page.TTL = -1
		app := start(t, build, o)
		first, second := app.Get("/"), app.Get("/")
		app.WantRuns(1)
		if len(first.Header["Cache-Status"]) != 1 || !second.Hit() || len(second.Header["Cache-Status"]) != 1 {
			t.Errorf("first %q, then %q", first.Header["Cache-Status"], second.Header["Cache-Status"])
		}
	}},
}

var controlCases = []testCase{
	{"NoStore", func(t *testing.T, build Build) {
		app := start(t, build, serve(func(w http.ResponseWriter, r *http.Request) {
			page.NoStore(r)
			_, _ = io.WriteString(w, "token")
		}))
		app.Get("/")
		if a := app.Get("/"); a.Hit() {
			t.Error("stored")
		}
	}},
	{"SetTTL", func(t *testing.T, build Build) {
		o := serve(func(w http.ResponseWriter, r *http.Request) {
			page.SetTTL(r, 1000e9)
			_, _ = io.WriteString(w, "body")
		})
		o.page.TTL = -1
		app := start(t, build, o)
		app.Get("/")
		if a := app.Get("/"); !strings.HasPrefix(a.CacheStatus(), "strata; hit; ttl=") || !strings.Contains(a.CacheStatus(), "ttl=999") && !strings.Contains(a.CacheStatus(), "ttl=1000") {
			t.Errorf("Cache-Status %q", a.CacheStatus())
		}
	}},
	{"a route's TTL outranks max-age, and not s-maxage or zero", func(t *testing.T, build Build) {
		for _, c := range []struct{ header, ttl string }{
			{"max-age=5", "1"}, {"s-maxage=5", "s"}, {"max-age=0", ""}, {"no-store", ""}, {"private, max-age=5", ""}, {"", "1"},
		} {
			o := serve(text("body", "Cache-Control: "+c.header))
			o.setup.Route, o.setup.TTL = true, 1000e9
			o.cache.Policy.Jitter = -1
			app := start(t, build, o)
			app.Get("/")
			status := app.Get("/").CacheStatus()
			_, ttl, _ := strings.Cut(status, "ttl=")
			n, _ := strconv.Atoi(ttl)
			switch {
			case c.ttl == "1" && (n < 990 || n > 1000), c.ttl == "s" && (n < 1 || n > 5), c.ttl == "" && strings.Contains(status, "hit"):
				t.Errorf("%q: %s", c.header, status)
			}
		}
	}},
}
