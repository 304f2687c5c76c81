package cache_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/store/memstore"
)

type article struct {
	ID    int64
	Title string
}

func ExampleNew() {
	st, err := memstore.New(memstore.Options{MaxBytes: 64 << 20})
	if err != nil {
		panic(err)
	}
	c, err := cache.New(st, cache.Options{Name: "default", Prefix: "shop", Policy: cache.Policy{TTL: 5 * time.Minute}})
	if err != nil {
		panic(err)
	}
	defer c.Close()

	ctx := context.Background()
	_ = cache.Set(ctx, c, "greeting", "hello", cache.TTL(time.Minute))
	greeting, err := cache.Get[string](ctx, c, "greeting")
	fmt.Println(greeting, err)

	_, err = cache.Get[string](ctx, c, "nothing")
	fmt.Println(errors.Is(err, cache.ErrMiss))
	// Output:
	// hello <nil>
	// true
}

func ExampleNewKind() {
	c := cache.Must(cache.New(cache.Must(memstore.New(memstore.Options{})), cache.Options{}))
	defer c.Close()

	articles, err := cache.NewKind(c, "article", cache.KindOptions[int64, article]{
		Policy: cache.Policy{TTL: 10 * time.Minute, NegativeTTL: 30 * time.Second, StaleFor: time.Hour},
		Load: func(_ context.Context, id int64) (article, error) {
			if id > 99 {
				return article{}, cache.ErrNotFound
			}
			fmt.Println("loading", id)
			return article{id, fmt.Sprintf("Article %d", id)}, nil
		},
	})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	for range 2 {
		a, err := articles.Get(ctx, 7)
		fmt.Println(a.Title, err)
	}
	_, err = articles.Get(ctx, 100)
	fmt.Println(errors.Is(err, cache.ErrNotFound))
	// Output:
	// loading 7
	// Article 7 <nil>
	// Article 7 <nil>
	// true
}

func ExampleFetch() {
	c := cache.Must(cache.New(cache.Must(memstore.New(memstore.Options{})), cache.Options{}))
	defer c.Close()

	ctx := context.Background()
	count := func(ctx context.Context) (int, error) {
		fmt.Println("counting")
		return 42, nil
	}
	for range 2 {
		n, err := cache.Fetch(ctx, c, "articles:count", count, cache.TTL(time.Minute))
		fmt.Println(n, err)
	}
	// Output:
	// counting
	// 42 <nil>
	// 42 <nil>
}

func ExampleLoadFrom() {
	c := cache.Must(cache.New(cache.Must(memstore.New(memstore.Options{})), cache.Options{}))
	defer c.Close()

	load := func(ctx context.Context) (string, error) {
		l := cache.LoadFrom(ctx)
		l.AddTags("team:7")
		l.SetTTL(time.Hour) // the loader knows better than the policy
		return "report", nil
	}
	v, err := cache.Fetch(context.Background(), c, "report", load)
	fmt.Println(v, err)
	// Output: report <nil>
}

func ExampleManager() {
	open := func(name string, ttl time.Duration) *cache.Cache {
		st := cache.Must(memstore.New(memstore.Options{}))
		return cache.Must(cache.New(st, cache.Options{Name: name, Policy: cache.Policy{TTL: ttl}}))
	}
	caches, err := cache.NewManager(map[string]*cache.Cache{
		"default":  open("default", 5*time.Minute),
		"sessions": open("sessions", 12*time.Hour),
	})
	if err != nil {
		panic(err)
	}
	defer caches.Close()

	for name, c := range caches.All() {
		fmt.Println(name, c.Policy().TTL)
	}
	_, err = caches.Get("nobody")
	fmt.Println(err)
	// Output:
	// default 5m0s
	// sessions 12h0m0s
	// cache: unknown cache: "nobody"
}
