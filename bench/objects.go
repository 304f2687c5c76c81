package main

import (
	"context"
	"strconv"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/store/memstore"
	"github.com/strata-cache/strata/stats"
)

const keys = 1024

// product has no pointers: readers share the decoded value of an entry.
type product struct {
	ID, Price, Stock int64
	Rating           float64
	Name             [32]byte
}

func objects() group {
	ctx := context.Background()
	// Over half full: below that otter does not note its reads, as a cache in use has to.
	raw := must(otter.New(&otter.Options[string, *product]{MaximumSize: 3 * keys / 2}))
	byID := must(otter.New(&otter.Options[int64, *product]{MaximumSize: 3 * keys / 2}))
	names := make([]string, keys)
	for i := range names {
		names[i] = "shop:1:product:" + strconv.Itoa(i)
		raw.Set(names[i], &product{ID: int64(i)})
		byID.Set(int64(i), &product{ID: int64(i)})
	}
	st := must(memstore.New(memstore.Options{}))
	c := must(cache.New(st, cache.Options{Prefix: "shop"}))
	watchedStore := must(memstore.New(memstore.Options{}))
	recorder := must(stats.New(stats.Options{}))
	watched := must(cache.New(watchedStore, cache.Options{Prefix: "shop", Observer: recorder.Observer()}))
	load := func(_ context.Context, id int64) (product, error) { return product{ID: id}, nil } //nolint:unparam // as a loader is
	ints := must(cache.NewKind(c, "product", cache.KindOptions[int64, product]{Load: load, Policy: cache.Policy{TTL: time.Hour}}))
	strs := must(cache.NewKind(c, "named", cache.KindOptions[string, product]{Policy: cache.Policy{TTL: time.Hour}}))
	seen := must(cache.NewKind(watched, "product", cache.KindOptions[int64, product]{Load: load, Policy: cache.Policy{TTL: time.Hour}}))
	for i := range names {
		mustDo(strs.Set(ctx, names[i], product{ID: int64(i)}))
		mustDo(cache.Set(ctx, c, names[i], product{ID: int64(i)}, cache.TTL(time.Hour)))
		mustDo(ints.Set(ctx, int64(i), product{ID: int64(i)}))
		mustDo(seen.Set(ctx, int64(i), product{ID: int64(i)}))
	}
	var sum int64
	return group{close: func() { mustDo(c.Close()); mustDo(watched.Close()) }, alternatives: []alternative{
		{name: "otter, string key", run: func(n int) {
			for i := range n {
				p, _ := raw.GetIfPresent(names[i%keys])
				sum += p.ID
			}
		}},
		{name: "otter, int64 key", run: func(n int) {
			for i := range n {
				p, _ := byID.GetIfPresent(int64(i % keys))
				sum += p.ID
			}
		}},
		{name: "Kind[string]", run: func(n int) {
			for i := range n {
				p, err := strs.Get(ctx, names[i%keys])
				mustDo(err)
				sum += p.ID
			}
		}},
		{name: "Kind[int64]", run: func(n int) {
			for i := range n {
				p, err := ints.Get(ctx, int64(i%keys))
				mustDo(err)
				sum += p.ID
			}
		}},
		{name: "Get, untyped", run: func(n int) {
			for i := range n {
				p, err := cache.Get[product](ctx, c, names[i%keys])
				mustDo(err)
				sum += p.ID
			}
		}},
		{name: "Fetch, untyped", run: func(n int) {
			for i := range n {
				p, err := cache.Fetch(ctx, c, names[i%keys], func(ctx context.Context) (product, error) { return load(ctx, 0) })
				mustDo(err)
				sum += p.ID
			}
		}},
		{name: "Kind[int64], observed", run: func(n int) {
			for i := range n {
				p, err := seen.Get(ctx, int64(i%keys))
				mustDo(err)
				sum += p.ID
			}
		}},
	}}
}

func must[T any](v T, err error) T {
	mustDo(err)
	return v
}

func mustDo(err error) {
	if err != nil {
		panic(err)
	}
}
