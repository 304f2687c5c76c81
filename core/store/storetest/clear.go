package storetest

import (
	"fmt"
	"strings"

	"github.com/strata-cache/strata/core/store"
)

type prefixCase struct {
	prefix string
	decoys []string // keys that do not begin with prefix
}

// prefixes are prefixes with the keys that lie just beside them: those that a pattern language, a
// collation or a careless upper bound would take for theirs.
func prefixes() []prefixCase {
	return []prefixCase{
		{prefix: "shop:1:", decoys: []string{"shop:1", "shop:10:", "shop:2:", "shop:1;", "Shop:1:", "xshop:1:"}},
		{prefix: "a*", decoys: []string{"a", "ab", "a+", "abc"}},
		{prefix: "a?", decoys: []string{"ab", "a"}},
		{prefix: "[ab]", decoys: []string{"a", "b", "[", "[a", "[ab"}},
		{prefix: "[^a]", decoys: []string{"b", "^"}},
		{prefix: "a%", decoys: []string{"a", "ab", "a$"}},
		{prefix: "a_", decoys: []string{"ab", "a", "a-"}},
		{prefix: "a\\", decoys: []string{"a", "ab", "a/", "a]"}},
		{prefix: "\\*", decoys: []string{"*", "\\", "*x"}},
		{prefix: "{t}", decoys: []string{"t", "{t", "{u}"}},
		{prefix: "}", decoys: []string{"{", "|", "~"}},
		{prefix: "A", decoys: []string{"a", "B", "@"}},
		{prefix: "é", decoys: []string{"e", "e\u0301", "É", "\xc3", "\xc3\xaa"}},
		{prefix: "\xc3", decoys: []string{"\xc2\xa9", "\xc4"}},
		{prefix: "\xff", decoys: []string{"\xfe", "\x00", "z"}},
		{prefix: "\xff\xff", decoys: []string{"\xff", "\xff\xfe"}},
		{prefix: "a\xff", decoys: []string{"a", "b", "a\xfe", "b\x00"}},
		{prefix: "\x00", decoys: []string{"\x01", "a"}},
		{prefix: "a\x00", decoys: []string{"a", "a\x01"}},
		{prefix: "a b", decoys: []string{"a", "a ", "a+b", "a%20b"}},
		{prefix: "a/", decoys: []string{"a", "a0", "a."}},
		{prefix: strings.Repeat("p", 300), decoys: []string{strings.Repeat("p", 299), strings.Repeat("p", 299) + "q"}},
	}
}

// members are keys that begin with prefix.
func members(prefix string) []string {
	return []string{prefix, prefix + "x", prefix + "\x00", prefix + "\xff\xff", prefix + "*", prefix + "long:" + strings.Repeat("y", 100)}
}

func clearCases() []testCase[store.Store] {
	cases := []testCase[store.Store]{
		{"the empty prefix means all", func(b box, s store.Store) {
			keys := append(oddKeys(), "stale")
			for _, k := range keys {
				b.set(k, entry(k))
			}
			b.set("stale", stale("s"))
			b.clear("")
			for _, k := range keys {
				b.wantMiss(k)
			}
		}},
		{"nothing there is no error", func(b box, _ store.Store) {
			b.clear("")
			b.clear("nothing:")
		}},
		{"a cleared key can be set again", func(b box, _ store.Store) {
			b.set("a:k", entry("one"))
			b.clear("a:")
			b.set("a:k", entry("two"))
			b.wantValue("a:k", "two")
			b.set("b:k", entry("three"))
			b.clear("")
			b.set("b:k", entry("four"))
			b.wantValue("b:k", "four")
			b.wantMiss("a:k")
		}},
		{"three thousand keys", func(b box, _ store.Store) {
			for i := range 3000 {
				b.set(fmt.Sprint("many:", i), entry("v"))
			}
			b.set("other", entry("o"))
			b.clear("many:")
			for i := range 3000 {
				b.wantMiss(fmt.Sprint("many:", i))
			}
			b.wantValue("other", "o")
		}},
	}
	for _, p := range prefixes() {
		cases = append(cases, testCase[store.Store]{
			fmt.Sprintf("only its own: %+q", short(p.prefix)),
			func(b box, _ store.Store) {
				mine := members(p.prefix)
				for _, k := range append(mine, p.decoys...) {
					b.set(k, entry(k))
				}
				b.clear(p.prefix)
				for _, k := range mine {
					b.wantMiss(k)
				}
				for _, k := range p.decoys {
					b.wantValue(k, k)
				}
			},
		})
	}
	return cases
}

func (b box) clear(prefix string) {
	b.t.Helper()
	if err := b.s.Clear(b.ctx, prefix); err != nil {
		b.t.Fatalf("Clear(%q): %v", short(prefix), err)
	}
}
