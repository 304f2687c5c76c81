package cache_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/store/redisstore"
	"github.com/strata-cache/strata/core/store/tiered"
	"github.com/strata-cache/strata/internal/testserver"
)

// nodeAt is member behind an address of its own.
func nodeAt(tb testing.TB, url string, opts cache.Options) *cache.Cache {
	tb.Helper()
	remote := cache.Must(redisstore.Open(url, redisstore.Options{Prefix: "fleet:", OpTimeout: opts.StoreTimeout}))
	return open(tb, cache.Must(tiered.New(tiered.Options{Tiers: []tiered.Tier{{Store: memory(tb)}, {Store: remote}}})), opts)
}

// logName is what the log of a fleet is called on its server.
const logName = "fleet:{log}"

// adminOf returns a client for what no cache does.
func adminOf(tb testing.TB, srv *testserver.Server) *redis.Client {
	tb.Helper()
	client := redis.NewClient(&redis.Options{Addr: srv.Addr, ReadTimeout: 10 * time.Second})
	tb.Cleanup(func() { _ = client.Close() })
	return client
}

// eventually repeats what fails while a server comes back.
func eventually(do func() error) error {
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := do()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-deadline:
			return err
		}
	}
}
