package examples_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/strata-cache/strata/internal/testserver"
)

func TestShop(t *testing.T) {
	for _, framework := range frameworks {
		t.Run(framework, func(t *testing.T) {
			p := start(t, "shop", "-framework", framework)
			for _, path := range []string{"/", "/c/pens", "/p/4"} {
				first, second := p.get(path), p.get(path)
				if first.StatusCode != http.StatusOK || !strings.Contains(first.body, "Fountain pen, medium") {
					t.Errorf("%s: %s\n%s", path, first.Status, first.body)
				}
				if first.cacheStatus() != "strata; fwd=uri-miss; stored" || !second.hit() || second.body != first.body {
					t.Errorf("%s: Cache-Status %q and then %q", path, first.cacheStatus(), second.cacheStatus())
				}
			}
			a := p.get("/p/4")
			for _, want := range []string{"€ 39.00", "&#34;butter&#34; &amp; never skips", "<a href=\"/c/pens\">Pens &amp; ink</a>", "Fragments: 1 cached, 1 made. Objects: 1 cached, 1 loaded."} {
				if !strings.Contains(a.body, want) {
					t.Errorf("the product's page does not hold %q:\n%s", want, a.body)
				}
			}
			t.Run("what does not exist", func(t *testing.T) { testMissing(t, p) })
			t.Run("the cart", func(t *testing.T) { testCart(t, p) })
			t.Run("a new price", func(t *testing.T) { testPrice(t, p) })
			t.Run("statistics", func(t *testing.T) { testStats(t, p) })
		})
	}
}

func testMissing(t *testing.T, p *program) {
	first, second := p.get("/p/99"), p.get("/p/99")
	if first.StatusCode != http.StatusNotFound || second.StatusCode != http.StatusNotFound || second.hit() {
		t.Errorf("%s, %s, Cache-Status %q", first.Status, second.Status, second.cacheStatus())
	}
	// The second one is answered by what is remembered, not by the source.
	if got := second.Header.Get("Server-Timing"); !strings.Contains(got, "1 negative hit") {
		t.Errorf("Server-Timing %q", got)
	}
	for _, path := range []string{"/p/x", "/c/nothing", "/nowhere"} {
		if a := p.get(path); a.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, a.Status)
		}
	}
}

func testCart(t *testing.T, p *program) {
	cookie, empty := "", p.get("/cart")
	if !strings.Contains(empty.body, "It is empty") || empty.Header.Get("Cache-Control") != "private, no-store" {
		t.Errorf("Cache-Control %q\n%s", empty.Header.Get("Cache-Control"), empty.body)
	}
	for _, id := range []string{"4", "5"} {
		a := p.do(http.MethodPost, "/cart", "id="+id, "Cookie: "+cookie)
		if a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/cart" || len(a.Cookies()) != 1 || a.Cookies()[0].Path != "/cart" {
			t.Fatalf("%s to %q, Set-Cookie %q", a.Status, a.Header.Get("Location"), a.Header["Set-Cookie"])
		}
		cookie = a.Cookies()[0].Name + "=" + a.Cookies()[0].Value
	}
	for range 2 {
		a := p.get("/cart", "Cookie: "+cookie)
		if a.cacheStatus() != "strata; fwd=bypass; detail=cookie" || !strings.Contains(a.body, "€ 50.80") {
			t.Errorf("Cache-Status %q\n%s", a.cacheStatus(), a.body)
		}
	}
	if a := p.get("/cart"); a.hit() || !strings.Contains(a.body, "It is empty") {
		t.Errorf("somebody else's cart: Cache-Status %q\n%s", a.cacheStatus(), a.body)
	}
	if a := p.do(http.MethodPost, "/cart", "id=4", "Origin: http://evil.test"); a.StatusCode != http.StatusForbidden {
		t.Errorf("a form of another site: %s", a.Status)
	}
}

func testPrice(t *testing.T, p *program) {
	for _, path := range []string{"/", "/c/pens", "/p/4"} {
		if a := p.get(path); !a.hit() || !strings.Contains(a.body, "€ 39.00") {
			t.Errorf("%s before: Cache-Status %q", path, a.cacheStatus())
		}
	}
	for _, form := range []string{"", "id=4", "id=4&price=-1", "id=4&price=NaN", "id=x&price=1"} {
		if a := p.do(http.MethodPost, "/admin/price", form); a.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: %s", form, a.Status)
		}
	}
	if a := p.do(http.MethodPost, "/admin/price", "id=99&price=1"); a.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown product: %s", a.Status)
	}
	if a := p.do(http.MethodPost, "/admin/price", "id=4&price=41.5"); a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/p/4" {
		t.Fatalf("%s %q", a.Status, a.body)
	}
	for _, path := range []string{"/p/4", "/c/pens", "/"} {
		if a := p.get(path); a.hit() || !strings.Contains(a.body, "€ 41.50") {
			t.Errorf("%s after: Cache-Status %q\n%s", path, a.cacheStatus(), a.body)
		}
		if a := p.get(path); !a.hit() || !strings.Contains(a.body, "€ 41.50") {
			t.Errorf("%s then: Cache-Status %q", path, a.cacheStatus())
		}
	}
	// The rest of the page was still there.
	if a := p.get("/p/4"); !strings.Contains(a.body, "Fragments: 2 cached, 0 made. Objects: 0 cached, 1 loaded.") {
		t.Errorf("the page was not made of its fragments:\n%s", a.body)
	}
}

