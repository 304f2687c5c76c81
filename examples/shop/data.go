package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// product is what the shop sells. It holds no pointer, so that all readers of a cached one share it.
type product struct {
	ID       int
	Name     string
	Category string // the category's slug
	Cents    int
	Text     string
}

// Price is the price as people write it.
func (p product) Price() string { return price(p.Cents) }

func price(cents int) string { return fmt.Sprintf("€ %d.%02d", cents/100, cents%100) }

type category struct {
	Slug, Name string
	Products   []int
}

type review struct {
	Author, Text string
	Stars        int
}

// source stands for a database that has seen better days: each query takes from 80 to 300 ms.
type source struct {
	mu         sync.RWMutex
	products   map[int]product
	categories []category
	reviews    map[int][]review
}

// errNoRow is what the source says of what it does not have.
var errNoRow = errors.New("source: no such row")

// query takes its time, or ends with ctx.
func query(ctx context.Context, takes time.Duration) error {
	t := time.NewTimer(takes)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *source) Categories(ctx context.Context) ([]category, error) {
	if err := query(ctx, 120*time.Millisecond); err != nil {
		return nil, err
	}
	return s.categories, nil
}

func (s *source) Category(ctx context.Context, slug string) (category, error) {
	if err := query(ctx, 80*time.Millisecond); err != nil {
		return category{}, err
	}
	i := slices.IndexFunc(s.categories, func(c category) bool { return c.Slug == slug })
	if i < 0 {
		return category{}, errNoRow
	}
	return s.categories[i], nil
}

// Products returns those that exist, in one query.
func (s *source) Products(ctx context.Context, ids ...int) (map[int]product, error) {
	if err := query(ctx, 200*time.Millisecond); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	found := make(map[int]product, len(ids))
	for _, id := range ids {
		if p, ok := s.products[id]; ok {
			found[id] = p
		}
	}
	return found, nil
}

func (s *source) Reviews(ctx context.Context, id int) ([]review, error) {
	if err := query(ctx, 300*time.Millisecond); err != nil {
		return nil, err
	}
	return s.reviews[id], nil
}

// SetPrice changes a product and returns it as it is then.
func (s *source) SetPrice(ctx context.Context, id, cents int) error {
	if err := query(ctx, 80*time.Millisecond); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.products[id]
	if !ok {
		return errNoRow
	}
	p.Cents = cents
	s.products[id] = p
	return nil
}
