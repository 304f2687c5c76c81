package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/strata-cache/strata/core/cache"
)

const (
	// ttl is how long a product that nobody renews is served.
	ttl = time.Minute
	// refresher is the name under which products travel to the workers.
	refresher = "product"
)

// product says by whom and when it was made.
type product struct {
	ID    int64
	Price int64 // in cents
	Maker int   // a process id
	Made  time.Time
}

// products are what is cached.
type products struct {
	kind *cache.Kind[int64, product]
}

func newProducts(c *cache.Cache) (*products, error) {
	kind, err := cache.NewKind(c, "product", cache.KindOptions[int64, product]{
		Policy: cache.Policy{TTL: ttl},
		Load:   load,
	})
	return &products{kind}, err
}

// load stands for a slow query.
func load(ctx context.Context, id int64) (product, error) {
	if id < 1 || id > 1000 {
		return product{}, cache.ErrNotFound
	}
	select {
	case <-time.After(time.Second):
		now := time.Now()
		return product{ID: id, Price: id*100 + now.Unix()%100, Maker: os.Getpid(), Made: now}, nil
	case <-ctx.Done():
		return product{}, ctx.Err()
	}
}

// renew is the refresher: it runs in a worker. arg is the id.
func (p *products) renew(ctx context.Context, arg string) error {
	id, err := strconv.ParseInt(arg, 10, 64)
	if err != nil {
		return fmt.Errorf("worker: %q is no id", arg)
	}
	made, err := load(ctx, id)
	if err != nil {
		return err
	}
	return p.kind.Set(ctx, id, made)
}
