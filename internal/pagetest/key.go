package pagetest

import (
	"io"
	"net/http"
	"testing"

	"github.com/strata-cache/strata/core/page"
)

// pair says whether two requests share a page.
type pair struct {
	name           string
	target, other  string
	header, second []string // of the first and the second request
	shared         bool
	options        page.Options
}

var pairs = []pair{
	{name: "the same URL", target: "/a?x=1", other: "/a?x=1", shared: true},
	{name: "another path", target: "/a", other: "/b"},
	{name: "case of the path", target: "/a", other: "/A"},
	{name: "encoding of the path", target: "/a-b", other: "/a%2Db"},
	{name: "encoded slash", target: "/a/b", other: "/a%2Fb"},
	{name: "trailing slash", target: "/a", other: "/a/"},
	{name: "doubled slash", target: "/a/b", other: "/a//b"},
	{name: "order of parameters", target: "/a?x=1&y=2", other: "/a?y=2&x=1", shared: true},
	{name: "order within one name", target: "/a?x=1&x=2", other: "/a?x=2&x=1"},
	{name: "order with an escaped name", target: "/a?x=1&%78=2", other: "/a?%78=2&x=1"},
	{name: "value", target: "/a?x=1", other: "/a?x=2"},
	{name: "encoding of a value", target: "/a?x=a", other: "/a?x=%61"},
	{name: "semicolon is no separator", target: "/a?x=1&y=2", other: "/a?x=1;y=2"},
	{name: "empty and absent query", target: "/a", other: "/a?"},
	{name: "empty value and no value", target: "/a?x", other: "/a?x="},
	{name: "query that looks like a part of the key", target: "/a?x=1", header: []string{"X-Forwarded-Host: evil"}, other: "/a?x=1|xX-Forwarded-Host*1,4:evil"},
	{name: "more than sixteen parameters", target: "/a?a=1&b=2&c=3&d=4&e=5&f=6&g=7&h=8&i=9&j=10&k=11&l=12&m=13&n=14&o=15&p=16&q=17", other: "/a?q=17&p=16&o=15&n=14&m=13&l=12&k=11&j=10&i=9&h=8&g=7&f=6&e=5&d=4&c=3&b=2&a=1", shared: true},
	{name: "host", target: "/a", header: []string{"Host: one.example"}, other: "/a", second: []string{"Host: two.example"}},
	{name: "case of the host", target: "/a", header: []string{"Host: one.example"}, other: "/a", second: []string{"Host: ONE.example"}, shared: true},
	{name: "default port", target: "/a", header: []string{"Host: one.example"}, other: "/a", second: []string{"Host: one.example:80"}, shared: true},
	{name: "other port", target: "/a", header: []string{"Host: one.example"}, other: "/a", second: []string{"Host: one.example:443"}},
	{name: "X-Forwarded-Host", target: "/a", other: "/a", second: []string{"X-Forwarded-Host: evil"}},
	{name: "X-Forwarded-Proto", target: "/a", other: "/a", second: []string{"X-Forwarded-Proto: https"}},
	{name: "X-Forwarded-Prefix", target: "/a", other: "/a", second: []string{"X-Forwarded-Prefix: /evil"}},
	{name: "X-Forwarded-Port", target: "/a", other: "/a", second: []string{"X-Forwarded-Port: 1"}},
	{name: "X-Forwarded-Scheme", target: "/a", other: "/a", second: []string{"X-Forwarded-Scheme: nothttps"}},
	{name: "X-Host", target: "/a", other: "/a", second: []string{"X-Host: evil"}},
	{name: "X-Original-URL", target: "/a", other: "/a", second: []string{"X-Original-URL: /admin"}},
	{name: "X-Rewrite-URL", target: "/a", other: "/a", second: []string{"X-Rewrite-URL: /admin"}},
	{name: "Forwarded host", target: "/a", other: "/a", second: []string{`Forwarded: for=1.2.3.4;host="evil"`}},
	{name: "Forwarded proto", target: "/a", header: []string{"Forwarded: proto=http"}, other: "/a", second: []string{"Forwarded: proto=https"}},
	{name: "Forwarded for differs for everybody", target: "/a", header: []string{"Forwarded: for=1.2.3.4;proto=http"}, other: "/a", second: []string{"Forwarded: for=5.6.7.8;proto=http"}, shared: true},
	{name: "X-Forwarded-For", target: "/a", other: "/a", second: []string{"X-Forwarded-For: 1.2.3.4"}, shared: true},
	{name: "X-Forwarded-Protocol", target: "/a", other: "/a", second: []string{"X-Forwarded-Protocol: https"}},
	{name: "X-Forwarded-Ssl", target: "/a", other: "/a", second: []string{"X-Forwarded-Ssl: on"}},
	{name: "X-Url-Scheme", target: "/a", other: "/a", second: []string{"X-Url-Scheme: https"}},
	{name: "Front-End-Https", target: "/a", other: "/a", second: []string{"Front-End-Https: on"}},
	{name: "X-Forwarded-Server", target: "/a", other: "/a", second: []string{"X-Forwarded-Server: evil"}},
	{name: "X-Forwarded-Uri", target: "/a", other: "/a", second: []string{"X-Forwarded-Uri: /admin"}},
	{name: "X-Forwarded-Path", target: "/a", other: "/a", second: []string{"X-Forwarded-Path: /admin"}},
	{name: "X-Original-Host", target: "/a", other: "/a", second: []string{"X-Original-Host: evil"}},
	{name: "X-HTTP-Host-Override", target: "/a", other: "/a", second: []string{"X-HTTP-Host-Override: evil"}},
	{name: "Forwarded, a host behind a blank", target: "/a", header: []string{"Forwarded: for=1.2.3.4"}, other: "/a", second: []string{"Forwarded: for=1.2.3.4 host=evil"}},
	{name: "Forwarded, a host in an address", target: "/a", header: []string{"Forwarded: for=1.2.3.4"}, other: "/a", second: []string{"Forwarded: for=host=evil"}},
	{name: "one line or two", target: "/a", header: []string{"X-Host: a,b"}, other: "/a", second: []string{"X-Host: a", "X-Host: b"}},
	{name: "Cache-Control of the request is ignored", target: "/a", other: "/a", second: []string{"Cache-Control: no-cache", "Pragma: no-cache"}, shared: true},
	{name: "Vary option, absent and empty", target: "/a", other: "/a", second: []string{"Accept-Language:"}, options: page.Options{Vary: []string{"accept-language"}}},
	{name: "Vary option, value", target: "/a", header: []string{"Accept-Language: de"}, other: "/a", second: []string{"Accept-Language: fr"}, options: page.Options{Vary: []string{"accept-language"}}},
	{name: "VaryBy", target: "/a", header: []string{"X-Tenant: 1"}, other: "/a", second: []string{"X-Tenant: 2"}, options: page.Options{VaryBy: func(r *http.Request) string { return r.Header.Get("X-Tenant") }}},
	{name: "ignored parameter", target: "/a?utm_source=x&y=1", other: "/a?y=1", shared: true, options: page.Options{IgnoreParams: []string{"utm_*"}}},
	{name: "ignored parameter in disguise", target: "/a?%75tm_source=x&y=1", other: "/a?y=1", shared: true, options: page.Options{IgnoreParams: []string{"utm_*"}}},
	{name: "ignored parameter alone, and none", target: "/a?utm_source=x", other: "/a", shared: true, options: page.Options{IgnoreParams: []string{"utm_*"}}},
	{name: "only some parameters", target: "/a?page=2&evil=1", other: "/a?page=2&evil=2", shared: true, options: page.Options{OnlyParams: []string{"page"}}},
	{name: "analytics cookies", target: "/a", header: []string{"Cookie: _ga=1; _gid=2; __utma=3; _fbp=4; _gat_x=5"}, other: "/a", second: []string{"Cookie: _ga=9"}, shared: true},
	{name: "ignored cookie", target: "/a", header: []string{"Cookie: theme=1"}, other: "/a", shared: true, options: page.Options{IgnoreCookies: []string{"theme"}}},
	{name: "keyed cookie", target: "/a", header: []string{"Cookie: lang=de"}, other: "/a", second: []string{"Cookie: lang=fr"}, options: page.Options{VaryCookies: []string{"lang"}}},
	{name: "keyed cookie, the same value", target: "/a", header: []string{"Cookie: lang=de; _ga=1"}, other: "/a", second: []string{"Cookie: _ga=2; lang=de"}, shared: true, options: page.Options{VaryCookies: []string{"lang"}}},
	{name: "keyed cookie without a value, and none", target: "/a", header: []string{"Cookie: lang"}, other: "/a", options: page.Options{VaryCookies: []string{"lang"}}},
	{name: "keyed cookie with a blank, and none", target: "/a", header: []string{"Cookie: lang =de"}, other: "/a", options: page.Options{VaryCookies: []string{"lang"}}},
	{name: "keyed cookie on two lines", target: "/a", header: []string{"Cookie: lang=de", "Cookie: lang=fr"}, other: "/a", second: []string{"Cookie: lang=de"}, options: page.Options{VaryCookies: []string{"lang"}}},
	{name: "two keyed cookies, framed", target: "/a", header: []string{"Cookie: a=1; b=2"}, other: "/a", second: []string{"Cookie: a=1|c3:b=2"}, options: page.Options{VaryCookies: []string{"a", "b"}}},
	{name: "hidden cookies", target: "/a", header: []string{"Cookie: session=1"}, other: "/a", second: []string{"Cookie: session=2"}, shared: true, options: page.Options{Cookies: page.CookiesIgnore}},
}

var keyCases = func() []testCase {
	var cases []testCase
	for _, p := range pairs {
		cases = append(cases, testCase{p.name, func(t *testing.T, build Build) {
			app := start(t, build, options{page: p.options, setup: Setup{Handler: echoHandler}})
			app.Get(p.target, p.header...)
			app.Get(p.other, p.second...)
			want := int64(2)
			if p.shared {
				want = 1
			}
			app.WantRuns(want)
			if !app.Get(p.target, p.header...).Hit() || !app.Get(p.other, p.second...).Hit() {
				t.Error("a repeated request was no hit")
			}
			app.WantRuns(want)
		}})
	}
	return append(cases, testCase{"what is not in the key is not seen", func(t *testing.T, build Build) {
		app := start(t, build, options{
			page: page.Options{IgnoreParams: []string{"utm_*"}, Cookies: page.CookiesIgnore},
			setup: Setup{Handler: func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, r.URL.RawQuery+r.RequestURI+r.FormValue("utm_x")+r.Header.Get("Cookie"))
			}},
		})
		if a := app.Get("/a?x=1&utm_x=secret", "Cookie: a=secret"); a.Text != "x=1/a?x=1" {
			t.Errorf("the handler saw %q", a.Text)
		}
	}})
}()
