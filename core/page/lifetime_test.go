package page_test

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/page"
)

// lag is how far the cache's clock may be behind.
const lag = 10 * time.Millisecond

func TestLifetimes(t *testing.T) {
	const epoch = "Sat, 01 Jan 2000 00:00:0" // + second, where synctest begins
	tests := []struct {
		name   string
		header []string
		set    func(*http.Request)
		route  time.Duration
		opts   page.Options
		took   time.Duration // of the handler
		want   time.Duration // from the end of the handler; 0: not stored, negative: no end
		age    int           // on a hit right behind the end
	}{
		{name: "the option", opts: page.Options{TTL: time.Minute}, want: time.Minute},
		{name: "the cache's policy", want: 5 * time.Minute},
		{name: "an option for ever", opts: page.Options{TTL: cache.Forever}, want: -1},
		{name: "no option", opts: page.Options{TTL: -1}},
		{name: "max-age", header: []string{"Cache-Control: max-age=10"}, want: 10 * time.Second},
		{name: "max-age counts from the request", header: []string{"Cache-Control: max-age=10"}, took: 4 * time.Second, want: 6 * time.Second, age: 4},
		{name: "s-maxage counts from the request", header: []string{"Cache-Control: s-maxage=10"}, took: 4 * time.Second, want: 6 * time.Second, age: 4},
		{name: "Expires counts from the request", header: []string{"Expires: " + epoch + "9 GMT"}, took: 4 * time.Second, want: 5 * time.Second, age: 4},
		{name: "over before it is made", header: []string{"Cache-Control: max-age=3"}, took: 4 * time.Second},
		{name: "a given lifetime counts from the end", opts: page.Options{TTL: 10 * time.Second}, took: 4 * time.Second, want: 10 * time.Second, age: 4},
		{name: "Expires less Date", header: []string{"Expires: " + epoch + "9 GMT", "Date: " + epoch + "5 GMT"}, want: 4 * time.Second},
		{name: "Age", header: []string{"Cache-Control: max-age=10", "Age: 3"}, want: 7 * time.Second, age: 3},
		{name: "the first Age counts", header: []string{"Cache-Control: max-age=10", "Age: 3, 9"}, want: 7 * time.Second, age: 3},
		{name: "Age that is none", header: []string{"Cache-Control: max-age=10", "Age: -3"}, want: 10 * time.Second},
		{name: "Date is an age", header: []string{"Cache-Control: max-age=10", "Date: Fri, 31 Dec 1999 23:59:58 GMT"}, want: 8 * time.Second, age: 2},
		{name: "Age without a lifetime", header: []string{"Age: 30"}, opts: page.Options{TTL: 10 * time.Second}, want: 10 * time.Second, age: 30},
		{name: "Age of a route", header: []string{"Cache-Control: max-age=60", "Age: 30"}, route: 100 * time.Second, want: 100 * time.Second, age: 30},
		{name: "an Age beyond reason", header: []string{"Age: 99999999999999999999"}, opts: page.Options{TTL: 10 * time.Second}, want: 10 * time.Second, age: 1 << 31},
		{name: "a Date beyond reason", header: []string{"Date: Mon, 01 Jan 0001 00:00:00 GMT"}, opts: page.Options{TTL: 10 * time.Second}, want: 10 * time.Second, age: 1 << 31},
		{name: "max-age beyond reason", header: []string{"Cache-Control: max-age=99999999999999999999"}, want: (1 << 31) * time.Second},
		{name: "Expires beyond reason", header: []string{"Expires: Fri, 31 Dec 9999 23:59:59 GMT"}, want: (1 << 31) * time.Second},
		{name: "SetTTL", set: func(r *http.Request) { page.SetTTL(r, time.Second) }, want: time.Second},
		{name: "SetTTL outranks the header", header: []string{"Cache-Control: s-maxage=0"}, set: func(r *http.Request) { page.SetTTL(r, time.Second) }, want: time.Second},
		{name: "SetTTL for ever", set: func(r *http.Request) { page.SetTTL(r, cache.Forever) }, want: -1},
		{name: "SetTTL of nothing", set: func(r *http.Request) { page.SetTTL(r, 0) }},
		{name: "SetTTL below", set: func(r *http.Request) { page.SetTTL(r, -1) }},
		{name: "SetTTL of a moment", set: func(r *http.Request) { page.SetTTL(r, time.Nanosecond) }, want: time.Millisecond},
		{name: "SetTTL does not allow what is forbidden", header: []string{"Cache-Control: no-store"}, set: func(r *http.Request) { page.SetTTL(r, time.Second) }},
		{name: "the last SetTTL", set: func(r *http.Request) { page.SetTTL(r, time.Hour); page.SetTTL(r, time.Second) }, want: time.Second},
		{name: "a route", route: 20 * time.Second, want: 20 * time.Second},
		{name: "a route for ever", route: cache.Forever, want: -1},
		{name: "a route that is off", route: -1, header: []string{"Cache-Control: s-maxage=60"}},
		{name: "SetTTL in a route that is off", route: -1, set: func(r *http.Request) { page.SetTTL(r, time.Minute) }},
		{name: "SetTTL in a route", route: time.Hour, set: func(r *http.Request) { page.SetTTL(r, time.Minute) }, want: time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := simple(t, tt.opts, func(w http.ResponseWriter, r *http.Request) error {
					if tt.set != nil {
						tt.set(r)
					}
					if tt.took > 0 {
						sleep(tt.took)
					}
					return text("body", tt.header...)(w, r)
				})
				if tt.route != 0 {
					a.pages[0] = a.pages[0].WithTTL(tt.route)
				}
				a.get(t, "/")
				if tt.want == 0 {
					if a.get(t, "/").hit() {
						t.Error("stored")
					}
					return
				}
				if tt.want > lag {
					w := a.get(t, "/")
					if !w.hit() {
						t.Fatalf("not stored: %s", w.cacheStatus())
					}
					if age := w.header.Get("Age"); age != strconv.Itoa(tt.age) {
						t.Errorf("Age %s, want %d", age, tt.age)
					}
					_, ttl, shown := strings.Cut(w.cacheStatus(), "ttl=")
					if want := strconv.Itoa(int(tt.want / time.Second)); shown != (tt.want > 0) || shown && ttl != want {
						t.Errorf("%s, want a TTL of %s", w.cacheStatus(), want)
					}
					if tt.want > time.Hour {
						return // so long that nobody waits
					}
					sleep(tt.want - 2*lag)
					if !a.get(t, "/").hit() {
						t.Error("gone too early")
					}
				} else if tt.want < 0 {
					sleep(24 * time.Hour)
					if w := a.get(t, "/"); w.cacheStatus() != "strata; hit" {
						t.Errorf("a day later: %s", w.cacheStatus())
					}
					return
				}
				sleep(3 * lag)
				if w := a.get(t, "/"); w.hit() {
					t.Errorf("still there: %s", w.cacheStatus())
				}
			})
		})
	}
}

func TestAgeGrowsAndTTLShrinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := simple(t, page.Options{}, text("body", "Cache-Control: max-age=10", "Age: 2"))
		a.get(t, "/")
		sleep(2 * lag)
		for second := range 7 {
			w := a.get(t, "/")
			if got, want := w.header.Get("Age")+" "+w.cacheStatus(), strconv.Itoa(second+2)+" strata; hit; ttl="+strconv.Itoa(7-second); got != want {
				t.Errorf("after %d seconds %q, want %q", second, got, want)
			}
			sleep(time.Second)
		}
	})
}

func TestJitterOnlyShortensWhatIsGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPages(t, open(t, memory(t), cache.Options{Policy: cache.Policy{Jitter: 0.5}}), page.Options{TTL: 1000 * time.Second})
		for name, h := range map[string]page.Handler{
			"given": text("body"),
			"named": text("body", "Cache-Control: max-age=1000"),
			"set": func(w http.ResponseWriter, r *http.Request) error {
				page.SetTTL(r, 1000*time.Second)
				return text("body")(w, r)
			},
		} {
			a, seen := newApp(h, p), map[string]bool{}
			for i := range 20 {
				target := "/" + name + strconv.Itoa(i)
				a.get(t, target)
				status := a.get(t, target).cacheStatus()
				_, ttl, _ := strings.Cut(status, "ttl=")
				if n, err := strconv.Atoi(ttl); err != nil || n > 1000 || n < 499 {
					t.Fatalf("%s: %s", name, status)
				}
				seen[ttl] = true
			}
			if jittered := len(seen) > 1; jittered != (name == "given") {
				t.Errorf("%s: jittered is %v: %v", name, jittered, seen)
			}
		}
	})
}

func TestFollowersAreToldTheAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := simple(t, page.Options{}, func(w http.ResponseWriter, r *http.Request) error {
			sleep(3 * time.Second)
			return text("body", "Age: 2")(w, r)
		})
		a.begin(get("/"))
		synctest.Wait()
		w := a.get(t, "/")
		if got := w.header.Get("Age"); got != "5" || w.cacheStatus() != "strata; fwd=uri-miss; collapsed" {
			t.Errorf("Age %s, %s", got, w.cacheStatus())
		}
		synctest.Wait()
	})
}

func TestAnIndexOutlivesItsVariants(t *testing.T) {
	for _, ttl := range []time.Duration{24 * time.Hour, cache.Forever} {
		synctest.Test(t, func(t *testing.T) {
			a := simple(t, page.Options{}, func(w http.ResponseWriter, r *http.Request) error {
				w.Header().Set("Vary", "X-A")
				if r.Header.Get("X-A") == "long" {
					page.SetTTL(r, ttl)
				} else {
					page.SetTTL(r, time.Second)
				}
				_, err := io.WriteString(w, "body")
				return err
			})
			a.get(t, "/", "X-A: short")
			a.get(t, "/", "X-A: long")
			sleep(23 * time.Hour)
			if w := a.get(t, "/", "X-A: long"); !w.hit() {
				t.Errorf("%v: a variant is lost with its index: %s", ttl, w.cacheStatus())
			}
		})
	}
}

func TestHardTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause error
		a := simple(t, page.Options{HardTimeout: time.Second}, func(w http.ResponseWriter, r *http.Request) error {
			<-r.Context().Done()
			cause = context.Cause(r.Context())
			return text("half a")(w, r)
		})
		start := time.Now()
		w := a.get(t, "/")
		if took := time.Since(start); took != time.Second || cause == nil || w.text() != "half a" {
			t.Errorf("after %v: %v, %q", took, cause, w.text())
		}
		if a.get(t, "/").hit() {
			t.Error("what was written after the end of the context was stored")
		}
	})
}

func TestNobodyWaitsLongerThanTheHardTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := simple(t, page.Options{HardTimeout: time.Second}, func(w http.ResponseWriter, r *http.Request) error {
			if r.Header.Get("X-Slow") != "" {
				sleep(10 * time.Second) // and heeds no context
			}
			return text("body")(w, r)
		})
		a.begin(get("/", "X-Slow: 1"))
		synctest.Wait()
		start := time.Now()
		w := a.get(t, "/")
		if w.status != http.StatusServiceUnavailable || w.header.Get("Retry-After") != "1" || time.Since(start) != time.Second {
			t.Errorf("%d %v after %v", w.status, w.header, time.Since(start))
		}
		// Those who come next do not wait for it.
		if w := a.get(t, "/"); w.text() != "body" {
			t.Errorf("%d %q", w.status, w.text())
		}
		sleep(time.Minute)
	})
}
