package storetest

import (
	"fmt"

	"github.com/strata-cache/strata/core/store"
)

func batcherCases() []testCase[store.Batcher] {
	return []testCase[store.Batcher]{
		{"GetMany keeps the order, nil for a miss", func(b box, c store.Batcher) {
			for _, k := range []string{"a", "b", "c"} {
				b.set(k, entry(k))
			}
			b.wantMany(c, []string{"c", "nothing", "a", "nothing either", "b"}, "c", "", "a", "", "b")
		}},
		{"GetMany repeats what is asked for twice", func(b box, c store.Batcher) {
			b.set("a", entry("a"))
			b.wantMany(c, []string{"a", "x", "a", "x", "a"}, "a", "", "a", "", "a")
		}},
		{"GetMany of none", func(b box, c store.Batcher) {
			b.wantMany(c, nil)
			b.wantMany(c, []string{})
		}},
		{"GetMany returns stale entries and no gone ones", func(b box, c store.Batcher) {
			end := nowMs() + 30
			b.set("gone", &store.Entry{Value: []byte("v"), Times: store.Times{Created: nowMs(), Fresh: end, Gone: end}})
			b.set("stale", stale("stale"))
			b.wantExpired("gone", end)
			b.wantMany(c, []string{"gone", "stale"}, "", "stale")
		}},
		{"GetMany returns every field", func(b box, c store.Batcher) {
			want := full("v")
			times := want.Times
			b.set("k", want)
			got, err := c.GetMany(b.ctx, []string{"k"})
			if err != nil || len(got) != 1 || got[0] == nil {
				b.t.Fatalf("GetMany = %v, %v", got, err)
			}
			want = full("v")
			want.Times = times
			b.wantEqual("k", got[0], want)
		}},
		{"SetMany stores all", func(b box, c store.Batcher) {
			b.set("a", entry("old"))
			times := lasting(nowMs())
			b.setMany(c,
				store.Item{Key: "a", Entry: &store.Entry{Value: []byte("1"), Times: times}},
				store.Item{Key: "b", Entry: &store.Entry{Value: []byte("2"), Times: times, Tags: []string{"t"}}},
				store.Item{Key: "c", Entry: &store.Entry{Value: nil, Times: times}})
			b.wantEntry("a", &store.Entry{Value: []byte("1"), Times: times})
			b.wantEntry("b", &store.Entry{Value: []byte("2"), Times: times, Tags: []string{"t"}})
			b.wantEntry("c", &store.Entry{Times: times})
		}},
		{"SetMany of none", func(b box, c store.Batcher) { b.setMany(c) }},
		{"SetMany of an entry that is Gone already removes", func(b box, c store.Batcher) {
			b.set("a", entry("old"))
			b.setMany(c, store.Item{Key: "a", Entry: gone("late")}, store.Item{Key: "b", Entry: entry("b")})
			b.wantMiss("a")
			b.wantValue("b", "b")
		}},
		{"odd keys", func(b box, c store.Batcher) {
			keys := oddKeys()
			items := make([]store.Item, len(keys))
			for i, k := range keys {
				items[i] = store.Item{Key: k, Entry: entry("of " + k)}
			}
			b.setMany(c, items...)
			want := make([]string, len(keys))
			for i, k := range keys {
				want[i] = "of " + k
			}
			b.wantMany(c, keys, want...)
		}},
		{"two thousand at once", func(b box, c store.Batcher) {
			var items []store.Item
			var keys, want []string
			for i := range 2000 {
				k := fmt.Sprint("key:", i)
				keys, want = append(keys, k), append(want, "v"+k)
				items = append(items, store.Item{Key: k, Entry: entry("v" + k)})
			}
			b.setMany(c, items...)
			b.wantMany(c, keys, want...)
		}},
	}
}

// wantMany checks the values under keys; "" is a miss.
func (b box) wantMany(c store.Batcher, keys []string, want ...string) {
	b.t.Helper()
	got, err := c.GetMany(b.ctx, keys)
	if err != nil {
		b.t.Fatalf("GetMany: %v", err)
	}
	if len(got) != len(keys) {
		b.t.Fatalf("GetMany of %d keys returned %d entries", len(keys), len(got))
	}
	for i, e := range got {
		switch {
		case e == nil && want[i] != "":
			b.t.Errorf("element %d (%q) is nil, want %q", i, short(keys[i]), short(want[i]))
		case e != nil && want[i] == "":
			b.t.Errorf("element %d (%q) is %q, want nil", i, short(keys[i]), short(string(e.Value)))
		case e != nil && string(e.Value) != want[i]:
			b.t.Errorf("element %d (%q) is %q, want %q", i, short(keys[i]), short(string(e.Value)), short(want[i]))
		}
	}
}

func (b box) setMany(c store.Batcher, items ...store.Item) {
	b.t.Helper()
	if failed, err := c.SetMany(b.ctx, items); err != nil || len(failed) != 0 {
		b.t.Fatalf("SetMany of %d: failed %q, %v", len(items), failed, err)
	}
}
