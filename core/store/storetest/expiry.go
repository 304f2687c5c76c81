package storetest

import (
	"time"

	"github.com/strata-cache/strata/core/store"
)

func expiryCases() []testCase[store.Store] {
	return []testCase[store.Store]{
		{"an entry that is Gone already removes what was there", func(b box, s store.Store) {
			b.set("k", entry("v"))
			b.set("k", gone("late"))
			b.wantMiss("k")
			b.set("nothing", gone("late"))
			b.wantMiss("nothing")
			if n, err := s.Delete(b.ctx, "k", "nothing"); n != 0 || err != nil {
				b.t.Errorf("Delete = %d, %v, want 0", n, err)
			}
		}},
		{"past Fresh but not Gone is returned", func(b box, _ store.Store) {
			e := stale("old")
			b.set("k", e)
			b.wantEntry("k", &store.Entry{Value: []byte("old"), Times: e.Times})
		}},
		{"past Fresh and never Gone is returned", func(b box, _ store.Store) {
			tm := store.Times{Created: nowMs() - 60_000, Fresh: nowMs() - 30_000}
			b.set("k", &store.Entry{Value: []byte("old"), Times: tm})
			b.wantEntry("k", &store.Entry{Value: []byte("old"), Times: tm})
		}},
		{"Gone is kept to the millisecond, not to the second", func(b box, _ store.Store) {
			if ms := nowMs() % 1000; ms > 500 {
				b.waitUntil(nowMs() - ms + 1000) // so far from a second's end that rounding up shows
			}
			end := b.withShortLife(func(gone int64) {
				b.set("k", &store.Entry{Value: []byte("v"), Times: store.Times{Created: nowMs(), Fresh: gone, Gone: gone}})
			}, func() bool { return b.get("k") != nil })
			b.wantExpired("k", end)
		}},
		{"becoming stale does not remove", func(b box, _ store.Store) {
			fresh := nowMs() + 20
			b.set("k", &store.Entry{Value: []byte("v"), Times: store.Times{Created: nowMs(), Fresh: fresh, Gone: inAnHour()}})
			b.waitUntil(fresh + 20)
			b.wantValue("k", "v")
		}},
		{"a new Set ends an older, shorter life", func(b box, _ store.Store) {
			end := nowMs() + 50
			b.set("k", &store.Entry{Value: []byte("short"), Times: store.Times{Created: nowMs(), Fresh: end, Gone: end}})
			b.set("k", entry("long"))
			b.waitUntil(end + 50)
			b.wantValue("k", "long")
		}},
		{"an entry without an end ends an older, shorter life", func(b box, _ store.Store) {
			end := nowMs() + 50
			b.set("k", &store.Entry{Value: []byte("short"), Times: store.Times{Created: nowMs(), Fresh: end, Gone: end}})
			b.set("k", &store.Entry{Value: []byte("for ever")})
			b.waitUntil(end + 50)
			b.wantValue("k", "for ever")
		}},
		{"a new Set brings a shorter life", func(b box, _ store.Store) {
			b.set("k", &store.Entry{Value: []byte("for ever")})
			end := b.withShortLife(func(gone int64) {
				b.set("k", &store.Entry{Value: []byte("short"), Times: store.Times{Created: nowMs(), Fresh: gone, Gone: gone}})
			}, func() bool { return b.get("k") != nil })
			b.wantExpired("k", end)
		}},
	}
}

// waitUntil waits for an instant in Unix milliseconds.
func (b box) waitUntil(ms int64) {
	b.t.Helper()
	timer := time.NewTimer(time.Until(time.UnixMilli(ms)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-b.ctx.Done():
		b.t.Fatal(b.ctx.Err())
	}
}
