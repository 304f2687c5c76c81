package config_test

import (
	"context"
	"fmt"
	"net/url"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/config"
	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/memstore"
)

func ExampleOpen() {
	cfg, err := config.Parse([]byte(`{
		"caches": {
			"default":  {"url": "memory://?max=256MiB", "ttl": "10m", "priority": "important"},
			"sessions": {"url": "shared://localhost:6379/0", "prefix": "shop", "ttl": "12h"}
		}
	}`))
	if err != nil {
		panic(err)
	}
	caches, err := config.Open(cfg, config.Parts{Stores: map[string]config.Opener{
		// A real program has redisstore here.
		"shared": func(*url.URL) (store.Store, error) { return memstore.New(memstore.Options{}) },
	}})
	if err != nil {
		panic(err)
	}
	defer caches.Close()

	ctx := context.Background()
	sessions, err := caches.Get("sessions")
	if err != nil {
		panic(err)
	}
	_ = cache.Set(ctx, sessions, "id", "value")
	fmt.Println(cache.Get[string](ctx, sessions, "id"))
	fmt.Println(caches.Default().Policy().TTL)
	// Output:
	// value <nil>
	// 10m0s
}

func ExampleOverlay() {
	cfg, err := config.Overlay(config.Config{}, []string{
		"STRATA_CACHE_DEFAULT_URL=memory://?max=64MiB",
		"STRATA_CACHE_DEFAULT_TTL=90s",
	})
	fmt.Println(cfg.Caches["default"].TTL, err)
	// Output: 1m30s <nil>
}