func testStats(t *testing.T, p *program) {
	a := p.get("/stats")
	var snapshot struct {
		Series []struct{ Cache, Kind, Layer string }
	}
	if err := json.Unmarshal([]byte(a.body), &snapshot); err != nil || a.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%v: %q", err, a.body)
	}
	layers := map[string]bool{}
	for _, s := range snapshot.Series {
		layers[s.Layer] = true
	}
	if !layers["page"] || !layers["fragment"] || !layers["object"] {
		t.Errorf("layers %v\n%s", layers, a.body)
	}
	if a := p.get("/stats"); a.hit() {
		t.Error("they come from the cache")
	}
}

func TestShopSharesThroughRedis(t *testing.T) {
	url := testserver.Redis(t).URL()
	body := ""
	var shops []*program
	for i, framework := range frameworks {
		p := start(t, "shop", "-framework", framework, "-redis", url)
		p.await(inStep)
		shops = append(shops, p)
		a := p.get("/p/1", "Host: shop.test")
		if i == 0 {
			body = a.body
		} else if a.body != body || !a.hit() {
			t.Errorf("%s: Cache-Status %q", framework, a.cacheStatus())
		}
	}
	// Each shop has a source of its own; what is cached is told by all of them, and so is its end.
	if a := shops[0].do(http.MethodPost, "/admin/price", "id=1&price=3", "Host: shop.test"); a.StatusCode != http.StatusSeeOther {
		t.Fatalf("%s %q", a.Status, a.body)
	}
	if a := shops[0].get("/p/1", "Host: shop.test"); !strings.Contains(a.body, "€ 3.00") {
		t.Errorf("where the price was changed: Cache-Status %q\n%s", a.cacheStatus(), a.body)
	}
	heard := time.After(5 * time.Second)
	for i, p := range shops[1:] {
		for a := p.get("/p/1", "Host: shop.test"); !strings.Contains(a.body, "€ 3.00"); a = p.get("/p/1", "Host: shop.test") {
			select {
			case <-heard:
				t.Fatalf("%s: Cache-Status %q\n%s", frameworks[i+1], a.cacheStatus(), a.body)
			default:
			}
		}
	}
}

func TestShopWithoutItsRedis(t *testing.T) {
	t.Run("from the start", func(t *testing.T) {
		for _, framework := range frameworks {
			p := start(t, "shop", "-framework", framework, "-redis", "redis://127.0.0.1:1")
			for range 2 {
				if a := p.get("/p/1"); a.StatusCode != http.StatusOK || !strings.Contains(a.body, "€ 14.50") {
					t.Errorf("%s: %s, Cache-Status %q", framework, a.Status, a.cacheStatus())
				}
			}
			// The price is saved, and new here, although nobody else could be told.
			if a := p.do(http.MethodPost, "/admin/price", "id=1&price=1"); a.StatusCode != http.StatusSeeOther {
				t.Errorf("%s: %s", framework, a.Status)
			}
			if a := p.get("/p/1"); !strings.Contains(a.body, "€ 1.00") {
				t.Errorf("%s: the old price, Cache-Status %q", framework, a.cacheStatus())
			}
		}
	})
	t.Run("later", func(t *testing.T) {
		srv := testserver.Redis(t)
		p := start(t, "shop", "-redis", srv.URL())
		p.await(inStep)
		if p.get("/p/1"); !p.get("/p/1").hit() {
			t.Error("no hit while Redis is up")
		}
		srv.Pause()
		if a := p.get("/p/1"); a.StatusCode != http.StatusOK {
			t.Errorf("while Redis hangs: %s, Cache-Status %q", a.Status, a.cacheStatus())
		}
		srv.Resume()
		srv.Kill()
		for _, path := range []string{"/p/1", "/p/2", "/"} {
			if a := p.get(path); a.StatusCode != http.StatusOK {
				t.Errorf("without Redis: %s: %s, Cache-Status %q", path, a.Status, a.cacheStatus())
			}
		}
	})
}

func TestShopDrains(t *testing.T) {
	for _, framework := range frameworks {
		t.Run(framework, func(t *testing.T) {
			p := start(t, "shop", "-framework", framework)
			conn, r := p.dial()
			_, _ = io.WriteString(conn, "POST /cart HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"+
				"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 4\r\nConnection: close\r\n\r\n")
			// The server asks for the body when the handler reads it: the request is in flight now.
			if line, err := r.ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 100 ") {
				t.Fatalf("%q, %v", line, err)
			}
			if _, err := r.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			p.terminate()
			_, _ = io.WriteString(conn, "id=1")
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != http.StatusSeeOther {
				t.Errorf("%s", res.Status)
			}
			p.wantExit(0)
		})
	}
}

func TestShopRefusesBadUsage(t *testing.T) {
	for _, tc := range []struct {
		name, want string
		args       []string
	}{
		{"unknown framework", `"fiber"`, []string{"-framework", "fiber"}},
		{"bad URL", "-redis", []string{"-redis", "127.0.0.1:6379"}},
		{"unknown flag", "-verbose", []string{"-verbose"}},
		{"leftover argument", `"now"`, []string{"now"}},
		{"port that is no number", "-listen", []string{"-listen", ":abc"}},
	} {
		t.Run(tc.name, func(t *testing.T) { wantUsageError(t, "shop", tc.want, tc.args...) })
	}
}
