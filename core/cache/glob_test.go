package cache

import (
	"path"
	"strings"
	"testing"
	"time"
)

func TestGlob(t *testing.T) {
	tests := []struct {
		pattern   string
		yes, no   []string
		prefix    string
		malformed bool
	}{
		{pattern: "", yes: []string{""}, no: []string{"a"}},
		{pattern: "abc", yes: []string{"abc"}, no: []string{"ab", "abcd"}, prefix: "abc"},
		{pattern: "*", yes: []string{"", "a", "a/b:c"}},
		{pattern: "a*", yes: []string{"a", "ab"}, no: []string{"", "ba"}, prefix: "a"},
		{pattern: "*a*b*", yes: []string{"ab", "xaxbx", "aab"}, no: []string{"ba", "a"}},
		{pattern: "u:?:*", yes: []string{"u:1:", "u:1:x"}, no: []string{"u::x", "u:11:x"}, prefix: "u:"},
		{pattern: "[a-c]x", yes: []string{"ax", "bx", "cx"}, no: []string{"dx", "x"}},
		{pattern: "[^a-c]", yes: []string{"d", "^"}, no: []string{"a", ""}},
		{pattern: "[!a]", yes: []string{"b"}, no: []string{"a"}},
		{pattern: "[]a]", yes: []string{"]", "a"}, no: []string{"b"}},
		{pattern: "[a-]", yes: []string{"a", "-"}, no: []string{"b"}},
		{pattern: `[\]x]`, yes: []string{"]", "x"}, no: []string{`\`}},
		{pattern: `[a-\d]`, yes: []string{"a", "c", "d"}, no: []string{`\`, "e"}},
		{pattern: "[c-a]", yes: []string{"b"}, no: []string{"d"}},
		{pattern: `a\*b`, yes: []string{"a*b"}, no: []string{"axb", `a\*b`}, prefix: "a*b"},
		{pattern: `\\`, yes: []string{`\`}, prefix: `\`},
		{pattern: "a?c*[d]", yes: []string{"abcd", "abcxd"}, no: []string{"abc"}, prefix: "a"},
		{pattern: "?", yes: []string{"\xff"}, no: []string{"ü"}}, // bytes
		{pattern: "[a", malformed: true},
		{pattern: "[", malformed: true},
		{pattern: "[]", malformed: true},
		{pattern: `[a\`, malformed: true},
		{pattern: `a\`, malformed: true},
	}
	for _, tt := range tests {
		g, err := compileGlob(tt.pattern)
		if (err != nil) != tt.malformed {
			t.Errorf("%q: error %v", tt.pattern, err)
		}
		if err != nil {
			continue
		}
		if g.prefix != tt.prefix {
			t.Errorf("%q: prefix %q", tt.pattern, g.prefix)
		}
		for _, s := range tt.yes {
			if !g.match(s) {
				t.Errorf("%q does not match %q", tt.pattern, s)
			}
		}
		for _, s := range tt.no {
			if g.match(s) {
				t.Errorf("%q matches %q", tt.pattern, s)
			}
		}
	}
}

// FuzzGlob compares with path.Match where the two languages are the same: no '/', no sets (which differ
// in detail), and only single-byte characters.
func FuzzGlob(f *testing.F) {
	for _, s := range []string{"", "*", "a*b?c", `\*`, "a[b-d]e", "[", "**a**", strings.Repeat("*a", 200)} {
		f.Add(s, strings.Repeat("a", 50))
		f.Add(s, "abcde")
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if len(pattern) > 1000 || len(s) > 1000 {
			return
		}
		start := time.Now()
		g, err := compileGlob(pattern)
		if err != nil {
			return
		}
		got := g.match(s)
		if took := time.Since(start); took > 5*time.Second {
			t.Fatalf("%q took %v", pattern, took)
		}
		if got && !strings.HasPrefix(s, g.prefix) {
			t.Fatalf("%q matches %q without its prefix %q", pattern, s, g.prefix)
		}
		if strings.ContainsAny(pattern, "/[") || strings.Contains(s, "/") || !ascii(pattern) || !ascii(s) || strings.Count(pattern, "*") > 6 {
			return
		}
		if wanted, err := path.Match(pattern, s); err != nil || got != wanted {
			t.Fatalf("%q on %q: %v; path.Match: %v, %v", pattern, s, got, wanted, err)
		}
	})
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
