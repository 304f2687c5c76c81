package examples_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/strata-cache/strata/internal/testserver"
)

var frameworks = []string{"nethttp", "gin", "echo", "echo5"}

// origin is the server behind the proxy. It counts the requests that reach it.
type origin struct {
	*httptest.Server
	requests atomic.Int64
	begun    chan struct{} // gets one for each request to /held
	release  chan struct{} // ends it
}

func newOrigin(t *testing.T) *origin {
	o := &origin{begun: make(chan struct{}, 8), release: make(chan struct{})}
	o.Server = httptest.NewServer(http.HandlerFunc(o.serve))
	t.Cleanup(o.Close)
	return o
}

func (o *origin) serve(w http.ResponseWriter, r *http.Request) {
	n := o.requests.Add(1)
	w.Header().Set("Content-Type", "text/plain")
	switch r.URL.Path {
	case "/page":
		fmt.Fprintf(w, "%s %s %s, answer %d", r.Method, r.Host, r.URL.RequestURI(), n)
	case "/forwarded":
		for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded"} {
			fmt.Fprintf(w, "%s=%s\n", name, strings.Join(r.Header[name], "|"))
		}
	case "/hints":
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "nothing here")
	case "/empty":
		w.Header().Del("Content-Type")
		w.WriteHeader(http.StatusNotFound)
	case "/broken":
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "short")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case "/private":
		w.Header().Set("Cache-Control", "private")
		fmt.Fprintf(w, "answer %d", n)
	case "/login":
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "secret"})
		fmt.Fprintf(w, "answer %d", n)
	case "/held":
		_, _ = io.WriteString(w, "first ")
		if r.URL.RawQuery == "stream" {
			_ = http.NewResponseController(w).Flush()
		}
		o.begun <- struct{}{}
		<-o.release
		_, _ = io.WriteString(w, "second")
	default:
		http.NotFound(w, r)
	}
}

var hosts atomic.Int64

// newHost returns a Host header for a site of which a shared store holds nothing yet.
func newHost() string { return fmt.Sprintf("Host: site-%d.test", hosts.Add(1)) }

// forBackends runs a test for the proxy in each framework, over a store in its memory and over Redis.
func forBackends(t *testing.T, test func(t *testing.T, args ...string)) {
	for _, framework := range frameworks {
		t.Run(framework, func(t *testing.T) {
			t.Run("memory", func(t *testing.T) { test(t, "-framework", framework) })
			t.Run("redis", func(t *testing.T) { test(t, "-framework", framework, "-store", redis.Redis(t).URL()) })
		})
	}
}

func startProxy(t *testing.T, o *origin, args ...string) *program {
	t.Helper()
	p := start(t, "proxy", append([]string{"-origin", o.URL}, args...)...)
	if slices.Contains(args, "-store") {
		// What is stored before the log was read does not count afterwards.
		p.await(inStep)
	}
	return p
}

var inStep = regexp.MustCompile("in step with the log")

func TestProxyServesFromItsStore(t *testing.T) {
	forBackends(t, func(t *testing.T, args ...string) {
		o := newOrigin(t)
		p := startProxy(t, o, args...)
		host := newHost()

		first, second := p.get("/page?b=2&a=1;c", host), p.get("/page?b=2&a=1;c", host)
		want := "GET " + host[len("Host: "):] + " /page?b=2&a=1;c, answer 1"
		if first.body != want || first.cacheStatus() != "strata; fwd=uri-miss; stored" {
			t.Errorf("first: %q, want %q; Cache-Status %q", first.body, want, first.cacheStatus())
		}
		if second.body != want || !second.hit() || second.Header.Get("Age") == "" {
			t.Errorf("second: %q, Cache-Status %q, Age %q", second.body, second.cacheStatus(), second.Header.Get("Age"))
		}
		if a := p.do(http.MethodHead, "/page?b=2&a=1;c", "", host); !a.hit() || a.body != "" || a.ContentLength != int64(len(want)) {
			t.Errorf("HEAD: Cache-Status %q, length %d", a.cacheStatus(), a.ContentLength)
		}
		if a := p.get("/page?b=2&a=1;c", "Host: other-"+host[len("Host: "):]); a.hit() {
			t.Errorf("the answer for another host: %q", a.body)
		}

		// What is not for everybody is not stored, nor what it is not known to be.
		for _, path := range []string{"/private", "/login", "/nothing"} {
			if a, b := p.get(path, host), p.get(path, host); a.hit() || b.hit() {
				t.Errorf("%s: Cache-Status %q, then %q", path, a.cacheStatus(), b.cacheStatus())
			}
		}
		if a := p.get("/page?b=2&a=1;c", host, "Cookie: session=secret"); a.hit() {
			t.Error("a request with a session was answered from the cache")
		}
		for _, method := range []string{http.MethodPost, http.MethodDelete, "PURGE"} {
			a := p.do(method, "/page", "", host)
			if a.StatusCode != http.StatusOK || !strings.HasPrefix(a.body, method+" ") || a.cacheStatus() != "strata; fwd=method" {
				t.Errorf("%s: %s %q, Cache-Status %q", method, a.Status, a.body, a.cacheStatus())
			}
		}
	})
}

