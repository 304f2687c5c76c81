package storetest

import (
	"errors"
	"testing"

	"github.com/strata-cache/strata/core/store"
)

// runFronted checks a store whose first tier lies in this process. It has to be one that keeps entries in
// the first tier as they are, without a limit to their life.
func runFronted(t *testing.T, open Open) {
	t.Helper()
	runCapability(t, open, "Fronted", frontedCases())
}

// not returns a Validator that refuses one value.
func not(value string) store.Validator {
	return func(_ string, e *store.Entry) bool { return string(e.Value) != value }
}

func frontedCases() []testCase[store.Fronted] {
	cases := []testCase[store.Fronted]{
		{"what is set is in the first tier, the very entry", func(b box, c store.Fronted) {
			e := entry("v")
			b.set("k", e)
			if got := c.Peek([]byte("k")); got != e {
				b.t.Errorf("Peek = %p, want %p", got, e)
			}
			b.wantValid(c, "k", nil, "v", 1)
		}},
		{"Peek sees the first tier only", func(b box, c store.Fronted) {
			b.set("k", entry("v"))
			c.DropFront("k", "nothing")
			b.wantPeek(c, "k", "")
			b.wantValue("k", "v")
			b.wantPeek(c, "k", "v")
		}},
		{"what is found behind it is copied into it, and shared", func(b box, c store.Fronted) {
			b.set("k", full("v"))
			c.DropFront("k")
			e, tier, err := c.GetValid(b.ctx, "k", nil)
			if err != nil || tier < 2 {
				b.t.Fatalf("GetValid = %v, tier %d, %v", e, tier, err)
			}
			e.SetMemo("decoded")
			if got := c.Peek([]byte("k")); got != e || got.Memo() != "decoded" {
				b.t.Errorf("Peek = %p, want %p", got, e)
			}
			if again := b.mustGet("k"); again != e {
				b.t.Errorf("Get = %p, want %p", again, e)
			}
		}},
		{"a miss is ErrMiss", func(b box, c store.Fronted) {
			b.wantValid(c, "k", nil, "", 0)
			b.wantPeek(c, "k", "")
		}},
		{"SetFront, DropFront and ClearFront leave what is behind alone", func(b box, c store.Fronted) {
			for _, k := range []string{"a:1", "a:2", "b:1"} {
				b.set(k, entry("behind"))
				if err := c.SetFront(k, entry("in front")); err != nil {
					b.t.Fatalf("SetFront: %v", err)
				}
				b.wantValue(k, "in front")
			}
			c.DropFront()
			c.DropFront("a:1")
			b.wantValue("a:1", "behind")
			c.ClearFront("a:")
			b.wantPeek(c, "a:1", "")
			b.wantPeek(c, "a:2", "")
			b.wantValue("a:2", "behind")
			b.wantPeek(c, "b:1", "in front")
			c.ClearFront("")
			b.wantPeek(c, "b:1", "")
			b.wantValue("b:1", "behind")
		}},
		{"what is in the first tier alone is found", func(b box, c store.Fronted) {
			if err := c.SetFront("k", entry("v")); err != nil {
				b.t.Fatalf("SetFront: %v", err)
			}
			b.wantValid(c, "k", nil, "v", 1)
			c.DropFront("k")
			b.wantValid(c, "k", nil, "", 0)
		}},
		{"an entry that is not valid is passed over in the first tier", func(b box, c store.Fronted) {
			b.set("k", entry("behind"))
			if err := c.SetFront("k", entry("in front")); err != nil {
				b.t.Fatalf("SetFront: %v", err)
			}
			b.wantValid(c, "k", not("in front"), "behind", 2)
			b.wantPeek(c, "k", "behind")
		}},
		{"an entry that is not valid is passed over behind it, and not copied", func(b box, c store.Fronted) {
			b.set("k", entry("v"))
			b.wantValid(c, "k", not("v"), "", 0)
			c.DropFront("k")
			b.wantValid(c, "k", not("v"), "", 0)
			b.wantPeek(c, "k", "")
			b.wantValid(c, "k", not("other"), "v", 2)
		}},
		{"a stale entry does not hide a fresh one behind it", func(b box, c store.Fronted) {
			b.set("k", entry("fresh"))
			if err := c.SetFront("k", stale("stale")); err != nil {
				b.t.Fatalf("SetFront: %v", err)
			}
			b.wantValid(c, "k", nil, "fresh", 2)
			b.wantPeek(c, "k", "fresh")
		}},
		{"a stale entry is the answer where there is no fresher one", func(b box, c store.Fronted) {
			if err := c.SetFront("k", stale("stale")); err != nil {
				b.t.Fatalf("SetFront: %v", err)
			}
			b.wantValid(c, "k", nil, "stale", 1)
			b.set("k", stale("set"))
			c.DropFront("k")
			b.wantValid(c, "k", nil, "set", 2)
			b.set("j", stale("older"))
			if err := c.SetFront("j", entry("newer")); err != nil {
				b.t.Fatalf("SetFront: %v", err)
			}
			b.wantValid(c, "j", nil, "newer", 1)
		}},
		{"GetManyValid does all of this for each key", manyValid},
		{"Delete, Clear and a Set of what is Gone clean the first tier", func(b box, c store.Fronted) {
			for _, k := range []string{"deleted", "cleared", "set"} {
				b.set(k, entry("v"))
				b.wantPeek(c, k, "v")
			}
			b.wantDeleted(1, "deleted")
			b.clear("cleared")
			b.set("set", gone("v"))
			for _, k := range []string{"deleted", "cleared", "set"} {
				b.wantPeek(c, k, "")
				b.wantMiss(k)
			}
		}},
		{"after Close it is empty", func(b box, c store.Fronted) {
			b.set("k", entry("v"))
			if err := b.s.Close(); err != nil {
				b.t.Fatalf("Close: %v", err)
			}
			b.wantPeek(c, "k", "")
			c.DropFront("k")
			c.ClearFront("")
			if _, _, err := c.GetValid(b.ctx, "k", nil); !errors.Is(err, store.ErrClosed) {
				b.t.Errorf("GetValid: %v", err)
			}
			if _, err := c.GetManyValid(b.ctx, []string{"k"}, nil); !errors.Is(err, store.ErrClosed) {
				b.t.Errorf("GetManyValid: %v", err)
			}
			if err := c.SetFront("k", entry("v")); !errors.Is(err, store.ErrClosed) {
				b.t.Errorf("SetFront: %v", err)
			}
		}},
	}
	return append(cases, frontedVerbCases()...)
}

