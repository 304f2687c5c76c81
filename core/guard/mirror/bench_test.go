package mirror

import (
	"fmt"
	"testing"

	"github.com/strata-cache/strata/core/store"
)

// busy returns a mirror with full tables.
func busy(names int) *Mirror {
	m := New(Options{Names: names})
	m.Reset(at(1), store.Position{}, store.Position{})
	for i := range 2 * names {
		m.Local(key(fmt.Sprintf("shop:1:user:%d", i)), tag(fmt.Sprint("tag:", i)))
	}
	return m
}

type judgeBench struct {
	name string
	run  func()
}

func judgeBenches() []judgeBench {
	m := busy(10_000)
	now := m.Applied()
	plain := &store.Entry{Stamp: now}
	four := &store.Entry{Stamp: now, Tags: []string{"tag:19999", "tag:19998", "tag:19997", "other"}}
	deps := &store.Entry{Stamp: now, Deps: []string{"shop:1:user:19999", "shop:1:user:19998", "shop:1:team:", "shop:1:"}}
	token := &store.Entry{Value: make([]byte, 1024)}
	m.Local(store.Invalidation{Kind: store.InvalidateKey, Name: "shop:1:user:token", Token: token.Token()})
	checked := &store.Entry{Stamp: now}
	m.Judge("shop:1:user:1", checked, true)
	return []judgeBench{
		{"checked", func() {
			if !checked.CheckedAt(m.Current()) {
				panic("not checked")
			}
		}},
		{"key", func() { m.Judge("shop:1:user:1", plain, true) }},
		{"key=token", func() { m.Judge("shop:1:user:token", token, true) }},
		{"tags=4", func() { m.Judge("shop:1:user:1", four, true) }},
		{"deps=4", func() { m.Judge("shop:1:user:1", deps, true) }},
		{"held", func() { m.Held("shop:1:user:1", nil) }},
	}
}

func BenchmarkJudge(b *testing.B) {
	for _, j := range judgeBenches() {
		b.Run(j.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				j.run()
			}
		})
	}
}

func BenchmarkApply(b *testing.B) {
	for _, c := range []struct {
		name string
		it   func(i int) store.Invalidation
	}{
		{"same key", func(int) store.Invalidation { return key("shop:1:user:1") }},
		{"new keys", func(i int) store.Invalidation { return key(fmt.Sprintf("shop:1:user:n%d", i)) }},
		{"new tags", func(i int) store.Invalidation { return tag(fmt.Sprint("n", i)) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			m := busy(10_000)
			m.remember(DefaultBuffer)
			was := m.Applied()
			names := make([]store.Invalidation, 100_000)
			for i := range names {
				names[i] = c.it(i)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				r := store.Record{Position: store.Position{Time: was.Time, Seq: was.Seq + 1}, Prev: was, Items: names[i%len(names):][:1]}
				if err := m.Apply(r); err != nil {
					b.Fatal(err)
				}
				was = r.Position
			}
		})
	}
}