func TestProxySharesPagesThroughRedis(t *testing.T) {
	o, url, host := newOrigin(t), redis.Redis(t).URL(), newHost()
	body := ""
	for i, framework := range frameworks {
		p := startProxy(t, o, "-framework", framework, "-store", url)
		a := p.get("/page?shared", host)
		if i == 0 {
			body = a.body
		} else if a.body != body || !a.hit() {
			t.Errorf("%s: %q, Cache-Status %q", framework, a.body, a.cacheStatus())
		}
	}
	if n := o.requests.Load(); n != 1 {
		t.Errorf("%d requests reached the origin, want 1", n)
	}
}

func TestProxyPassesOn(t *testing.T) {
	for _, framework := range frameworks {
		t.Run(framework, func(t *testing.T) {
			o := newOrigin(t)
			p := startProxy(t, o, "-framework", framework)
			t.Run("informational answers", func(t *testing.T) { testHints(t, p) })
			t.Run("a stream", func(t *testing.T) { testStream(t, o, p) })
			t.Run("a 404 without a body", func(t *testing.T) {
				if a := p.get("/empty"); a.StatusCode != http.StatusNotFound || a.body != "" || a.Header.Get("Content-Type") != "" {
					t.Errorf("%s %q, Content-Type %q", a.Status, a.body, a.Header.Get("Content-Type"))
				}
			})
			t.Run("an answer that breaks off", func(t *testing.T) {
				for range 2 {
					if a, err := p.try(http.MethodGet, "/broken", ""); err == nil && (a.err == nil || a.hit()) {
						t.Errorf("%q looks complete, Cache-Status %q", a.body, a.cacheStatus())
					}
				}
			})
			t.Run("who asks", func(t *testing.T) {
				a := p.get("/forwarded", "Host: shop.test", "X-Forwarded-For: 8.8.8.8", "X-Forwarded-Host: evil.test",
					"X-Forwarded-Proto: https", "Forwarded: host=evil.test")
				const want = "X-Forwarded-For=127.0.0.1\nX-Forwarded-Host=shop.test\nX-Forwarded-Proto=http\nForwarded=\n"
				if a.body != want {
					t.Errorf("%q, want %q", a.body, want)
				}
			})
		})
	}
}

func testHints(t *testing.T, p *program) {
	var hints []string
	r, err := http.NewRequest(http.MethodGet, p.url+"/hints", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r = r.WithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			hints = append(hints, fmt.Sprint(code, h["Link"]))
			return nil
		},
	}))
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusNotFound || string(body) != "nothing here" || err != nil {
		t.Errorf("%s %q, %v", res.Status, body, err)
	}
	if len(hints) != 1 || hints[0] != "103 [</a.css>; rel=preload]" {
		t.Errorf("informational answers %q", hints)
	}
}

func testStream(t *testing.T, o *origin, p *program) {
	res, err := client.Get(p.url + "/held?stream")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	<-o.begun
	got := make([]byte, len("first "))
	if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != "first " {
		t.Errorf("before the end: %q, %v", got, err)
	}
	o.release <- struct{}{}
	if rest, err := io.ReadAll(res.Body); err != nil || string(rest) != "second" {
		t.Errorf("then %q, %v", rest, err)
	}
}

func TestProxyUpgrade(t *testing.T) {
	o := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n")
		line, _ := rw.ReadString('\n')
		_, _ = io.WriteString(conn, strings.ToUpper(line))
	}))
	t.Cleanup(o.Close)
	for _, framework := range frameworks {
		t.Run(framework, func(t *testing.T) {
			p := start(t, "proxy", "-origin", o.URL, "-framework", framework)
			conn, r := p.dial()
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n")
			res, err := http.ReadResponse(r, nil)
			if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
				t.Fatalf("%v, %v", res, err)
			}
			res.Body.Close()
			_, _ = io.WriteString(conn, "hello\n")
			if line, err := r.ReadString('\n'); line != "HELLO\n" {
				t.Errorf("got %q, %v", line, err)
			}
		})
	}
}

