package storetest

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"

	"github.com/strata-cache/strata/core/store"
)

func counterCases() []testCase[store.Counter] {
	return []testCase[store.Counter]{
		{"a missing counter is ErrMiss", func(b box, c store.Counter) {
			b.wantIncrErr(c, store.ErrMiss, "k", 1, nil)
			b.wantMiss("k")
		}},
		{"a missing counter is created, then added to", func(b box, c store.Counter) {
			end := inAnHour()
			b.wantIncr(c, 15, "k", 5, counter("10", end))
			b.wantCounter("k", "15", end)
			b.wantIncr(c, -3, "neg", -3, counter("0", 0))
			b.wantCounter("neg", "-3", 0)
		}},
		{"what exists is not created again", func(b box, c store.Counter) {
			end := inAnHour()
			b.set("k", counter("1", end))
			b.wantIncr(c, 3, "k", 2, counter("1000", end+60_000))
			b.wantCounter("k", "3", end)
		}},
		{"a counter that was set can be counted and read", func(b box, c store.Counter) {
			for i, v := range []int64{0, 1, -1, 41, 1 << 53, 1<<53 + 1, math.MaxInt64 - 1, math.MinInt64} {
				k, end := fmt.Sprint("k", i), inAnHour()
				b.set(k, counter(strconv.FormatInt(v, 10), end))
				b.wantCounter(k, strconv.FormatInt(v, 10), end)
				b.wantIncr(c, v+1, k, 1, nil)
				b.wantCounter(k, strconv.FormatInt(v+1, 10), end)
			}
		}},
		{"negative deltas and zero", func(b box, c store.Counter) {
			b.set("k", counter("10", 0))
			b.wantIncr(c, 7, "k", -3, nil)
			b.wantIncr(c, 7, "k", 0, nil)
			b.wantIncr(c, -13, "k", -20, nil)
			b.wantCounter("k", "-13", 0)
		}},
		{"counting keeps the lifetime", func(b box, c store.Counter) {
			b.set("for ever", counter("0", 0))
			b.wantIncr(c, 1, "for ever", 1, counter("0", inAnHour()))
			b.wantCounter("for ever", "1", 0)
			end := b.withShortLife(func(gone int64) { b.set("short", counter("0", gone)) }, func() bool {
				_, err := c.Incr(b.ctx, "short", 1, nil)
				return err == nil
			})
			b.wantExpired("short", end)
			b.wantIncrErr(c, store.ErrMiss, "short", 1, nil)
		}},
		{"a counter that is gone is created afresh", func(b box, c store.Counter) {
			end := nowMs() + 30
			b.set("k", counter("100", end))
			b.wantExpired("k", end)
			later := inAnHour()
			b.wantIncr(c, 6, "k", 1, counter("5", later))
			b.wantCounter("k", "6", later)
		}},
		{"overflow leaves the counter unchanged", func(b box, c store.Counter) {
			const maxInt, minInt = math.MaxInt64, math.MinInt64
			for i, o := range []struct{ value, delta int64 }{
				{maxInt, 1}, {maxInt - 1, 2}, {maxInt, maxInt}, {1, maxInt},
				{minInt, -1}, {minInt + 1, -2}, {minInt, minInt}, {-1, minInt},
			} {
				k, end := fmt.Sprint("k", i), inAnHour()
				v := strconv.FormatInt(o.value, 10)
				b.set(k, counter(v, end))
				b.wantIncrErr(c, store.ErrOverflow, k, o.delta, nil)
				b.wantCounter(k, v, end)
			}
			b.set("edge", counter("0", 0))
			b.wantIncr(c, maxInt, "edge", maxInt, nil)
			b.wantIncr(c, -1, "edge", minInt, nil)
			b.wantIncr(c, minInt, "edge", minInt+1, nil)
		}},
		{"overflow of a new counter stores nothing", func(b box, c store.Counter) {
			b.wantIncrErr(c, store.ErrOverflow, "k", 1, counter(strconv.Itoa(math.MaxInt64), 0))
			b.wantMiss("k")
		}},
		{"what is no counter is ErrNotInteger", func(b box, c store.Counter) {
			for i, v := range []string{"", "text", "5", "1.5"} {
				k := fmt.Sprint("k", i)
				b.set(k, entry(v))
				b.wantIncrErr(c, store.ErrNotInteger, k, 1, nil)
				b.wantIncrErr(c, store.ErrNotInteger, k, 1, counter("0", 0))
				b.wantValue(k, v)
			}
		}},
		{"Set replaces a counter by an entry and the reverse", func(b box, c store.Counter) {
			end := inAnHour()
			b.set("k", counter("1", end))
			b.set("k", full("v"))
			if e := b.mustGet("k"); string(e.Value) != "v" || e.Flags != 0 || len(e.Tags) == 0 {
				b.t.Errorf("the entry is %+v", e)
			}
			b.set("k", counter("2", end))
			b.wantCounter("k", "2", end)
			b.wantIncr(c, 3, "k", 1, nil)
		}},
		{"a counter set Gone already is removed", func(b box, c store.Counter) {
			b.set("k", counter("1", inAnHour()))
			b.set("k", counter("2", nowMs()-10_000))
			b.wantMiss("k")
			b.wantIncrErr(c, store.ErrMiss, "k", 1, nil)
		}},
		{"counters are deleted, counted and cleared like entries", func(b box, _ store.Counter) {
			b.set("a:1", counter("1", inAnHour()))
			b.set("a:2", counter("1", 0))
			b.set("b:1", counter("1", 0))
			b.wantDeleted(1, "a:1", "a:1")
			b.clear("a:")
			b.wantMiss("a:2")
			b.wantCounter("b:1", "1", 0)
		}},
		{"odd keys", func(b box, c store.Counter) {
			for i, k := range oddKeys() {
				b.wantIncr(c, int64(i), k, int64(i), counter("0", 0))
			}
			for i, k := range oddKeys() {
				b.wantIncr(c, int64(i)+1, k, 1, nil)
			}
		}},
		{"concurrent increments sum up", func(b box, c store.Counter) {
			end := inAnHour()
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for i := range 50 {
						delta := int64(3)
						if i%2 == 1 {
							delta = -1
						}
						if _, err := c.Incr(b.ctx, "k", delta, counter("0", end)); err != nil {
							b.t.Errorf("Incr: %v", err)
						}
					}
				})
			}
			wg.Wait()
			b.wantCounter("k", "400", end)
		}},
		{"no two increments return the same", func(b box, c store.Counter) {
			var mu sync.Mutex
			seen := map[int64]bool{}
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					for range 25 {
						n, err := c.Incr(b.ctx, "k", 1, counter("0", 0))
						mu.Lock()
						if err != nil || seen[n] {
							b.t.Errorf("Incr = %d, %v, seen before: %v", n, err, seen[n])
						}
						seen[n] = true
						mu.Unlock()
					}
				})
			}
			wg.Wait()
		}},
		{"with Add: a counter is absent once", func(b box, c store.Counter) {
			a, ok := store.As[store.Adder](b.s)
			if !ok {
				b.t.Logf("%T is no store.Adder", b.s)
				return
			}
			end := inAnHour()
			b.wantAdd(a, true, "k", counter("1", end))
			b.wantAdd(a, false, "k", counter("9", end))
			b.wantAdd(a, false, "k", entry("v"))
			b.wantIncr(c, 2, "k", 1, nil)
		}},
		{"with Touch: the value is kept and stays a counter", func(b box, c store.Counter) {
			t, ok := store.As[store.Toucher](b.s)
			if !ok {
				b.t.Logf("%T is no store.Toucher", b.s)
				return
			}
			end := inAnHour()
			b.set("k", counter("7", end))
			seen := b.mustGet("k")
			b.wantTouch(t, true, "k", seen, store.Times{Created: seen.Created, Fresh: end + 5000, Gone: end + 5000})
			b.wantCounter("k", "7", end+5000)
			b.wantIncr(c, 8, "k", 1, nil)
			b.wantTouch(t, false, "k", seen, store.Times{Created: seen.Created, Fresh: end, Gone: end})
			b.wantCounter("k", "8", end+5000)
			b.wantTouch(t, true, "k", b.mustGet("k"), store.Times{})
			b.wantCounter("k", "8", 0)
			b.wantTouch(t, true, "k", b.mustGet("k"), gone("").Times)
			b.wantMiss("k")
			b.wantTouch(t, false, "k", seen, store.Times{})
			b.wantMiss("k")
		}},
		{"with GetMany and SetMany: counters among entries", func(b box, c store.Counter) {
			m, ok := store.As[store.Batcher](b.s)
			if !ok {
				b.t.Logf("%T is no store.Batcher", b.s)
				return
			}
			end := inAnHour()
			b.setMany(m, store.Item{Key: "c", Entry: counter("12", end)}, store.Item{Key: "e", Entry: entry("v")})
			b.wantCounter("c", "12", end)
			b.wantIncr(c, 13, "c", 1, nil)
			b.wantMany(m, []string{"e", "c", "x"}, "v", "13", "")
			got, err := m.GetMany(b.ctx, []string{"c"})
			if err != nil || len(got) != 1 || got[0] == nil {
				b.t.Fatalf("GetMany of a counter: %+v, %v", got, err)
			}
			b.wantCount("c", got[0], "13", end)
		}},
	}
}

func (b box) wantIncr(c store.Counter, want int64, key string, delta int64, create *store.Entry) {
	b.t.Helper()
	if n, err := c.Incr(b.ctx, key, delta, create); n != want || err != nil {
		b.t.Errorf("Incr(%q, %d) = %d, %v, want %d", short(key), delta, n, err, want)
	}
}

func (b box) wantIncrErr(c store.Counter, want error, key string, delta int64, create *store.Entry) {
	b.t.Helper()
	if n, err := c.Incr(b.ctx, key, delta, create); !errors.Is(err, want) {
		b.t.Errorf("Incr(%q, %d) = %d, %v, want %v", short(key), delta, n, err, want)
	}
}
