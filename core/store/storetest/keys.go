package storetest

import (
	"fmt"
	"strings"

	"github.com/strata-cache/strata/core/store"
)

// oddKeys are all different keys, many of them alike to a backend that folds, trims, escapes or
// truncates.
func oddKeys() []string {
	keys := []string{
		"plain", "Plain", "PLAIN",
		" ", "  ", "a", "A", "a ", " a", "a b", "a  b", "a+b", "a%20b", "a_b", "a\tb", "a\nb", "a\r\nb",
		"a\x00", "a\x00b", "\x00", "\x00\x00", "\x01", "\x1b[0m", "\x7f",
		"*", "?", "[", "]", "[a]", "[^a]", "a*", "a?", "\\", "\\*", "\\\\", "%", "_", "a%", "a\\%",
		"{", "}", "{}", "{a}", "{a}b", "}{", "a{b}c{d}",
		"/", "//", "a/b", "../a", ".", "..", "a:b", "a::b", "C:\\x", "con", "nul",
		"'", "''", "\"", "`", "';--", "$1", "${a}", "#", "&", "a=b", "é", "e\u0301", "É", "ß", "ss", "ключ", "键", "🔑",
		"\u200b", "\ufeffa", "\ufffd", "\xff", "\xfe", "\xff\xff", "\xc3", "\xc3(", "a\xffb", "a\ufffdb", "\xed\xa0\x80",
		"1", "01", "1.0", "+1", "nil", "null",
	}
	for _, n := range []int{128, 249, 250, 251, 255, 256, 257, 512, 1024} {
		keys = append(keys, strings.Repeat("k", n), strings.Repeat("k", n-1)+"l")
	}
	return append(keys, strings.Repeat("\xff", 1024), strings.Repeat("\x00", 1024), strings.Repeat("é", 512))
}

// keyCases: keys are non-empty strings of any bytes.
func keyCases() []testCase[store.Store] {
	return []testCase[store.Store]{
		{"any bytes come back under their own key", func(b box, _ store.Store) {
			keys := oddKeys()
			for i, k := range keys {
				b.set(k, entry(fmt.Sprintf("%d of %q", i, k)))
			}
			for i, k := range keys {
				b.wantValue(k, fmt.Sprintf("%d of %q", i, k))
			}
		}},
		{"any bytes are deleted alone", func(b box, s store.Store) {
			keys := oddKeys()
			for _, k := range keys {
				b.set(k, entry(k))
			}
			for i, k := range keys {
				if n, err := s.Delete(b.ctx, k); n != 1 || err != nil {
					b.t.Fatalf("Delete(%q) = %d, %v, want 1", short(k), n, err)
				}
				b.wantMiss(k)
				if i+1 < len(keys) {
					b.wantValue(keys[i+1], keys[i+1])
				}
			}
		}},
		{"a key is not kept by reference", func(b box, _ store.Store) {
			buf := []byte("key-1")
			b.set(string(buf), entry("one"))
			copy(buf, "key-2")
			b.wantValue("key-1", "one")
			b.wantMiss("key-2")
		}},
	}
}
