// Command shop is a small catalogue over a slow data source, with a cache at every layer: whole pages,
// fragments of pages, and the objects that they are made of.
//
//	go run ./examples/shop
//	go run ./examples/shop -framework gin -redis redis://127.0.0.1:6379
//
// Open http://127.0.0.1:8080, follow a link twice, and compare. Each page says in its footer when and of
// what it was rendered; the headers Cache-Status and Server-Timing tell what each single answer cost, from
// the page cache or not. /stats has the counts of the whole process.
//
// With -redis several shops share what they have cached: each has a copy in its memory, and a price that is
// changed in one of them is new in all. They go on where Redis does not. Try -redis redis://127.0.0.1:1,
// where nobody listens.
//
// SIGINT and SIGTERM end it when the requests in flight are answered. Bad usage is exit status 2.
package main

import (
	"errors"
	"flag"
	"log/slog"
	"net/http"
	"os"

	"github.com/redis/go-redis/v9/logging"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/memstore"
	"github.com/strata-cache/strata/core/store/redisstore"
	"github.com/strata-cache/strata/core/store/tiered"
	"github.com/strata-cache/strata/examples/internal/serve"
	"github.com/strata-cache/strata/stats"
)

// frameworks mount the site, each in a file of its own.
var frameworks = map[string]func(*site) http.Handler{
	"nethttp": mountNetHTTP,
	"gin":     mountGin,
	"echo":    mountEcho,
	"echo5":   mountEcho5,
}

func main() {
	serve.Exit("shop", run(os.Args[1:], slog.New(slog.NewTextHandler(os.Stderr, nil))))
}

func run(args []string, logger *slog.Logger) error {
	flags := flag.NewFlagSet("shop", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:8080", "`address` to listen on")
	framework := flags.String("framework", "nethttp", "what serves the site: nethttp, gin, echo or echo5")
	redis := flags.String("redis", "", "`URL` of a Redis server behind this process's memory, which several processes share")
	if err := serve.Parse(flags, args); err != nil {
		return err
	}
	mount, ok := frameworks[*framework]
	if !ok {
		return serve.Usagef("-framework %q is none of nethttp, gin, echo and echo5", *framework)
	}
	recorder, err := stats.New(stats.Options{})
	if err != nil {
		return err
	}
	st, err := open(*redis, recorder.Observer())
	if err != nil {
		return err
	}
	c, err := cache.New(st, cache.Options{Prefix: "shop", Observer: recorder.Observer(), Logger: logger})
	if err != nil {
		return err
	}
	s, err := newSite(c, newSource(), recorder, logger)
	if err != nil {
		return err
	}
	return errors.Join(serve.Run(*listen, mount(s), logger), c.Close())
}

// open opens the store: memory, in front of Redis where there is one. A Redis server is not dialled before it
// is needed.
func open(redis string, observer *event.Observer) (store.Store, error) {
	memory, err := memstore.New(memstore.Options{Observer: observer})
	if err != nil || redis == "" {
		return memory, err
	}
	logging.Disable() // it writes a line for each failed dial; the cache's logger writes one a minute
	remote, err := redisstore.Open(redis, redisstore.Options{})
	if err != nil {
		return nil, errors.Join(serve.Usagef("-redis: %w", err), memory.Close())
	}
	return tiered.New(tiered.Options{Tiers: []tiered.Tier{{Store: memory}, {Store: remote}}})
}
