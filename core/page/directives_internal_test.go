package page

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseCacheControl(t *testing.T) {
	age := func(n int64) seconds { return seconds{n, true} }
	for _, tt := range []struct {
		lines []string
		want  directives
	}{
		{nil, directives{}},
		{[]string{""}, directives{}},
		{[]string{",", " , "}, directives{}},
		{[]string{"no-store"}, directives{noStore: true}},
		{[]string{" NO-STORE , Public"}, directives{noStore: true, public: true}},
		{[]string{"private", "no-cache"}, directives{private: true, noCache: true}},
		{[]string{`private="x, no-store"`}, directives{private: true}},
		{[]string{`private="x, no-store`}, directives{private: true, noStore: true}},
		{[]string{`x="\", no-store`}, directives{noStore: true}},
		{[]string{`x="\"", no-store`}, directives{noStore: true}},
		{[]string{`x="a", y="b, private", no-store`}, directives{noStore: true}},
		{[]string{`"a, no-store"`}, directives{}}, // no-store" is no directive
		{[]string{`x"y, no-store, z"`}, directives{noStore: true}},
		{[]string{"max-age=10"}, directives{maxAge: age(10)}},
		{[]string{"max-age=10, max-age=5"}, directives{maxAge: age(5)}},
		{[]string{"max-age=5", "max-age=10"}, directives{maxAge: age(5)}},
		{[]string{`max-age="10"`}, directives{maxAge: age(10)}},
		{[]string{`max-age="1\0"`}, directives{maxAge: age(10)}},
		{[]string{"max-age = 10"}, directives{maxAge: age(10)}},
		{[]string{"max-age"}, directives{maxAge: age(0)}},
		{[]string{"max-age=-1"}, directives{maxAge: age(0)}},
		{[]string{"max-age=1.5"}, directives{maxAge: age(0)}},
		{[]string{"max-age=10; private"}, directives{maxAge: age(0)}},
		{[]string{"max-age=2147483648"}, directives{maxAge: age(1 << 31)}},
		{[]string{"max-age=99999999999999999999999"}, directives{maxAge: age(1 << 31)}},
		{[]string{"s-maxage=1, must-revalidate"}, directives{sMaxAge: age(1), mustRevalidate: true}},
		{[]string{"no-store=x"}, directives{noStore: true}},
		{[]string{"nostore, no-store-x, x-no-store"}, directives{}},
	} {
		if got := parseCacheControl(tt.lines); got != tt.want {
			t.Errorf("%q: %+v, want %+v", tt.lines, got, tt.want)
		}
	}
}

// TestDirectivesAreFoundAnywhere: whatever stands around it that is well-formed, a directive is found; and
// nothing in a quoted argument is taken for one.
func TestDirectivesAreFoundAnywhere(t *testing.T) {
	token := rapid.StringMatching(`[a-z!#$%&'*+.^_|~-]{1,6}`)
	quoted := rapid.Map(rapid.StringMatching(`([ a-z,=;]|\\.){0,8}`), func(s string) string { return `"` + s + `"` })
	member := rapid.Custom(func(t *rapid.T) string {
		name := token.Draw(t, "name")
		switch rapid.IntRange(0, 2).Draw(t, "argument") {
		case 0:
			return "x-" + name
		case 1:
			return "x-" + name + "=" + token.Draw(t, "token")
		default:
			return "x-" + name + "=" + quoted.Draw(t, "quoted")
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		members := rapid.SliceOfN(member, 0, 4).Draw(t, "members")
		if d := parseCacheControl([]string{strings.Join(members, " ,")}); d != (directives{}) {
			t.Fatalf("%q: %+v", members, d)
		}
		at := rapid.IntRange(0, len(members)).Draw(t, "at")
		members = append(members[:at:at], append([]string{"No-Store"}, members[at:]...)...)
		if d := parseCacheControl([]string{strings.Join(members, ", ")}); !d.noStore {
			t.Fatalf("%q: %+v", members, d)
		}
	})
}

func FuzzCacheControl(f *testing.F) {
	f.Add(`max-age=60, private="a, b"`, "no-store")
	f.Add(`x="\"`, `s-maxage=99999999999999999999`)
	f.Fuzz(func(t *testing.T, a, b string) {
		d := parseCacheControl([]string{a, b})
		for _, s := range []seconds{d.maxAge, d.sMaxAge} {
			if s.n < 0 || s.n > maxSeconds || !s.set && s.n != 0 {
				t.Errorf("%d seconds", s.n)
			}
		}
		if unquoted := !strings.Contains(a+b, `"`); unquoted {
			// Without quotes a list is split at its commas, and that is all.
			want := false
			for _, line := range []string{a, b} {
				for m := range strings.SplitSeq(line, ",") {
					name, _, _ := strings.Cut(m, "=")
					want = want || strings.EqualFold(strings.Trim(name, " \t"), "no-store")
				}
			}
			if d.noStore != want {
				t.Errorf("%q, %q: no-store is %v", a, b, d.noStore)
			}
		}
		if one := parseCacheControl([]string{a}); one.noStore && !d.noStore || one.private && !d.private || one.noCache && !d.noCache {
			t.Errorf("%q hides what %q says", b, a)
		}
	})
}

func TestParseDate(t *testing.T) {
	want := time.Date(1994, 11, 6, 8, 49, 37, 0, time.UTC)
	for _, s := range []string{
		"Sun, 06 Nov 1994 08:49:37 GMT", "sun, 06 nov 1994 08:49:37 gmt", "SUN, 06 NOV 1994 08:49:37 GMT",
		"Sunday, 06-Nov-94 08:49:37 GMT", "sunday, 06-NOV-94 08:49:37 gmt", "Sun Nov  6 08:49:37 1994",
	} {
		if got, ok := parseDate(s); !ok || !got.Equal(want) {
			t.Errorf("%q: %v, %v", s, got, ok)
		}
	}
	for _, s := range []string{
		"", "0", "-1", "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 Nov 1994 08:49:37 +0000", "Sun, 06 Nov 1994 08:49:37",
		"Mon, 06 Nov 1994 08:49:37 GMT", "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 8:49:37 GMT", "Sun,  06 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 94 08:49:37 GMT", "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:00:00 GMT", " Sun, 06 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37 GMT ", "ſun, 06 Nov 1994 08:49:37 GMT", "784111777",
	} {
		if got, ok := parseDate(s); ok {
			t.Errorf("%q is taken for %v", s, got)
		}
	}
}

// FuzzDate: what is a date is written as net/http writes it, but for the letters' case.
func FuzzDate(f *testing.F) {
	f.Add("Sun, 06 Nov 1994 08:49:37 GMT")
	f.Add("Sunday, 06-Nov-94 08:49:37 GMT")
	f.Add("Sun Nov  6 08:49:37 1994")
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := parseDate(s)
		if !ok {
			if lax, err := time.Parse(http.TimeFormat, s); err == nil && lax.Format(http.TimeFormat) == s {
				t.Errorf("%q is a date", s)
			}
			return
		}
		if lax, err := http.ParseTime(canonicalDate(s)); err != nil || !lax.Equal(got) {
			t.Errorf("%q: %v, net/http says %v, %v", s, got, lax, err)
		}
	})
}
