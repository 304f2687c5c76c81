// Command worker shows a cache whose values are renewed by other processes than those that serve them: web
// processes answer with what is there, and workers make it anew. Start Redis, a worker, and any number of
// web processes:
//
//	go run ./examples/worker -worker
//	go run ./examples/worker -listen 127.0.0.1:8080
//	go run ./examples/worker -listen 127.0.0.1:8081
//	curl http://127.0.0.1:8080/product/42
//
// The first answer takes a second, because nothing is cached. It says which process has made it. From -soft
// on it is still answered at once, but a worker is told to make a new one: once, however many requests and
// web processes there are. Kill the worker with kill -9 while it works on one, and another goes on with it
// some 15 seconds later.
//
// All of it is Policy.RefreshAt, which says when a product is renewed, cache.Options.Fleet, which says where
// that is queued, and Kind.Refresher, which the workers register.
//
// SIGINT and SIGTERM end either when what they are doing is done. Bad usage is exit status 2.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9/logging"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/guard/refresh/asynqrefresh"
	"github.com/strata-cache/strata/core/store/redisstore"
	"github.com/strata-cache/strata/examples/internal/serve"
)

func main() {
	serve.Exit("worker", run(os.Args[1:], slog.New(slog.NewTextHandler(os.Stderr, nil))))
}

func run(args []string, logger *slog.Logger) error {
	flags := flag.NewFlagSet("worker", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:8080", "`address` to listen on, of a web process")
	redis := flags.String("redis", "redis://127.0.0.1:6379", "`URL` of the Redis server")
	soft := flags.Duration("soft", 5*time.Second, "age from which a product is renewed")
	query := flags.Duration("query", time.Second, "what making a product takes")
	timeout := flags.Duration("timeout", cache.DefaultStoreTimeout, "how long Redis may take to answer")
	work := flags.Bool("worker", false, "renew products instead of serving them")
	if err := serve.Parse(flags, args); err != nil {
		return err
	}
	switch {
	case *soft <= 0 || *soft >= ttl:
		return serve.Usagef("-soft has to lie between 0 and %v", ttl)
	case *query < 0 || *timeout <= 0:
		return serve.Usagef("-query and -timeout are no negative times")
	}
	logging.Disable() // go-redis writes a line for each failed dial
	s, err := redisstore.Open(*redis, redisstore.Options{Prefix: "worker:", OpTimeout: *timeout})
	if err != nil {
		return serve.Usagef("-redis: %w", err)
	}
	server, err := asynq.ParseRedisURI(*redis)
	if err != nil {
		return errors.Join(serve.Usagef("-redis is no URL that asynq understands"), s.Close())
	}
	fleet, err := asynqrefresh.New(asynqrefresh.Options{Redis: server, Queue: "worker", Logger: logger})
	if err != nil {
		return errors.Join(err, s.Close())
	}
	c, err := cache.New(s, cache.Options{Prefix: "shop", StoreTimeout: *timeout, Fleet: fleet, Logger: logger})
	if err != nil {
		return errors.Join(err, fleet.Close(), s.Close())
	}
	products, err := newProducts(c, *soft, *query)
	switch {
	case err != nil:
	case *work:
		err = runWorker(fleet, products)
	default:
		err = serve.Run(*listen, site{products}, logger)
	}
	return errors.Join(err, c.Close(), fleet.Close()) // the cache first: it may have something to hand over
}

// runWorker renews products until a signal comes.
func runWorker(fleet *asynqrefresh.Queue, products products) error {
	if err := fleet.Register(products.Refresher()); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	fmt.Fprintln(os.Stderr, "working")
	context.AfterFunc(ctx, func() { fmt.Fprintln(os.Stderr, "draining") })
	return fleet.Run(ctx)
}