// frontedVerbCases: the first tier follows what the other capabilities do.
func frontedVerbCases() []testCase[store.Fronted] {
	return []testCase[store.Fronted]{
		{"with Counter: a counter is never in the first tier", func(b box, c store.Fronted) {
			n, ok := store.As[store.Counter](b.s)
			if !ok {
				b.t.Logf("%T is no store.Counter", b.s)
				return
			}
			b.set("k", entry("v"))
			b.set("k", counter("1", 0))
			b.wantPeek(c, "k", "")
			b.wantCounter("k", "1", 0)
			b.wantPeek(c, "k", "")
			b.wantIncr(n, 2, "k", 1, nil)
			b.wantCounter("k", "2", 0)
			if err := c.SetFront("k", counter("9", 0)); err != nil {
				b.t.Errorf("SetFront: %v", err)
			}
			b.wantPeek(c, "k", "")
			if m, ok := store.As[store.Batcher](b.s); ok {
				b.wantMany(m, []string{"k"}, "2")
				b.wantPeek(c, "k", "")
			}
		}},
		{"with Toucher: the first tier has the new instants", func(b box, c store.Fronted) {
			t, ok := store.As[store.Toucher](b.s)
			if !ok {
				b.t.Logf("%T is no store.Toucher", b.s)
				return
			}
			b.set("k", entry("v"))
			seen := b.mustGet("k")
			times := longer(seen.Times)
			b.wantTouch(t, true, "k", seen, times)
			b.wantEntry("k", &store.Entry{Value: []byte("v"), Times: times})
			if e := c.Peek([]byte("k")); e == nil || e.Times != times {
				b.t.Errorf("Peek = %+v", e)
			}
		}},
		{"with Adder: the first tier has what was added", func(b box, c store.Fronted) {
			a, ok := store.As[store.Adder](b.s)
			if !ok {
				b.t.Logf("%T is no store.Adder", b.s)
				return
			}
			b.wantAdd(a, true, "k", entry("first"))
			b.wantPeek(c, "k", "first")
			b.wantAdd(a, false, "k", entry("second"))
			b.wantValue("k", "first")
		}},
		{"with Batcher: the first tier has what was set", func(b box, c store.Fronted) {
			m, ok := store.As[store.Batcher](b.s)
			if !ok {
				b.t.Logf("%T is no store.Batcher", b.s)
				return
			}
			b.setMany(m, store.Item{Key: "a", Entry: entry("1")}, store.Item{Key: "b", Entry: gone("2")})
			b.wantPeek(c, "a", "1")
			b.wantPeek(c, "b", "")
		}},
	}
}

