package storetest

import (
	"sync"
	"sync/atomic"

	"github.com/strata-cache/strata/core/store"
)

func toucherCases() []testCase[store.Toucher] {
	return []testCase[store.Toucher]{
		{"changes the instants and nothing else", func(b box, c store.Toucher) {
			b.set("k", full("v"))
			seen := b.mustGet("k")
			t := longer(seen.Times)
			b.wantTouch(c, true, "k", seen, t)
			want := full("v")
			want.Times = t
			b.wantEntry("k", want)
		}},
		{"can be repeated with what was read since", func(b box, c store.Toucher) {
			b.set("k", entry("v"))
			for range 3 {
				seen := b.mustGet("k")
				t := longer(seen.Times)
				b.wantTouch(c, true, "k", seen, t)
				b.wantEntry("k", &store.Entry{Value: []byte("v"), Times: t})
			}
		}},
		{"takes an end away, and gives one", func(b box, c store.Toucher) {
			b.set("k", entry("v"))
			seen := b.mustGet("k")
			b.wantTouch(c, true, "k", seen, store.Times{Created: seen.Created})
			b.wantEntry("k", &store.Entry{Value: []byte("v"), Times: store.Times{Created: seen.Created}})
			end := b.withShortLife(func(gone int64) {
				seen := b.get("k")
				if seen == nil { // the life before was too short
					b.set("k", entry("v"))
					seen = b.mustGet("k")
				}
				b.wantTouch(c, true, "k", seen, store.Times{Created: seen.Created, Fresh: gone, Gone: gone})
			}, func() bool { return b.get("k") != nil })
			b.wantExpired("k", end)
		}},
		{"revives a stale entry", func(b box, c store.Toucher) {
			b.set("k", stale("v"))
			seen := b.mustGet("k")
			t := lasting(nowMs())
			b.wantTouch(c, true, "k", seen, t)
			b.wantEntry("k", &store.Entry{Value: []byte("v"), Times: t})
			b.wantDeleted(1, "k")
		}},
		{"removes what becomes Gone", func(b box, c store.Toucher) {
			b.set("k", entry("v"))
			b.wantTouch(c, true, "k", b.mustGet("k"), gone("").Times)
			b.wantMiss("k")
			b.wantDeleted(0, "k")
		}},
		{"refuses when the value was replaced", func(b box, c store.Toucher) {
			b.set("k", entry("v"))
			seen := b.mustGet("k")
			other := entry("w")
			other.Times = seen.Times
			times := other.Times
			b.set("k", other)
			b.wantTouch(c, false, "k", seen, longer(times))
			b.wantEntry("k", &store.Entry{Value: []byte("w"), Times: times})
			b.wantTouch(c, false, "k", seen, gone("").Times)
			b.wantEntry("k", &store.Entry{Value: []byte("w"), Times: times})
		}},
		{"refuses when the instants were changed", func(b box, c store.Toucher) {
			b.set("k", entry("v"))
			seen := b.mustGet("k")
			t := longer(seen.Times)
			b.wantTouch(c, true, "k", seen, t)
			b.wantTouch(c, false, "k", seen, longer(t))
			b.wantEntry("k", &store.Entry{Value: []byte("v"), Times: t})
		}},
		{"refuses when tags, stamp or schema were changed", func(b box, c store.Toucher) {
			changes := map[string]func(*store.Entry){
				"tags":     func(e *store.Entry) { e.Tags = append(e.Tags, "another") },
				"deps":     func(e *store.Entry) { e.Deps = e.Deps[1:] },
				"stamp":    func(e *store.Entry) { e.Stamp.Seq-- },
				"schema":   func(e *store.Entry) { e.Schema++ },
				"flags":    func(e *store.Entry) { e.Flags = store.FlagNegative },
				"priority": func(e *store.Entry) { e.Priority = store.PriorityLow },
			}
			for name, change := range changes {
				b.set(name, full("v"))
				seen := b.mustGet(name)
				other := full("v")
				other.Times = seen.Times
				change(other)
				b.set(name, other)
				b.wantTouch(c, false, name, seen, longer(seen.Times))
				if e := b.mustGet(name); e.Times != seen.Times {
					b.t.Errorf("%s: the instants were changed nevertheless", name)
				}
			}
		}},
		{"refuses what is missing", func(b box, c store.Toucher) {
			b.wantTouch(c, false, "k", entry("v"), lasting(nowMs()))
			b.wantMiss("k")
		}},
		{"refuses what was deleted", func(b box, c store.Toucher) {
			b.set("k", entry("v"))
			seen := b.mustGet("k")
			b.wantDeleted(1, "k")
			b.wantTouch(c, false, "k", seen, longer(seen.Times))
			b.wantMiss("k")
		}},
		{"refuses what is gone", func(b box, c store.Toucher) {
			var seen *store.Entry
			end := b.withShortLife(func(gone int64) {
				b.set("k", &store.Entry{Value: []byte("v"), Times: store.Times{Created: nowMs(), Fresh: gone, Gone: gone}})
			}, func() bool { seen = b.get("k"); return seen != nil })
			b.wantExpired("k", end)
			b.wantTouch(c, false, "k", seen, lasting(nowMs()))
			b.wantMiss("k")
		}},
		{"does not change the entry that was read", func(b box, c store.Toucher) {
			b.set("k", entry("v"))
			seen := b.mustGet("k")
			before := seen.Times
			b.wantTouch(c, true, "k", seen, longer(before))
			if seen.Times != before {
				b.t.Errorf("a reader's entry changed from %v to %v", before, seen.Times)
			}
		}},
		{"of concurrent touches of one entry exactly one wins", func(b box, c store.Toucher) {
			b.set("k", entry("v"))
			for range 20 {
				seen := b.mustGet("k")
				var wins, winner atomic.Int64
				var wg sync.WaitGroup
				for g := range int64(8) {
					wg.Go(func() {
						t := longer(seen.Times)
						t.Gone += g
						ok, err := c.Touch(b.ctx, "k", seen, t)
						if err != nil {
							b.t.Errorf("Touch: %v", err)
						}
						if ok {
							wins.Add(1)
							winner.Store(t.Gone)
						}
					})
				}
				wg.Wait()
				if wins.Load() != 1 {
					b.t.Fatalf("%d of 8 touches won", wins.Load())
				}
				if e := b.mustGet("k"); e.Gone != winner.Load() {
					b.t.Fatalf("Gone is %d, want the winner's %d", e.Gone, winner.Load())
				}
			}
		}},
		{"of a Touch and a Set the Set stays", func(b box, c store.Toucher) {
			for range 50 {
				b.set("k", entry("old"))
				seen := b.mustGet("k")
				var wg sync.WaitGroup
				wg.Go(func() {
					if _, err := c.Touch(b.ctx, "k", seen, longer(seen.Times)); err != nil {
						b.t.Errorf("Touch: %v", err)
					}
				})
				b.set("k", entry("new"))
				wg.Wait()
				b.wantValue("k", "new")
			}
		}},
	}
}

// longer returns other instants, farther in the future.
func longer(t store.Times) store.Times {
	const more = 3_600_001
	return store.Times{Created: t.Created, Refresh: t.Fresh, Fresh: t.Fresh + more, Gone: t.Gone + more + 1}
}

func (b box) mustGet(key string) *store.Entry {
	b.t.Helper()
	e := b.get(key)
	if e == nil {
		b.t.Fatalf("Get(%q): miss", short(key))
	}
	return e
}

func (b box) wantTouch(c store.Toucher, want bool, key string, seen *store.Entry, t store.Times) {
	b.t.Helper()
	if ok, err := c.Touch(b.ctx, key, seen, t); ok != want || err != nil {
		b.t.Fatalf("Touch(%q) = %v, %v, want %v", short(key), ok, err, want)
	}
}
