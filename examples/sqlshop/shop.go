package main

import (
	"context"
	"database/sql"
	"errors"
	"sync/atomic"

	"github.com/strata-cache/strata/core/cache"
)

// product is a row of the database.
type product struct {
	ID       int64
	Name     string
	Category string
	Cents    int64
}

// shop reads through the cache, and writes to the database.
type shop struct {
	db         *sql.DB
	cache      *cache.Cache
	products   *cache.Kind[int64, product]
	categories *cache.Kind[string, []product]

	queries atomic.Int64  // sent for answers
	commit  chan struct{} // lets transactions go on that wait
	crash   bool
}

func newShop(c *cache.Cache, db *sql.DB) (*shop, error) {
	s := &shop{db: db, cache: c, commit: make(chan struct{})}
	var errs [2]error
	s.products, errs[0] = cache.NewKind(c, "product", cache.KindOptions[int64, product]{Load: s.loadProduct})
	s.categories, errs[1] = cache.NewKind(c, "category", cache.KindOptions[string, []product]{
		Load: s.loadCategory,
		Tags: func(name string, _ []product) []string { return []string{tag(name)} },
	})
	return s, errors.Join(errs[:]...)
}

// tag is on all that shows the products of a category.
func tag(category string) string { return "category:" + category }

func (s *shop) loadProduct(ctx context.Context, id int64) (p product, err error) {
	s.queries.Add(1)
	row := s.db.QueryRowContext(ctx, `SELECT id, name, category, cents FROM product WHERE id = $1`, id)
	err = row.Scan(&p.ID, &p.Name, &p.Category, &p.Cents)
	if errors.Is(err, sql.ErrNoRows) {
		err = cache.ErrNotFound
	}
	return p, err
}

func (s *shop) loadCategory(ctx context.Context, name string) ([]product, error) {
	s.queries.Add(1)
	rows, err := s.db.QueryContext(ctx, `SELECT id, name, category, cents FROM product WHERE category = $1 ORDER BY id`, name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []product
	for rows.Next() {
		var p product
		if err := rows.Scan(&p.ID, &p.Name, &p.Category, &p.Cents); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if all == nil {
		return nil, cache.ErrNotFound
	}
	return all, nil
}