// dial opens a connection to the program, which ends with the test.
func (p *program) dial() (net.Conn, *bufio.Reader) {
	p.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		p.t.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

func TestProxyWithoutItsOrigin(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	for _, framework := range frameworks {
		t.Run(framework, func(t *testing.T) {
			p := start(t, "proxy", "-origin", "http://"+addr, "-framework", framework)
			for range 2 {
				if a := p.get("/"); a.StatusCode != http.StatusBadGateway || a.cacheStatus() != "strata; fwd=uri-miss" {
					t.Errorf("%s %q, Cache-Status %q", a.Status, a.body, a.cacheStatus())
				}
			}
		})
	}
}

func TestProxyWithoutItsRedis(t *testing.T) {
	srv := testserver.Redis(t)
	for _, framework := range frameworks {
		t.Run(framework, func(t *testing.T) {
			o := newOrigin(t)
			p := startProxy(t, o, "-framework", framework, "-store", srv.URL())
			host := newHost()
			if p.get("/page", host); !p.get("/page", host).hit() {
				t.Error("no hit while Redis is up")
			}
			srv.Kill()
			if a := p.get("/page", host); a.StatusCode != http.StatusOK || a.hit() || !strings.HasSuffix(a.body, "answer 2") {
				t.Errorf("%s %q, Cache-Status %q", a.Status, a.body, a.cacheStatus())
			}
			srv.Restart()
		})
	}
}

func TestProxyDrains(t *testing.T) {
	for _, framework := range frameworks {
		t.Run(framework, func(t *testing.T) {
			o := newOrigin(t)
			p := startProxy(t, o, "-framework", framework)
			type result struct {
				*answer
				err error
			}
			done := make(chan result, 1)
			go func() {
				a, err := p.try(http.MethodGet, "/held", "")
				done <- result{a, err}
			}()
			<-o.begun
			p.terminate()
			close(o.release)
			if r := <-done; r.err != nil || r.StatusCode != http.StatusOK || r.body != "first second" || r.answer.err != nil {
				t.Errorf("%+v", r)
			}
			p.wantExit(0)
		})
	}
}

func TestProxyRefusesBadUsage(t *testing.T) {
	const ok = "http://127.0.0.1:9"
	for _, tc := range []struct {
		name, want string
		args       []string
	}{
		{"no origin", "-origin is missing", nil},
		{"origin without a scheme", "-origin", []string{"-origin", "127.0.0.1:9000"}},
		{"origin of another scheme", "http://", []string{"-origin", "ftp://127.0.0.1"}},
		{"origin without a host", "no host", []string{"-origin", "http:///path"}},
		{"origin with a query", "query", []string{"-origin", ok + "/?a=1"}},
		{"origin with a password", "user", []string{"-origin", "http://me:hush@127.0.0.1"}},
		{"origin that is no URL", "no URL", []string{"-origin", "http://[::1\x7f"}},
		{"unknown framework", `"fiber"`, []string{"-origin", ok, "-framework", "fiber"}},
		{"unknown store", "-store", []string{"-origin", ok, "-store", "memcached://127.0.0.1"}},
		{"store without a scheme", "-store", []string{"-origin", ok, "-store", "127.0.0.1:6379"}},
		{"store of a bad URL", "-store", []string{"-origin", ok, "-store", "redis://127.0.0.1:port"}},
		{"store with an unknown parameter", "nonsense", []string{"-origin", ok, "-store", "memory://?nonsense=1"}},
		{"unknown mode", `"strict"`, []string{"-origin", ok, "-mode", "strict"}},
		{"mode that is to come", "not there yet", []string{"-origin", ok, "-mode", "standard"}},
		{"bad duration", "-ttl", []string{"-origin", ok, "-ttl", "60"}},
		{"unknown flag", "-verbose", []string{"-origin", ok, "-verbose"}},
		{"flag without a value", "-ttl", []string{"-origin", ok, "-ttl"}},
		{"leftover argument", `"now"`, []string{"-origin", ok, "now"}},
		{"address without a port", "-listen", []string{"-origin", ok, "-listen", "nonsense"}},
		{"port that is too large", "-listen", []string{"-origin", ok, "-listen", "127.0.0.1:99999"}},
	} {
		t.Run(tc.name, func(t *testing.T) { wantUsageError(t, "proxy", tc.want, tc.args...) })
	}
}
