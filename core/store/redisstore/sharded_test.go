package redisstore_test

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/redisstore"
	"github.com/strata-cache/strata/core/store/storetest"
	"github.com/strata-cache/strata/internal/testserver"
)

// until waits for a condition that another process brings about.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(patient)
	defer deadline.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not within %v: %s", patient, what)
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// cluster starts masters that share the slots, and waits until each agrees that they do.
func cluster(t *testing.T, masters int) (addrs []string) {
	t.Helper()
	ctx := context.Background()
	const slots = 16384
	var clients []*redis.Client
	var buses []string
	for i := range masters {
		bus := freePort(t) // port + 10,000, the default, may be no port
		srv := testserver.Redis(t, "--cluster-enabled", "yes", "--cluster-port", bus)
		c := redis.NewClient(&redis.Options{Addr: srv.Addr})
		t.Cleanup(func() { c.Close() })
		if err := c.ClusterAddSlotsRange(ctx, i*slots/masters, (i+1)*slots/masters-1).Err(); err != nil {
			t.Fatal(err)
		}
		addrs, buses, clients = append(addrs, srv.Addr), append(buses, bus), append(clients, c)
	}
	for i := range masters {
		host, port, _ := net.SplitHostPort(addrs[i])
		if err := clients[0].Do(ctx, "cluster", "meet", host, port, buses[i]).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range clients {
		until(t, "the cluster is complete", func() bool {
			info, err := c.ClusterInfo(ctx).Result()
			return err == nil && containsLine(info, "cluster_state:ok") && containsLine(info, fmt.Sprint("cluster_size:", masters))
		})
	}
	return addrs
}

// overClient runs the contract on stores over one client, which the test owns.
func overClient(t *testing.T, client redis.UniversalClient, each func(context.Context, func(context.Context, *redis.Client) error) error) {
	t.Helper()
	t.Cleanup(func() { client.Close() })
	storetest.Run(t, func(t *testing.T) store.Store {
		s, err := redisstore.New(client, redisstore.Options{OpTimeout: patient})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			err := each(context.Background(), func(ctx context.Context, c *redis.Client) error { return c.FlushDB(ctx).Err() })
			if err != nil {
				t.Error(err)
			}
		})
		return s
	})
	if err := client.Ping(context.Background()).Err(); err != nil {
		t.Errorf("the caller's client does not answer after its stores were closed: %v", err)
	}
}

func TestContractOnACluster(t *testing.T) {
	t.Parallel()
	addrs := cluster(t, 3)
	o := &redis.UniversalOptions{Addrs: addrs}
	redisstore.Tune(o, redisstore.Options{OpTimeout: patient})
	c := redis.NewUniversalClient(o).(*redis.ClusterClient)
	overClient(t, c, c.ForEachMaster)
}

func TestContractOnARing(t *testing.T) {
	t.Parallel()
	a, b := testserver.Redis(t), testserver.Redis(t)
	c := redis.NewRing(&redis.RingOptions{
		Addrs:                 map[string]string{"a": a.Addr, "b": b.Addr},
		ContextTimeoutEnabled: true,
	})
	overClient(t, c, c.ForEachShard)
}
