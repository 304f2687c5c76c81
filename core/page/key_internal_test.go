package page

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/store/memstore"
)

func testPages(t testing.TB, o Options) *Cache {
	t.Helper()
	st, err := memstore.New(memstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := cache.New(st, cache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	p, err := New(c, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// keyOf returns the primary key before the key rule; ok is false where the request goes past the cache.
func (p *Cache) keyOf(r *http.Request) (key string, ok bool) {
	q := p.examine(r)
	return string(p.appendKey(nil, r, &q)), q.bypass == ""
}

// parts says slowly, and in no hurry to save anything, what a page depends on: the rules of the key, read
// from their description. Two requests may share a page if it is the same for both.
type parts struct {
	Scheme, Host, Path string
	Query              []string // pairs; nil: no query
	Target             string   // where the URL was rewritten
	Fields             []string
	Cookies            []string
	VaryBy             string
}

func reference(o *Options, r *http.Request) string {
	p := parts{Scheme: "http", Host: strings.ToLower(r.Host), Path: r.URL.EscapedPath()}
	if r.TLS != nil {
		p.Scheme = "https"
	}
	p.Host = strings.TrimSuffix(p.Host, map[string]string{"http": ":80", "https": ":443"}[p.Scheme])
	hidden := func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		if n, err := url.QueryUnescape(name); err == nil {
			name = n
		}
		matches := func(pattern string) bool {
			if s, ok := strings.CutSuffix(pattern, "*"); ok {
				return strings.HasPrefix(name, s)
			}
			return name == pattern
		}
		return slices.ContainsFunc(o.IgnoreParams, matches) || len(o.OnlyParams) > 0 && !slices.Contains(o.OnlyParams, name)
	}
	visible := func(query string) []string { return slices.DeleteFunc(strings.Split(query, "&"), hidden) }
	if r.URL.RawQuery != "" {
		p.Query = visible(r.URL.RawQuery)
		escaped := slices.ContainsFunc(p.Query, func(pair string) bool {
			name, _, _ := strings.Cut(pair, "=")
			return strings.ContainsAny(name, "%+")
		})
		if !escaped {
			sort.SliceStable(p.Query, func(i, j int) bool {
				a, _, _ := strings.Cut(p.Query[i], "=")
				b, _, _ := strings.Cut(p.Query[j], "=")
				return a < b
			})
		}
		if strings.Join(p.Query, "&") == "" {
			p.Query = nil
		}
	} else if r.URL.ForceQuery {
		p.Query = []string{""}
	}
	if u := *r.URL; r.RequestURI != "" {
		u.Host, u.Scheme, u.User = "", "", nil
		if sent := u.EscapedPath() + map[bool]string{true: "?"}[u.ForceQuery || u.RawQuery != ""] + u.RawQuery; sent != r.RequestURI {
			path, query, found := strings.Cut(r.RequestURI, "?")
			if p.Target = r.RequestURI; found && query != "" && len(o.IgnoreParams)+len(o.OnlyParams) > 0 {
				if p.Target = path; strings.Join(visible(query), "&") != "" {
					p.Target += "?" + strings.Join(visible(query), "&")
				}
			}
		}
	}
	for _, name := range []string{"Front-End-Https", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Host", "X-Url-Scheme", "X-Original-Url"} {
		if lines, ok := r.Header[name]; ok {
			p.Fields = append(p.Fields, fmt.Sprintf("%s %q", name, trimAll(lines)))
		}
	}
	for _, line := range r.Header["Forwarded"] {
		for _, part := range strings.FieldsFunc(line, func(r rune) bool { return r == ';' || r == ',' }) {
			part = strings.Trim(part, " \t")
			if lower := strings.ToLower(part); (strings.HasPrefix(lower, "for=") || strings.HasPrefix(lower, "by=") || lower == "for" || lower == "by") && strings.Count(part, "=") < 2 && !strings.ContainsAny(part, " \t") {
				continue
			}
			p.Fields = append(p.Fields, "Forwarded "+part)
		}
	}
	for _, name := range o.Vary {
		if lines, ok := r.Header[name]; ok && len(lines) > 0 {
			p.Fields = append(p.Fields, fmt.Sprintf("vary %s %q", name, trimAll(lines)))
		}
	}
	if o.Cookies != CookiesIgnore {
		for _, want := range o.VaryCookies {
			for _, line := range r.Header["Cookie"] {
				for pair := range strings.SplitSeq(line, ";") {
					if name, _, _ := strings.Cut(pair, "="); strings.Trim(name, " \t") == want {
						p.Cookies = append(p.Cookies, strings.Trim(pair, " \t"))
					}
				}
			}
		}
	}
	if o.VaryBy != nil {
		p.VaryBy = o.VaryBy(r)
	}
	b, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func trimAll(lines []string) []string {
	var out []string
	for _, l := range lines {
		out = append(out, strings.Trim(l, " \t"))
	}
	return out
}

var keyOptions = map[string]Options{
	"none":   {},
	"ignore": {IgnoreParams: []string{"a", "b*"}, Vary: []string{"X-A", "X-B"}, VaryCookies: []string{"a", "b"}, IgnoreCookies: []string{"c*", "d"}},
	"only":   {OnlyParams: []string{"a", "b"}, VaryBy: func(r *http.Request) string { return r.Header.Get("X-Tenant") }},
	"hidden": {Cookies: CookiesIgnore},
}

// TestKeys compares pairs of requests that differ a little: they share a key if, and only if, all that is
// keyed is equal.
func TestKeys(t *testing.T) {
	for name, o := range keyOptions {
		t.Run(name, func(t *testing.T) {
			p := testPages(t, o)
			rapid.Check(t, func(t *rapid.T) {
				a := drawRequest(t, nil)
				b := drawRequest(t, a)
				ra, rb := a.request(t), b.request(t)
				if ra == nil || rb == nil {
					t.Skip("no request")
				}
				ka, oka := p.keyOf(ra)
				kb, okb := p.keyOf(rb)
				if !oka || !okb {
					return
				}
				if pa, pb := reference(&p.opts, ra), reference(&p.opts, rb); (ka == kb) != (pa == pb) {
					t.Fatalf("keys are equal: %v\n%q\n%q\n%s\n%s", ka == kb, ka, kb, pa, pb)
				}
			})
		})
	}
}

// sent is a request as it goes over the wire.
type sent struct {
	target, host string
	header       []string
	rewritten    bool
}

func (s *sent) request(t *rapid.T) *http.Request {
	raw := "GET " + s.target + " HTTP/1.1\r\nHost: " + s.host + "\r\n" + strings.Join(append(slices.Clone(s.header), "", ""), "\r\n")
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		t.Logf("%v: %q", err, raw)
		return nil
	}
	if s.rewritten {
		r.URL.Path, r.URL.RawPath = strings.TrimPrefix(r.URL.Path, "/a"), ""
	}
	return r
}

// drawRequest draws a request, or one that differs from another in a few places.
func drawRequest(t *rapid.T, other *sent) *sent {
	token := rapid.SampledFrom([]string{"a", "b", "B", "c", "%61", "+", ";", "=", "", "%2F", "%", "|", ":", "1", "é", "a*1", "*", "?", "#"})
	word := rapid.Map(rapid.SliceOfN(token, 0, 3), func(s []string) string { return strings.Join(s, "") })
	target := rapid.Custom(func(t *rapid.T) string {
		s := rapid.SampledFrom([]string{"/", "/a", "/a/", "/a/b", "http://one/a", "//one", "/A", "*", "/a%2Fb", "/%61"}).Draw(t, "path")
		if rapid.Bool().Draw(t, "has a query") {
			s += "?" + strings.Join(rapid.SliceOfN(word, 0, rapid.SampledFrom([]int{3, 4, 5, 20}).Draw(t, "most")).Draw(t, "pairs"), "&")
		}
		return s
	})
	host := rapid.SampledFrom([]string{"one", "ONE", "two", "one:80", "one:443", "", "one:", "[::1]", "[::1]:80"})
	line := rapid.Custom(func(t *rapid.T) string {
		name := rapid.SampledFrom([]string{"X-A", "X-B", "X-C", "X-Tenant", "X-Host", "X-Forwarded-Host", "x-forwarded-proto", "X-Forwarded-For", "Forwarded", "Cookie", "cookie", "X-Url-Scheme"}).Draw(t, "name")
		value := rapid.SampledFrom([]string{"", "a", "a,b", " a ", "a=1", "a", "b=2", "a=1; b=2", "b=2;a=1", "a =1", "_ga=1", "c1=2; a=1", "for=x", "for=x;host=y", "host=y", "for=x host=y", "proto=https", "for=a;by=b", "a=1|c3:b=2", "0,"}).Draw(t, "value")
		return name + ": " + value
	})
	header := rapid.SliceOfN(line, 0, 4)
	if other == nil {
		return &sent{target.Draw(t, "target"), host.Draw(t, "host"), header.Draw(t, "header"), rapid.Bool().Draw(t, "rewritten")}
	}
	s := *other
	switch rapid.IntRange(0, 5).Draw(t, "what differs") {
	case 0:
		s.target = target.Draw(t, "target")
	case 1:
		s.host = host.Draw(t, "host")
	case 2:
		s.header = append(slices.Clone(s.header), line.Draw(t, "line"))
	case 3:
		s.header = header.Draw(t, "header")
	case 4:
		s.header = rapid.Permutation(s.header).Draw(t, "order")
	case 5:
		path, query, _ := strings.Cut(s.target, "?")
		s.target = path + "?" + strings.Join(rapid.Permutation(strings.Split(query, "&")).Draw(t, "order"), "&")
	}
	return &s
}

// FuzzKey holds the key of two raw requests to the reference.
func FuzzKey(f *testing.F) {
	f.Add("/a?x=1", "one", "X-Host: a", "/a?x=1&y=2", "ONE:80", "Cookie: a=1")
	f.Add("/a?a=1|c3:b=2", "one", "Cookie: a=1; b", "/a", "one", "Forwarded: for=x;host=y")
	f.Add("http://one/", "one", "", "/", "one", "")
	f.Fuzz(func(t *testing.T, ta, ha, la, tb, hb, lb string) {
		a, errA := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + ta + " HTTP/1.1\r\nHost: " + ha + "\r\n" + la + "\r\n\r\n")))
		b, errB := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + tb + " HTTP/1.1\r\nHost: " + hb + "\r\n" + lb + "\r\n\r\n")))
		if errA != nil || errB != nil {
			return
		}
		for _, r := range []*http.Request{a, b} {
			// The reference knows some of the poisonous headers only.
			for _, name := range poisonHeaders {
				if !slices.Contains([]string{"Forwarded", "Front-End-Https", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Host", "X-Url-Scheme", "X-Original-Url"}, name) {
					delete(r.Header, name)
				}
			}
		}
		for name, o := range keyOptions {
			p := &Cache{site: &site{opts: o, filtersQuery: len(o.IgnoreParams)+len(o.OnlyParams) > 0}}
			ka, oka := p.keyOf(a)
			kb, okb := p.keyOf(b)
			if !oka || !okb {
				continue
			}
			if pa, pb := reference(&o, a), reference(&o, b); (ka == kb) != (pa == pb) {
				t.Errorf("%s: keys are equal: %v\n%q\n%q\n%s\n%s", name, ka == kb, ka, kb, pa, pb)
			}
		}
	})
}

