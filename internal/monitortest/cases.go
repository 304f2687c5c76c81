package monitortest

import (
	"bufio"
	"io"
	"net/http"
	"regexp"
	"testing"
)

// dur matches an optional duration: most in-process hits are not timed.
const dur = `(;dur=[0-9.]+)?`

// testCase is one request. timing are patterns for each line of Server-Timing.
type testCase struct {
	name, method, path string
	interact           func(t *testing.T, app *app, res *http.Response) string

	timing        []string
	informational int

	// What the log record says.
	route         string
	status, bytes int
	record        map[string]any
	anyOf         []string // attributes that frameworks may differ in
}

func matches(lines, patterns []string) bool {
	if len(lines) != len(patterns) {
		return false
	}
	for i, p := range patterns {
		if !regexp.MustCompile("^" + p + "$").MatchString(lines[i]) {
			return false
		}
	}
	return true
}

func cases() []testCase {
	hit := []string{`cache;desc="1 hit"` + dur}
	oneHit := map[string]any{"hits": int64(1)}
	panicked := map[string]any{"hits": int64(1), "panic": true}
	return []testCase{
		{name: "hit", method: "GET", path: "/hit", timing: hit, route: "/hit", status: 200, bytes: 3, record: oneHit},
		{
			name: "miss", method: "GET", path: "/item/77", route: "/item/{id}", status: 200, bytes: 6,
			timing: []string{`cache;desc="1 miss"` + dur + `, load;desc="1 load"` + dur},
			record: map[string]any{"misses": int64(1), "loads": int64(1)},
		},
		{
			name: "hits and a miss", method: "GET", path: "/mixed", route: "/mixed", status: 200, bytes: 5,
			timing: []string{`cache;desc="3 hits, 1 miss"` + dur + `, load;desc="1 load"` + dur},
			record: map[string]any{"hits": int64(3), "misses": int64(1), "loads": int64(1)},
		},
		{
			name: "remembered as missing", method: "GET", path: "/negative", route: "/negative", status: 404, bytes: 10,
			timing: []string{`cache;desc="1 negative hit, 1 miss"` + dur + `, load;desc="1 load"` + dur},
			record: map[string]any{"negative": int64(1), "misses": int64(1), "loads": int64(1)},
		},
		{name: "no cache", method: "GET", path: "/plain", route: "/plain", status: 200, bytes: 5},
		// Frameworks name what matches nothing in their own way, and Gin writes its body last.
		{name: "no route", method: "GET", path: "/nowhere", status: 404, anyOf: []string{"bytes", "route"}},
		{name: "HEAD", method: "HEAD", path: "/hit", timing: hit, route: "/hit", status: 200, record: oneHit, anyOf: []string{"bytes"}},
		{name: "204", method: "GET", path: "/nocontent", timing: hit, route: "/nocontent", status: 204, record: oneHit},
		{name: "304", method: "GET", path: "/notmodified", timing: hit, route: "/notmodified", status: 304, record: oneHit},
		{name: "redirect", method: "GET", path: "/redirect", timing: hit, route: "/redirect", status: 302, bytes: 27, record: oneHit},
		{name: "nothing written", method: "GET", path: "/empty", timing: hit, route: "/empty", status: 200, record: oneHit},
		{name: "server error", method: "GET", path: "/error", timing: hit, route: "/error", status: 503, bytes: 5, record: oneHit},
		{
			name: "own Server-Timing", method: "GET", path: "/own", route: "/own", status: 200, bytes: 3, record: oneHit,
			timing: []string{`db;dur=5`, `app;desc="x, y"`, hit[0]},
		},
		{
			name: "streaming", method: "GET", path: "/stream", interact: stream, route: "/stream", status: 200, bytes: 11,
			timing: hit, record: map[string]any{"hits": int64(1), "misses": int64(1), "loads": int64(1)},
		},
		{name: "flush first", method: "GET", path: "/flushfirst", timing: hit, route: "/flushfirst", status: 200, bytes: 3, record: oneHit},
		{name: "hijack", method: "GET", path: "/hijack", interact: hijack, route: "/hijack", status: 101, record: oneHit, anyOf: []string{"bytes"}},
		{name: "panic", method: "GET", path: "/panic", route: "/panic", status: 500, record: panicked},
		{name: "panic after a part", method: "GET", path: "/panicpart", timing: hit, route: "/panicpart", status: 200, bytes: 4, record: panicked},
		{name: "trailers", method: "GET", path: "/trailers", timing: hit, route: "/trailers", status: 200, bytes: 4, record: oneHit},
		{name: "deadlines", method: "GET", path: "/deadlines", timing: hit, route: "/deadlines", status: 200, bytes: 2, record: oneHit},
		{name: "file", method: "GET", path: "/file", timing: hit, route: "/file", status: 200, bytes: fileSize, record: oneHit},
		{name: "range of a file", method: "GET", path: "/range", timing: hit, route: "/range", status: 206, bytes: 1000, record: oneHit},
		// Gin and Echo 4 take 103 for the final status: whatever they then do must be the same.
		{
			name: "early hints", method: "GET", path: "/early", timing: hit, route: "/early", informational: 1,
			bytes: 4, record: oneHit, anyOf: []string{"status"},
		},
		{name: "form", method: "POST", path: "/form", timing: hit, route: "/form", status: 200, bytes: 2, record: oneHit},
	}
}

// stream reads the first part before it lets the handler go on.
func stream(t *testing.T, app *app, res *http.Response) string {
	first := make([]byte, len("first "))
	if _, err := io.ReadFull(res.Body, first); err != nil {
		t.Errorf("reading the first part: %v", err)
	}
	app.goOn <- struct{}{}
	rest, err := io.ReadAll(res.Body)
	if err != nil {
		t.Errorf("reading the rest: %v", err)
	}
	return string(first) + string(rest)
}

// hijack speaks with a handler that has taken over the connection.
func hijack(t *testing.T, _ *app, res *http.Response) string {
	conn, ok := res.Body.(io.ReadWriter)
	if !ok {
		t.Fatalf("status %d: the connection is not ours", res.StatusCode)
	}
	if _, err := io.WriteString(conn, "ping\n"); err != nil {
		t.Error(err)
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Error(err)
	}
	return answer
}
