package main

import (
	"context"
	"os"
	"time"

	"github.com/strata-cache/strata/core/cache"
)

// ttl is how long a product that nobody renews is served.
const ttl = time.Minute

// product says by whom and when it was made.
type product struct {
	ID    int64
	Price int64 // in cents
	Maker int   // a process id
	Made  time.Time
}

// products are what is cached.
type products = *cache.Kind[int64, product]

// newProducts returns products that are renewed from the age of soft on. Jitter is off so that the age is
// exact, for who watches.
func newProducts(c *cache.Cache, soft, query time.Duration) (products, error) {
	return cache.NewKind(c, "product", cache.KindOptions[int64, product]{
		Policy: cache.Policy{TTL: ttl, RefreshAt: float64(soft) / float64(ttl), Jitter: -1},
		Load:   loader(query),
	})
}

// loader stands for a query that takes that long.
func loader(query time.Duration) func(context.Context, int64) (product, error) {
	return func(ctx context.Context, id int64) (product, error) {
		if id < 1 || id > 1000 {
			return product{}, cache.ErrNotFound
		}
		select {
		case <-time.After(query):
			now := time.Now()
			return product{ID: id, Price: id*100 + now.Unix()%100, Maker: os.Getpid(), Made: now}, nil
		case <-ctx.Done():
			return product{}, ctx.Err()
		}
	}
}
