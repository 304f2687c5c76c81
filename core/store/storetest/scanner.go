package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/strata-cache/strata/core/store"
)

// scannerCases compare sets: a cursor of a server may show a key again.
func scannerCases() []testCase[store.Scanner] {
	cases := []testCase[store.Scanner]{
		{"of an empty store", func(b box, c store.Scanner) {
			b.wantScan(c, "")
			b.wantScan(c, "a")
		}},
		{"the empty prefix means all", func(b box, c store.Scanner) {
			for _, k := range oddKeys() {
				b.set(k, entry("v"))
			}
			b.wantScan(c, "", oddKeys()...)
		}},
		{"shows stale entries and counters", func(b box, c store.Scanner) {
			b.set("a", stale("v"))
			want := []string{"a"}
			if _, ok := store.As[store.Counter](b.s); ok {
				b.set("c", counter("1", 0))
				want = append(want, "c")
			}
			b.wantScan(c, "", want...)
		}},
		{"does not show what was deleted or cleared", func(b box, c store.Scanner) {
			for _, k := range []string{"a", "b", "c:1", "c:2"} {
				b.set(k, entry("v"))
			}
			b.wantDeleted(1, "a")
			b.clear("c:")
			b.wantScan(c, "", "b")
		}},
		{"three thousand keys", func(b box, c store.Scanner) {
			var want []string
			for i := range 3000 {
				want = append(want, fmt.Sprint("many:", i))
				b.set(want[i], entry("v"))
			}
			b.set("other", entry("v"))
			b.wantScan(c, "many:", want...)
		}},
		{"can be left early", func(b box, c store.Scanner) {
			for i := range 300 {
				b.set(fmt.Sprint("k", i), entry("v"))
			}
			seen := 0
			for k, err := range c.Scan(b.ctx, "k") {
				if err != nil || !strings.HasPrefix(k, "k") {
					b.t.Fatalf("Scan yields %q, %v", k, err)
				}
				if seen++; seen == 3 {
					break
				}
			}
			if seen != 3 {
				b.t.Errorf("%d keys before the break, want 3", seen)
			}
			b.wantValue("k0", "v")
		}},
		{"the same sequence can be run twice", func(b box, c store.Scanner) {
			b.set("a", entry("v"))
			seq := c.Scan(b.ctx, "")
			for range 2 {
				n := 0
				for k, err := range seq {
					if k != "a" || err != nil {
						b.t.Errorf("Scan yields %q, %v", k, err)
					}
					n++
				}
				if n == 0 {
					b.t.Error("Scan yields nothing")
				}
			}
		}},
		{"the loop may use the store", func(b box, c store.Scanner) {
			for i := range 300 {
				b.set(fmt.Sprint("k", i), entry("v"))
			}
			for k, err := range c.Scan(b.ctx, "k") {
				if err != nil {
					b.t.Fatalf("Scan: %v", err)
				}
				b.get(k)
				if _, err := b.s.Delete(b.ctx, k); err != nil {
					b.t.Fatalf("Delete within a Scan: %v", err)
				}
			}
			b.set("k0", entry("again"))
			b.wantValue("k0", "again")
		}},
		{"ends when the context does", func(b box, c store.Scanner) {
			for i := range 300 {
				b.set(fmt.Sprint("k", i), entry("v"))
			}
			ctx, cancel := context.WithCancel(b.ctx)
			defer cancel()
			failed := false
			for _, err := range c.Scan(ctx, "") {
				if failed {
					b.t.Fatal("Scan goes on after an error")
				}
				if err != nil {
					failed = true
					if !errors.Is(err, context.Canceled) {
						b.t.Errorf("Scan: %v", err)
					}
				}
				cancel()
			}
		}},
	}
	for _, p := range prefixes() {
		cases = append(cases, testCase[store.Scanner]{
			fmt.Sprintf("only its own: %+q", short(p.prefix)),
			func(b box, c store.Scanner) {
				mine := members(p.prefix)
				for _, k := range slices.Concat(mine, p.decoys) {
					b.set(k, entry(k))
				}
				b.wantScan(c, p.prefix, mine...)
			},
		})
	}
	return cases
}

func (b box) wantScan(c store.Scanner, prefix string, want ...string) {
	b.t.Helper()
	got := map[string]bool{}
	for k, err := range c.Scan(b.ctx, prefix) {
		if err != nil {
			b.t.Fatalf("Scan(%q): %v", short(prefix), err)
		}
		got[k] = true
	}
	for _, k := range want {
		if !got[k] {
			b.t.Errorf("Scan(%q) does not show %q", short(prefix), short(k))
		}
		delete(got, k)
	}
	for _, k := range slices.Sorted(maps.Keys(got)) {
		b.t.Errorf("Scan(%q) shows %q", short(prefix), short(k))
	}
}