// TestWhatIsHiddenIsNotKeyed: what the handler sees of the URL is all that the key holds of it.
func TestWhatIsHiddenIsNotKeyed(t *testing.T) {
	p := testPages(t, keyOptions["ignore"])
	rapid.Check(t, func(t *rapid.T) {
		a := drawRequest(t, nil).request(t)
		if a == nil {
			t.Skip("no request")
		}
		key, ok := p.keyOf(a)
		if !ok {
			return
		}
		seen := p.visible(a)
		if again, _ := p.keyOf(seen); again != key {
			t.Fatalf("the request is keyed by\n%q, what the handler sees of it by\n%q", key, again)
		}
		if target, path := seen.RequestURI, seen.URL.EscapedPath(); sameTarget(a, a.URL.EscapedPath()) != sameTarget(seen, path) {
			t.Fatalf("%q has become %q", a.RequestURI, target)
		}
	})
}

func TestClassesOfHeaders(t *testing.T) {
	for _, name := range poisonHeaders {
		if name != http.CanonicalHeaderKey(name) || classify(name) != headerPoison {
			t.Errorf("%s is not treated as what it is", name)
		}
	}
	if !slices.IsSorted(poisonHeaders[:]) {
		t.Error("the list is not sorted")
	}
	for name, want := range map[string]headerClass{
		"": headerPlain, "X": headerPlain, "Accept": headerPlain, "Authorization": headerAuthorization, "Cookie": headerCookie,
		"Cookie2": headerPlain, "If-None-Match": headerConditional, "If-Modified-Since": headerConditional,
		"If-Match": headerPrecondition, "If-Unmodified-Since": headerPrecondition, "If-Range": headerPlain, "Range": headerRange,
		"Upgrade": headerUpgrade, "Upgrade-Insecure-Requests": headerPlain, "X-Http-Method-Override": headerOverride,
		"X-Http-Method": headerOverride, "X-Method-Override": headerOverride, "X-Forwarded-For": headerPlain,
	} {
		if got := classify(name); got != want {
			t.Errorf("%q is of class %d, want %d", name, got, want)
		}
	}
}

