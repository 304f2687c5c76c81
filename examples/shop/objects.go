package main

import (
	"context"
	"errors"
	"time"

	"github.com/strata-cache/strata/core/cache"
)

// objects are what the site knows, cached one by one: a page is rendered from them, and so is the cart,
// which is no page that could be cached.
type objects struct {
	cache      *cache.Cache
	source     *source
	products   *cache.Kind[int, product]
	categories *cache.Kind[string, category]
	reviews    *cache.Kind[int, []review]
}

func newObjects(c *cache.Cache, src *source) (o *objects, err error) {
	o = &objects{cache: c, source: src}
	o.products, err = cache.NewKind(c, "product", cache.KindOptions[int, product]{
		// Somebody who tries all ids asks the source once for each, and then not for 30 seconds.
		Policy: cache.Policy{TTL: 10 * time.Minute, NegativeTTL: 30 * time.Second, Priority: cache.Important},
		Load: func(ctx context.Context, id int) (product, error) {
			found, err := src.Products(ctx, id)
			if err != nil {
				return product{}, err
			}
			p, ok := found[id]
			if !ok {
				return product{}, cache.ErrNotFound
			}
			return p, nil
		},
		LoadMany: func(ctx context.Context, ids []int) (map[int]product, error) { return src.Products(ctx, ids...) },
		Tags:     func(_ int, p product) []string { return []string{"category:" + p.Category} },
	})
	if err != nil {
		return nil, err
	}
	o.categories, err = cache.NewKind(c, "category", cache.KindOptions[string, category]{
		// Shared: nobody modifies the slice of a category, so that nobody needs a copy of his own.
		Policy: cache.Policy{TTL: time.Hour, Shared: true},
		Load: func(ctx context.Context, slug string) (category, error) {
			found, err := src.Category(ctx, slug)
			if errors.Is(err, errNoRow) {
				err = cache.ErrNotFound
			}
			return found, err
		},
	})
	if err != nil {
		return nil, err
	}
	o.reviews, err = cache.NewKind(c, "reviews", cache.KindOptions[int, []review]{
		Policy: cache.Policy{TTL: 5 * time.Minute, Shared: true},
		Load:   src.Reviews,
	})
	return o, err
}

// allCategories is one list, and no kind: a key will do.
func (o *objects) allCategories(ctx context.Context) ([]category, error) {
	return cache.Fetch(ctx, o.cache, "categories", o.source.Categories, cache.TTL(time.Hour))
}

// inOrder returns the products of the ids in their order, without those that do not exist.
func (o *objects) inOrder(ctx context.Context, ids []int) ([]product, error) {
	found, err := o.products.GetMany(ctx, ids)
	if err != nil {
		return nil, err
	}
	list := make([]product, 0, len(ids))
	for _, id := range ids {
		if p, ok := found[id]; ok {
			list = append(list, p)
		}
	}
	return list, nil
}
