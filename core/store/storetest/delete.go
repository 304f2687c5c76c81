package storetest

import (
	"fmt"
	"strings"

	"github.com/strata-cache/strata/core/store"
)

func deleteCases() []testCase[store.Store] {
	return []testCase[store.Store]{
		{"removes and counts", func(b box, _ store.Store) {
			for _, k := range []string{"a", "b", "c"} {
				b.set(k, entry(k))
			}
			b.wantDeleted(2, "a", "b")
			b.wantMiss("a")
			b.wantMiss("b")
			b.wantValue("c", "c")
			b.wantDeleted(0, "a", "b")
		}},
		{"keys that are not there are no error", func(b box, _ store.Store) {
			b.set("a", entry("a"))
			b.wantDeleted(0, "nothing")
			b.wantDeleted(1, "nothing", "a", "nothing either")
		}},
		{"an empty list is no error", func(b box, _ store.Store) {
			b.set("a", entry("a"))
			b.wantDeleted(0)
			b.wantValue("a", "a")
		}},
		{"a key named twice counts once", func(b box, _ store.Store) {
			b.set("a", entry("a"))
			b.wantDeleted(1, "a", "a")
		}},
		{"stale entries go but do not count", func(b box, s store.Store) {
			b.set("stale", stale("s"))
			b.set("fresh", entry("f"))
			b.wantDeleted(1, "stale", "fresh")
			b.wantMiss("stale")
			b.wantMiss("fresh")
		}},
		{"gone entries do not count", func(b box, _ store.Store) {
			end := nowMs() + 30
			b.set("k", &store.Entry{Value: []byte("v"), Times: store.Times{Created: nowMs(), Fresh: end, Gone: end}})
			b.wantExpired("k", end)
			b.wantDeleted(0, "k")
		}},
		{"entries without an end count", func(b box, _ store.Store) {
			b.set("k", &store.Entry{Value: []byte("v")})
			b.wantDeleted(1, "k")
		}},
		{"a prefix or a pattern is only a key", func(b box, _ store.Store) {
			for _, k := range []string{"ab", "abc", "a*", "a"} {
				b.set(k, entry(k))
			}
			b.wantDeleted(1, "a*")
			for _, k := range []string{"ab", "abc", "a"} {
				b.wantValue(k, k)
			}
		}},
		{"two thousand keys at once", func(b box, s store.Store) {
			var keys []string
			for i := range 2000 {
				keys = append(keys, fmt.Sprintf("key:%d:%s", i, strings.Repeat("x", 40)))
			}
			for _, k := range keys[:200] {
				b.set(k, entry("v"))
			}
			b.wantDeleted(200, keys...)
			b.wantMiss(keys[0])
			b.wantMiss(keys[199])
		}},
		{"a deleted key can be set again", func(b box, _ store.Store) {
			b.set("k", entry("one"))
			b.wantDeleted(1, "k")
			b.set("k", entry("two"))
			b.wantValue("k", "two")
		}},
	}
}

func (b box) wantDeleted(want int, keys ...string) {
	b.t.Helper()
	if n, err := b.s.Delete(b.ctx, keys...); n != want || err != nil {
		b.t.Errorf("Delete of %d keys = %d, %v, want %d", len(keys), n, err, want)
	}
}