// TestCookiesThatAreSeenAreKeyed: two requests whose handlers see different cookies, beside those that no
// page depends on, do not share a page.
func TestCookiesThatAreSeenAreKeyed(t *testing.T) {
	p := testPages(t, Options{VaryCookies: []string{"a", "b"}, IgnoreCookies: []string{"c"}})
	piece := rapid.SampledFrom([]string{"a", "b", "c", "=", ";", " ", "\t", "1", "\"", ",", "a=1", "; b=2"})
	line := rapid.Map(rapid.SliceOfN(piece, 0, 6), func(s []string) string { return strings.Join(s, "") })
	seen := func(r *http.Request) string {
		return fmt.Sprint(r.CookiesNamed("a"), r.CookiesNamed("b"))
	}
	rapid.Check(t, func(t *rapid.T) {
		a := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/"}, Header: http.Header{}}
		b := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/"}, Header: http.Header{}}
		for _, r := range []*http.Request{a, b} {
			if lines := rapid.SliceOfN(line, 0, 2).Draw(t, "lines"); len(lines) > 0 {
				r.Header["Cookie"] = lines
			}
		}
		ka, oka := p.keyOf(a)
		kb, okb := p.keyOf(b)
		if oka && okb && ka == kb && seen(a) != seen(b) {
			t.Fatalf("%q and %q share the key %q", a.Header, b.Header, ka)
		}
		for _, r := range []*http.Request{a, b} {
			if _, ok := p.keyOf(r); !ok {
				continue
			}
			for _, c := range r.Cookies() {
				if c.Name != "a" && c.Name != "b" && c.Name != "c" {
					t.Fatalf("the cookie %q of %q is neither keyed nor ignored", c.Name, r.Header)
				}
			}
		}
	})
}
