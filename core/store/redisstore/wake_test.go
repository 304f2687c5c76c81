package redisstore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/redisstore"
	"github.com/strata-cache/strata/internal/testserver"
)

// TestWakesEndWithTheConnection: between two subscriptions wake-ups are lost, and the caller must know.
func TestWakesEndWithTheConnection(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]func(*testserver.Server, *redis.Client){
		"killed by the server": func(_ *testserver.Server, admin *redis.Client) {
			admin.Do(context.Background(), "client", "kill", "type", "pubsub")
		},
		"server killed": func(srv *testserver.Server, _ *redis.Client) { srv.Kill() },
		"server hung":   func(srv *testserver.Server, _ *redis.Client) { srv.Pause() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := testserver.Redis(t)
			s := open(t, srv.URL(), redisstore.Options{OpTimeout: time.Second})
			admin := redis.NewClient(&redis.Options{Addr: srv.Addr})
			defer admin.Close()
			ended, ready := make(chan error, 1), make(chan struct{})
			go func() {
				ended <- s.Wakes(t.Context(), "node", func() { close(ready) }, func(store.Wake) {})
			}()
			<-ready
			cut(srv, admin)
			select {
			case err := <-ended:
				if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, store.ErrClosed) {
					t.Errorf("Wakes: %v", err)
				}
			case <-time.After(patient):
				t.Error("Wakes goes on")
			}
		})
	}
}

// TestWakesThroughASilence: a subscription that is silent for longer than it is probed goes on.
func TestWakesThroughASilence(t *testing.T) {
	srv := testserver.Redis(t)
	s := open(t, srv.URL(), redisstore.Options{OpTimeout: patient})
	admin := redis.NewClient(&redis.Options{Addr: srv.Addr})
	defer admin.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended, ready, got := make(chan error, 1), make(chan struct{}), make(chan store.Wake, 1)
	go func() { ended <- s.Wakes(ctx, "node", func() { close(ready) }, func(w store.Wake) { got <- w }) }()
	<-ready
	until(t, "the subscription is probed", func() bool {
		info, err := admin.Info(ctx, "commandstats").Result()
		return err == nil && calls(info, "ping") >= 2
	})
	if err := admin.Publish(ctx, redisstore.DefaultPrefix+"{wake}node", "nonsense").Err(); err != nil {
		t.Error(err)
	}
	if err := admin.Publish(ctx, redisstore.DefaultPrefix+"{wake}node", "3 250 8 strata:k").Err(); err != nil {
		t.Error(err)
	}
	if w := woken(t, got); w != (store.Wake{Key: "k", Result: store.LeaseFailed, BackOff: 250 * time.Millisecond}) {
		t.Errorf("woken by %+v", w)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Wakes: %v", err)
	}
}

// TestWakesOfALostShard: a Ring that loses a shard ends the subscription.
func TestWakesOfALostShard(t *testing.T) {
	a, b := testserver.Redis(t), testserver.Redis(t)
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": a.Addr, "b": b.Addr}, ContextTimeoutEnabled: true})
	defer ring.Close()
	s, err := redisstore.New(ring, redisstore.Options{OpTimeout: patient})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ended, ready := make(chan error, 1), make(chan struct{})
	go func() { ended <- s.Wakes(t.Context(), "node", func() { close(ready) }, func(store.Wake) {}) }()
	<-ready
	b.Kill()
	if err := <-ended; err == nil || errors.Is(err, store.ErrClosed) {
		t.Errorf("Wakes: %v", err)
	}
	a.Kill()
	until(t, "the ring has no shard", func() bool { return ring.Len() == 0 })
	if err := s.Wakes(t.Context(), "node", func() {}, func(store.Wake) {}); err == nil {
		t.Error("Wakes without a server succeeds")
	}
}