func manyValid(b box, c store.Fronted) {
	var keys []string
	for _, k := range []string{"both", "behind", "invalid", "stale in front", "stale", "bad in front"} {
		keys = append(keys, k)
		b.set(k, entry(k))
	}
	b.set("stale", stale("stale"))
	c.DropFront("behind", "stale")
	for k, e := range map[string]*store.Entry{
		"stale in front": stale("other"), "bad in front": entry("invalid"), "in front": entry("in front"),
	} {
		if err := c.SetFront(k, e); err != nil {
			b.t.Fatalf("SetFront: %v", err)
		}
	}
	keys = append(keys, "in front", "nothing", "both")
	want := []string{"both", "behind", "", "stale in front", "stale", "bad in front", "in front", "", "both"}
	for round := range 2 { // the second time from the first tier
		got, err := c.GetManyValid(b.ctx, keys, not("invalid"))
		if err != nil || len(got) != len(keys) {
			b.t.Fatalf("GetManyValid: %d entries, %v", len(got), err)
		}
		for i, e := range got {
			if value := valueOf(e); value != want[i] {
				b.t.Errorf("round %d, %q: %q, want %q", round, keys[i], value, want[i])
			}
		}
		b.wantPeek(c, "behind", "behind")
		b.wantPeek(c, "stale in front", "stale in front")
		b.wantPeek(c, "bad in front", "bad in front")
	}
	if got, err := c.GetManyValid(b.ctx, nil, nil); len(got) != 0 || err != nil {
		b.t.Errorf("GetManyValid of none = %v, %v", got, err)
	}
}

// valueOf is "" for a miss.
func valueOf(e *store.Entry) string {
	if e == nil {
		return ""
	}
	return string(e.Value)
}

// wantPeek checks the value in the first tier; "" is a miss.
func (b box) wantPeek(c store.Fronted, key, want string) {
	b.t.Helper()
	if got := valueOf(c.Peek([]byte(key))); got != want {
		b.t.Errorf("Peek(%q) is %q, want %q", key, got, want)
	}
}

// wantValid checks what GetValid returns; "" is a miss. tier is 0, 1, or 2 for any behind the first.
func (b box) wantValid(c store.Fronted, key string, valid store.Validator, want string, tier int) {
	b.t.Helper()
	e, got, err := c.GetValid(b.ctx, key, valid)
	if want == "" && !errors.Is(err, store.ErrMiss) || want != "" && err != nil {
		b.t.Errorf("GetValid(%q): %v", key, err)
	}
	if value := valueOf(e); value != want || min(got, 2) != tier {
		b.t.Errorf("GetValid(%q) is %q in tier %d, want %q in tier %d", key, value, got, want, tier)
	}
}
