package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/strata-cache/strata/core/store"
)

func adderCases() []testCase[store.Adder] {
	return []testCase[store.Adder]{
		{"stores what is absent", func(b box, c store.Adder) {
			e := full("v")
			times := e.Times
			b.wantAdd(c, true, "k", e)
			want := full("v")
			want.Times = times
			b.wantEntry("k", want)
		}},
		{"leaves a fresh entry alone", func(b box, c store.Adder) {
			b.set("k", entry("first"))
			b.wantAdd(c, false, "k", entry("second"))
			b.wantValue("k", "first")
		}},
		{"leaves an entry without an end alone", func(b box, c store.Adder) {
			b.set("k", &store.Entry{Value: []byte("first")})
			b.wantAdd(c, false, "k", entry("second"))
			b.wantValue("k", "first")
		}},
		{"takes a stale entry for absent", func(b box, c store.Adder) {
			b.set("k", stale("old"))
			b.wantAdd(c, true, "k", entry("new"))
			b.wantValue("k", "new")
		}},
		{"takes an entry for absent from Fresh on", func(b box, c store.Adder) {
			fresh := nowMs() + 30
			b.set("k", &store.Entry{Value: []byte("old"), Times: store.Times{Created: nowMs(), Fresh: fresh, Gone: inAnHour()}})
			b.waitUntil(fresh + slack.Milliseconds())
			b.wantAdd(c, true, "k", entry("new"))
			b.wantValue("k", "new")
		}},
		{"stores what is gone", func(b box, c store.Adder) {
			end := nowMs() + 30
			b.set("k", &store.Entry{Value: []byte("old"), Times: store.Times{Created: nowMs(), Fresh: end, Gone: end}})
			b.wantExpired("k", end)
			b.wantAdd(c, true, "k", entry("new"))
			b.wantValue("k", "new")
		}},
		{"stores what was deleted", func(b box, c store.Adder) {
			b.set("k", entry("old"))
			b.wantDeleted(1, "k")
			b.wantAdd(c, true, "k", entry("new"))
			b.wantValue("k", "new")
		}},
		{"of concurrent adders exactly one wins", func(b box, c store.Adder) { concurrentAdders(b, c, false) }},
		{"of concurrent adders over a stale entry exactly one wins", func(b box, c store.Adder) {
			concurrentAdders(b, c, true)
		}},
	}
}

func concurrentAdders(b box, c store.Adder, overStale bool) {
	for round := range 20 {
		k := fmt.Sprint("k", round)
		if overStale {
			b.set(k, stale("old"))
		}
		var wins atomic.Int64
		var winner atomic.Value
		var wg sync.WaitGroup
		for g := range 8 {
			e := entry(fmt.Sprint("adder", g))
			e.Priority = store.Priority(g % 5)
			wg.Go(func() {
				v := string(e.Value)
				ok, err := c.Add(b.ctx, k, e)
				if err != nil {
					b.t.Errorf("Add: %v", err)
				}
				if ok {
					wins.Add(1)
					winner.Store(v)
				}
			})
		}
		wg.Wait()
		if wins.Load() != 1 {
			b.t.Fatalf("%d of 8 adders won", wins.Load())
		}
		b.wantValue(k, winner.Load().(string))
	}
}

func (b box) wantAdd(c store.Adder, want bool, key string, e *store.Entry) {
	b.t.Helper()
	if ok, err := c.Add(b.ctx, key, e); ok != want || err != nil {
		b.t.Fatalf("Add(%q) = %v, %v, want %v", short(key), ok, err, want)
	}
}
