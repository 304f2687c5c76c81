// Command sqlshop shows how a cache keeps step with an application's own database: the price of a product is
// changed in an SQL transaction, and what is cached of it ends when that commits, not before, and whatever
// happens in between. All of it is in edit.go.
//
// It is a module of its own, for the drivers' sake: run it in this folder. Without flags it is one process, with
// a database in ./sqlshop.db:
//
//	go run .
//	curl http://127.0.0.1:8080/product/1
//	curl http://127.0.0.1:8080/category/pens
//	curl -d price=1250 http://127.0.0.1:8080/product/1
//
// Each answer says how many queries this process has sent for answers so far: what is cached sends none.
//
// Two processes over one database and one Redis share what they have cached:
//
//	go run . -redis redis://127.0.0.1:6379 -listen 127.0.0.1:8080
//	go run . -redis redis://127.0.0.1:6379 -listen 127.0.0.1:8081
//
// Leave a transaction open, and look at the product in both. The old price is still what counts, and each look
// sends a query, since nothing that is read now may be cached; after the commit the new price is there in both:
//
//	curl -d price=1490 -d wait=yes http://127.0.0.1:8080/product/1 &
//	curl http://127.0.0.1:8081/product/1
//	curl -X POST http://127.0.0.1:8080/commit
//
// Start the first one with -crash-after-commit, and it dies as soon as a price is committed, before anything
// could be told of it. The other one has the new price nevertheless, and has cached it again ten seconds later.
//
// With -postgres URL the database is PostgreSQL. SIGINT and SIGTERM end the program when the requests in flight
// are answered. Bad usage is exit status 2.
package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"os"
	"time"

	"github.com/redis/go-redis/v9/logging"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/memstore"
	"github.com/strata-cache/strata/core/store/redisstore"
	"github.com/strata-cache/strata/core/store/tiered"
	"github.com/strata-cache/strata/examples/internal/serve"
)

func main() {
	serve.Exit("sqlshop", run(os.Args[1:], slog.New(slog.NewTextHandler(os.Stderr, nil))))
}

func run(args []string, logger *slog.Logger) error {
	flags := flag.NewFlagSet("sqlshop", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:8080", "`address` to listen on")
	file := flags.String("db", "sqlshop.db", "`file` of the SQLite database, which is made if it is missing")
	postgres := flags.String("postgres", "", "`URL` of a PostgreSQL database, in place of SQLite")
	redis := flags.String("redis", "", "`URL` of the Redis server that processes share; without it there is one process")
	timeout := flags.Duration("timeout", cache.DefaultStoreTimeout, "how long Redis may take to answer")
	crash := flags.Bool("crash-after-commit", false, "die once a price is committed, before anything is told of it")
	if err := serve.Parse(flags, args); err != nil {
		return err
	}
	if *timeout <= 0 {
		return serve.Usagef("-timeout has to be positive")
	}
	st, err := openStore(*redis, *timeout)
	if err != nil {
		return err
	}
	c, err := cache.New(st, cache.Options{Prefix: "sqlshop", StoreTimeout: *timeout, Logger: logger})
	if err != nil {
		return errors.Join(err, st.Close())
	}
	db, err := openDatabase(context.Background(), *file, *postgres)
	if err != nil {
		return errors.Join(err, c.Close())
	}
	s, err := newShop(c, db)
	if err == nil {
		s.crash = *crash
		err = serve.Run(*listen, s.handler(), logger)
	}
	return errors.Join(err, c.Close(), db.Close())
}

// openStore opens this process's memory, in front of a Redis server where there is one.
func openStore(redis string, timeout time.Duration) (store.Store, error) {
	memory, err := memstore.New(memstore.Options{})
	if err != nil || redis == "" {
		return memory, err
	}
	logging.Disable() // go-redis writes a line for each failed dial
	shared, err := redisstore.Open(redis, redisstore.Options{Prefix: "sqlshop:", OpTimeout: timeout})
	if err != nil {
		return nil, errors.Join(serve.Usagef("-redis: %w", err), memory.Close())
	}
	st, err := tiered.New(tiered.Options{Tiers: []tiered.Tier{{Store: memory}, {Store: shared}}})
	if err != nil {
		return nil, errors.Join(err, memory.Close(), shared.Close())
	}
	return st, nil
}
