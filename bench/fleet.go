package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/redis/go-redis/v9"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/memstore"
	"github.com/strata-cache/strata/core/store/redisstore"
	"github.com/strata-cache/strata/core/store/tiered"
	"github.com/strata-cache/strata/internal/testserver"
)

// patience is what a server has to answer: a busy machine is not to be taken for a server that is away.
const patience = 5 * time.Second

// heartbeat keeps what is not asked for out of the counts.
const heartbeat = time.Minute

// fleetSections are what a real server takes part in.
func fleetSections() []section {
	return []section{
		{"fleet: object hit in the first tier, 1,024 keys", firstTier},
		{"fleet: object hit in the shared tier, alone, 1 KiB", sharedTier},
		{"fleet: round trips, as the server saw them", func() group { return withServer(trips) }},
		{"fleet: latencies between instances", func() group { return withServer(latencies) }},
		{"fleet: 8 instances x 50 callers x 1 cold key, loader of 20 ms", func() group { return withServer(stampede) }},
	}
}

func withServer(show func(srv *testserver.Server, rounds int)) group {
	srv := must(testserver.Start())
	return group{table: func(rounds int) { show(srv, rounds) }, close: srv.Stop}
}

// node is an instance of an application: its own client, connections, first tier and mirror.
type node struct {
	*cache.Cache
	client *redis.Client
	shared *redisstore.Store
	// dropped receives the keys whose copies leave the first tier.
	dropped chan string
}

// firstTierStore tells of what is removed from it.
type firstTierStore struct {
	*memstore.Store
	dropped chan<- string
}

func (s firstTierStore) Delete(ctx context.Context, keys ...string) (int, error) {
	n, err := s.Store.Delete(ctx, keys...)
	for _, k := range keys {
		select {
		case s.dropped <- k:
		default:
		}
	}
	return n, err
}

// newNode returns a node called name; without a first tier where that is not wanted.
func newNode(srv *testserver.Server, name string, first bool) *node {
	o := must(redis.ParseURL(srv.URL()))
	o.ClientName, o.ContextTimeoutEnabled, o.MaxRetries = name, true, -1
	n := &node{client: redis.NewClient(o), dropped: make(chan string, 16)}
	n.shared = must(redisstore.New(n.client, redisstore.Options{OpTimeout: patience}))
	var st store.Store = n.shared
	if first {
		l1 := firstTierStore{must(memstore.New(memstore.Options{})), n.dropped}
		st = must(tiered.New(tiered.Options{Tiers: []tiered.Tier{{Store: l1}, {Store: n.shared}}}))
	}
	n.Cache = must(cache.New(st, cache.Options{
		Prefix: "shop", StoreTimeout: patience, Heartbeat: heartbeat, DegradedL1TTL: 3 * heartbeat,
		Policy: cache.Policy{Jitter: -1},
	}))
	_, err := n.Has(context.Background(), "anything") // waits until the log was read
	mustDo(err)
	return n
}

func (n *node) close() {
	mustDo(n.Close())
	mustDo(n.client.Close())
}

// firstTier compares a hit in the first of two tiers, with everything that keeps it coherent, with the
// store alone.
func firstTier() group {
	ctx := context.Background()
	srv := must(testserver.Start())
	raw := must(otter.New(&otter.Options[string, *product]{MaximumSize: 3 * keys / 2}))
	l1 := must(memstore.New(memstore.Options{}))
	alone := must(cache.New(must(memstore.New(memstore.Options{})), cache.Options{Prefix: "shop"}))
	n := newNode(srv, "node", true)
	fresh := cache.KindOptions[int64, product]{Policy: cache.Policy{TTL: time.Hour}}
	local, both := must(cache.NewKind(alone, "product", fresh)), must(cache.NewKind(n.Cache, "product", fresh))
	names := make([]string, keys)
	finals := make([][]byte, keys)
	for i := range names {
		names[i] = "shop:1:product:" + strconv.Itoa(i)
		finals[i] = []byte(names[i])
		p := product{ID: int64(i)}
		raw.Set(names[i], &p)
		mustDo(l1.Set(ctx, names[i], &store.Entry{Value: make([]byte, 64)}))
		mustDo(local.Set(ctx, int64(i), p))
		mustDo(both.Set(ctx, int64(i), p))
		mustDo(cache.Set(ctx, n.Cache, names[i], p, cache.TTL(time.Hour)))
	}
	var sum int64
	kind := func(k *cache.Kind[int64, product]) func(int) {
		return func(n int) {
			for i := range n {
				sum += must(k.Get(ctx, int64(i%keys))).ID
			}
		}
	}
	return group{close: func() { n.close(); mustDo(alone.Close()); mustDo(l1.Close()); srv.Stop() }, alternatives: []alternative{
		{name: "otter, string key", run: func(n int) {
			for i := range n {
				p, _ := raw.GetIfPresent(names[i%keys])
				sum += p.ID
			}
		}},
		{name: "memstore", run: func(n int) {
			for i := range n {
				sum += int64(len(l1.GetBorrowed(finals[i%keys]).Value))
			}
		}},
		{name: "Kind over memstore", run: kind(local)},
		{name: "Kind over two tiers", run: kind(both)},
		{name: "Get over two tiers", run: func(c int) {
			for i := range c {
				sum += must(cache.Get[product](ctx, n.Cache, names[i%keys])).ID
			}
		}},
	}}
}

// sharedTier compares a hit in Redis with the client alone.
func sharedTier() group {
	ctx := context.Background()
	srv := must(testserver.Start())
	n := newNode(srv, "node", false)
	value := make([]byte, 1<<10)
	mustDo(n.client.Set(ctx, "raw", value, time.Hour).Err())
	blobs := must(cache.NewKind(n.Cache, "blob", cache.KindOptions[int64, []byte]{Policy: cache.Policy{TTL: time.Hour, Shared: true}}))
	mustDo(blobs.Set(ctx, 1, value))
	mustDo(cache.Set(ctx, n.Cache, "blob", value, cache.TTL(time.Hour)))
	final := must(n.Key("blob"))
	var size int
	repeated := func(get func() (int, error)) func(int) {
		return func(n int) {
			for range n {
				size += must(get())
			}
		}
	}
	return group{close: func() { n.close(); srv.Stop() }, alternatives: []alternative{
		{name: "go-redis Get", run: repeated(func() (int, error) {
			v, err := n.client.Get(ctx, "raw").Bytes()
			return len(v), err
		})},
		{name: "go-redis Get, 5 s deadline", run: repeated(func() (int, error) {
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			v, err := n.client.Get(ctx, "raw").Bytes()
			return len(v), err
		})},
		{name: "redisstore Get", run: repeated(func() (int, error) {
			e, err := n.shared.Get(ctx, final)
			if err != nil {
				return 0, fmt.Errorf("redisstore: %w", err)
			}
			return len(e.Value), nil
		})},
		{name: "Get", run: repeated(func() (int, error) {
			v, err := cache.Get[[]byte](ctx, n.Cache, "blob")
			return len(v), err
		})},
		{name: "Kind", run: repeated(func() (int, error) {
			v, err := blobs.Get(ctx, 1)
			return len(v), err
		})},
	}}
}
