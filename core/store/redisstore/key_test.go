package redisstore

import (
	"strings"
	"testing"
)

func TestEscape(t *testing.T) {
	tests := []struct{ key, form string }{
		{"plain", "plain"},
		{"a:b c\x00\xff", "a:b c\x00\xff"},
		{"%", "%25"},
		{"{tag}x", "%7Btag%7Dx"},
		{"%7B", "%257B"},
		{"}{%%", "%7D%7B%25%25"},
	}
	for _, tt := range tests {
		if got := escape(tt.key); got != tt.form {
			t.Errorf("escape(%q) = %q, want %q", tt.key, got, tt.form)
		}
		if got, ok := unescape(tt.form); got != tt.key || !ok {
			t.Errorf("unescape(%q) = %q, %v, want %q", tt.form, got, ok, tt.key)
		}
	}
	for _, s := range []string{"", "%", "%2", "a%zz", "%7b", "%41", "{", "a}b", "%25%"} {
		if key, ok := unescape(s); ok {
			t.Errorf("unescape(%q) = %q, though it is no key's form", s, key)
		}
	}
}

func FuzzEscape(f *testing.F) {
	for _, s := range []string{"", "%", "{a}", "%7B", "%25", "\xff%"} {
		f.Add(s, "x")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		form := escape(a + b)
		if strings.ContainsAny(form, "{}") || !strings.HasPrefix(form, escape(a)) {
			t.Errorf("escape(%q) = %q, of its beginning %q", a+b, form, escape(a))
		}
		if got, ok := unescape(form); a+b != "" && (!ok || got != a+b) {
			t.Errorf("%q became %q by way of %q", a+b, got, form)
		}
		if key, ok := unescape(a); ok && escape(key) != a {
			t.Errorf("%q was taken for the form of %q", a, key)
		}
	})
}
