package storetest

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/strata-cache/strata/core/store"
)

func getSetCases() []testCase[store.Store] {
	return []testCase[store.Store]{
		{"nothing there is ErrMiss", func(b box, _ store.Store) {
			b.wantMiss("nothing")
		}},
		{"a value comes back", func(b box, _ store.Store) {
			b.set("k", entry("v"))
			b.wantValue("k", "v")
			b.wantMiss("k2")
		}},
		{"the last Set wins", func(b box, _ store.Store) {
			for _, v := range []string{"one", "two", "", "four"} {
				b.set("k", entry(v))
				b.wantValue("k", v)
			}
		}},
		{"a nil value", func(b box, _ store.Store) {
			b.set("k", &store.Entry{Times: lasting(nowMs())})
			b.wantValue("k", "")
		}},
		{"an empty value", func(b box, _ store.Store) {
			b.set("k", &store.Entry{Value: []byte{}, Times: lasting(nowMs())})
			b.wantValue("k", "")
		}},
		{"values of any bytes", func(b box, _ store.Store) {
			all := make([]byte, 512)
			for i := range all {
				all[i] = byte(i)
			}
			for i, v := range []string{string(all), "\x00", "\r\n", "12", "-7", "\xf5ST\x01", strings.Repeat("\x00", 4096)} {
				k := fmt.Sprint("k", i)
				b.set(k, entry(v))
				b.wantValue(k, v)
			}
		}},
		{"a value of 1 MiB, or ErrTooLarge without the older entry", largeValue},
		{"every field of an entry", func(b box, _ store.Store) {
			b.set("k", full("v"))
			want := full("v")
			got := b.get("k")
			if got == nil {
				b.t.Fatal("miss")
			}
			want.Times = got.Times // made a moment later; instants have their own case
			b.wantEqual("k", got, want)
		}},
		{"all instants", func(b box, _ store.Store) {
			now := nowMs()
			for i, tm := range []store.Times{
				{},
				{Created: now},
				{Created: now, Fresh: now + 3_600_000},
				{Created: now, Gone: now + 3_600_000},
				{Created: now - 7, Refresh: now + 3_600_001, Fresh: now + 3_600_003, Gone: now + 3_600_007},
				{Created: now, Fresh: now + 3_600_000, Gone: now + 3_600_000},
				{Created: now, Refresh: now - 1, Fresh: now + 100*365*86_400_000, Gone: now + 200*365*86_400_000},
			} {
				k := fmt.Sprint("k", i)
				b.set(k, &store.Entry{Value: []byte("v"), Times: tm})
				b.wantEntry(k, &store.Entry{Value: []byte("v"), Times: tm})
			}
		}},
		{"all flags", func(b box, _ store.Store) {
			for _, f := range []store.Flags{0, store.FlagNil, store.FlagNegative} {
				e := entry("")
				e.Flags = f
				k := fmt.Sprint("flag", f)
				b.set(k, e)
				b.wantEntry(k, &store.Entry{Times: e.Times, Flags: f})
			}
		}},
		{"all priorities, and a move between them", func(b box, s store.Store) {
			for p := store.PriorityDefault; p.Valid(); p++ {
				e := entry("v" + p.String())
				e.Priority = p
				b.set("own:"+p.String(), e)
				moved := entry("v" + p.String())
				moved.Priority = p
				b.set("moved", moved)
				for _, k := range []string{"own:" + p.String(), "moved"} {
					if got := b.get(k); got == nil || got.Priority != p || string(got.Value) != "v"+p.String() {
						b.t.Errorf("%s: %+v, want priority %v", k, got, p)
					}
				}
			}
			if n, err := s.Delete(b.ctx, "moved"); n != 1 || err != nil {
				b.t.Errorf("Delete = %d, %v, want 1", n, err)
			}
			b.wantMiss("moved")
		}},
		{"extreme numbers", func(b box, _ store.Store) {
			for i, p := range []store.Position{{}, {Seq: 1}, {Time: 1}, {Time: math.MaxUint64, Seq: math.MaxUint64}} {
				e := entry("v")
				e.Stamp, e.Schema, e.LoadCost = p, math.MaxUint64, math.MaxInt64
				k := fmt.Sprint("k", i)
				b.set(k, e)
				b.wantEntry(k, &store.Entry{
					Value: []byte("v"), Times: e.Times, Stamp: p, Schema: math.MaxUint64, LoadCost: math.MaxInt64,
				})
			}
		}},
		{"256 tags and 64 deps", func(b box, _ store.Store) {
			e := entry("v")
			for i := range 256 {
				e.Tags = append(e.Tags, fmt.Sprint("tag:", i))
			}
			for i := range 64 {
				e.Deps = append(e.Deps, fmt.Sprint("dep:", i))
			}
			b.set("k", e)
			b.wantEntry("k", &store.Entry{Value: []byte("v"), Times: e.Times, Tags: e.Tags, Deps: e.Deps})
		}},
		{"a value once read never changes", func(b box, s store.Store) {
			b.set("k", entry("first"))
			first := b.get("k")
			if first == nil {
				b.t.Fatal("miss")
			}
			b.set("k", entry("other"))
			for i := range 100 {
				b.set(fmt.Sprint("filler", i), entry("xxxxx"))
				b.get(fmt.Sprint("filler", i))
			}
			if err := s.Clear(b.ctx, ""); err != nil {
				b.t.Fatal(err)
			}
			if string(first.Value) != "first" {
				b.t.Errorf("the value read earlier became %q", first.Value)
			}
		}},
	}
}

func largeValue(b box, s store.Store) {
	raw := make([]byte, 1<<20)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range raw {
		raw[i] = byte(r.Uint32())
	}
	big := string(raw)
	b.set("k", entry("small"))
	err := s.Set(b.ctx, "k", entry(big))
	switch {
	case err == nil:
		b.wantValue("k", big)
	case errors.Is(err, store.ErrTooLarge):
		b.t.Logf("%T does not take 1 MiB: %v", s, err)
		b.wantMiss("k")
	default:
		b.t.Fatalf("Set of 1 MiB: %v", err)
	}
	b.set("k", entry("small again"))
	b.wantValue("k", "small again")
}
