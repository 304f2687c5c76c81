package main

import (
	"log/slog"
	"net/url"
	"strings"

	"github.com/redis/go-redis/v9/logging"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/config"
	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/redisstore"
	"github.com/strata-cache/strata/examples/internal/serve"
)

// open opens the one cache, over the store that text names. Nothing is dialled yet.
func open(text string, logger *slog.Logger) (*cache.Manager, error) {
	if text == "memory" {
		text = "memory://"
	}
	if scheme, _, ok := strings.Cut(text, "://"); !ok || scheme != "memory" && scheme != "redis" && scheme != "rediss" {
		return nil, serve.Usagef("-store is neither memory nor a URL that begins with redis:// or rediss://")
	}
	logging.Disable() // go-redis writes a line for each failed dial; the cache's logger writes one a minute
	redis := func(u *url.URL) (store.Store, error) { return redisstore.Open(u.String(), redisstore.Options{}) }
	caches, err := config.Open(
		config.Config{Caches: map[string]config.Cache{cache.DefaultAlias: {URL: config.URL(text), Prefix: "proxy"}}},
		config.Parts{Stores: map[string]config.Opener{"redis": redis, "rediss": redis}, Logger: logger},
	)
	if err != nil {
		return nil, serve.Usagef("-store: %w", err)
	}
	return caches, nil
}
