package cache_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/memstore"
)

const benchIDs = 1024

type benchValue struct {
	ID    int64
	Name  string
	Seen  time.Time
	Score float64
}

type hitBench struct {
	name string
	get  func(i int) bool
}

// hitBenches returns look-ups that all hit, of the same keys and values: otter's own by a ready string
// first, to compare with.
func hitBenches(tb testing.TB) []hitBench {
	ctx := context.Background()
	clock := otter.NewCoarseClock(5 * time.Millisecond)
	raw := otter.Must(&otter.Options[string, *store.Entry]{
		MaximumWeight:    memstore.DefaultMaxBytes,
		Weigher:          func(k string, e *store.Entry) uint32 { return uint32(e.Weight(k)) },
		ExpiryCalculator: otter.ExpiryWriting[string, *store.Entry](time.Hour),
		Clock:            clock,
	})
	tb.Cleanup(func() { raw.StopAllGoroutines(); clock.Stop() })
	kinds := func(obs *event.Observer) (*cache.Kind[int64, benchValue], *cache.Kind[string, benchValue], *cache.Cache) {
		st := cache.Must(memstore.New(memstore.Options{}))
		c := cache.Must(cache.New(st, cache.Options{Prefix: "shop", Observer: obs, Policy: cache.Policy{TTL: time.Hour}}))
		tb.Cleanup(func() { _ = c.Close() })
		byInt := cache.Must(cache.NewKind(c, "user", cache.KindOptions[int64, benchValue]{
			Load: func(_ context.Context, id int64) (benchValue, error) { return benchValue{ID: id, Name: "n"}, nil },
		}))
		byString := cache.Must(cache.NewKind(c, "name", cache.KindOptions[string, benchValue]{
			Load: func(_ context.Context, id string) (benchValue, error) { return benchValue{Name: id}, nil },
		}))
		return byInt, byString, c
	}
	byInt, byString, c := kinds(nil)
	borrower := c.Store().(store.Borrower)
	var calls int
	seenInt, _, _ := kinds(&event.Observer{Call: func(context.Context, event.Call) { calls++ }})

	borrowed := make([][]byte, benchIDs)
	ids, keys, full := make([]int64, benchIDs), make([]string, benchIDs), make([]string, benchIDs)
	for i := range ids {
		ids[i] = int64(100000 + i)
		keys[i] = strconv.FormatInt(ids[i], 10)
		full[i] = "shop:1:user:" + keys[i]
		borrowed[i] = []byte(full[i])
		raw.Set(full[i], &store.Entry{Value: make([]byte, 100)})
		must(tb, byInt.Set(ctx, ids[i], benchValue{ID: ids[i], Name: "n"}))
		must(tb, seenInt.Set(ctx, ids[i], benchValue{ID: ids[i], Name: "n"}))
		must(tb, byString.Set(ctx, keys[i], benchValue{Name: "n"}))
		must(tb, cache.Set(ctx, c, keys[i], benchValue{Name: "n"}))
	}
	benches := []hitBench{
		{"otter", func(i int) bool { _, ok := raw.GetIfPresent(full[i%benchIDs]); return ok }},
		{"memstore", func(i int) bool { return borrower.GetBorrowed(borrowed[i%benchIDs]) != nil }},
		{"kind/int64", func(i int) bool { _, err := byInt.Get(ctx, ids[i%benchIDs]); return err == nil }},
		{"kind/string", func(i int) bool { _, err := byString.Get(ctx, keys[i%benchIDs]); return err == nil }},
		{"kind/observed", func(i int) bool { _, err := seenInt.Get(ctx, ids[i%benchIDs]); return err == nil }},
		{"verb/Get", func(i int) bool { _, err := cache.Get[benchValue](ctx, c, keys[i%benchIDs]); return err == nil }},
	}
	for _, h := range benches {
		for i := range benchIDs {
			h.get(i) // the first reader decodes
		}
	}
	return benches
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func BenchmarkHit(b *testing.B) {
	for _, h := range hitBenches(b) {
		b.Run(h.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if !h.get(i) {
					b.Fatal("miss")
				}
			}
		})
	}
}
