package redisstore_test

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/redisstore"
)

func ExampleOpen() {
	s, err := redisstore.Open("redis://user:password@cache.internal:6379/0?min_idle_conns=4", redisstore.Options{Prefix: "shop:"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()

	now := time.Now().UnixMilli()
	e := &store.Entry{Value: []byte("v"), Times: store.Times{Created: now, Fresh: now + 60_000, Gone: now + 120_000}}
	if err := s.Set(context.Background(), "k", e); err != nil {
		fmt.Println(err) // such as redisstore.ErrTimeout: a cache goes on without
	}
}

// A client for Sentinel, Cluster, or with settings of its own stays the caller's.
func ExampleNew() {
	opts := redisstore.Options{Prefix: "shop:", OpTimeout: 100 * time.Millisecond}
	o := &redis.UniversalOptions{
		MasterName: "cache",
		Addrs:      []string{"sentinel-a:26379", "sentinel-b:26379", "sentinel-c:26379"},
	}
	redisstore.Tune(o, opts)
	client := redis.NewUniversalClient(o)
	defer client.Close()

	s, err := redisstore.New(client, opts)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := s.Ping(context.Background()); err != nil {
		fmt.Println(err)
	}
}
