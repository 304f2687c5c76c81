package config_test

import (
	"context"
	"errors"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/config"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/memstore"
	"github.com/strata-cache/strata/core/store/tiered"
)

func TestTiersAreParsed(t *testing.T) {
	want := config.Tiers{{URL: "memory://?max=1MiB", MaxTTL: time.Minute, Jitter: 0.1, Name: "near"}, {URL: "redis://host/0"}}
	cfg, err := config.Parse([]byte(`{"caches": {"default": {"tiers": [
		{"url": "memory://?max=1MiB", "max_ttl": "1m", "jitter": 0.1, "name": "near"}, "redis://host/0"
	]}, "flat": {"tiers": "memory:// redis://host/1  sql://host/2"}}}`))
	must(t, err)
	if got := cfg.Caches["default"].Tiers; got != want {
		t.Errorf("got %+v", got)
	}
	if got := cfg.Caches["flat"].Tiers; got != (config.Tiers{{URL: "memory://"}, {URL: "redis://host/1"}, {URL: "sql://host/2"}}) {
		t.Errorf("got %+v", got)
	}
	for variable, want := range map[string]config.Tiers{
		"memory:// null://": {{URL: "memory://"}, {URL: "null://"}},
		` [{"url":"memory://","max_ttl":"off"}, "null://"]`: {{URL: "memory://", MaxTTL: -1}, {URL: "null://"}},
		"": {},
	} {
		got, err := config.Overlay(cfg, []string{"STRATA_CACHE_DEFAULT_TIERS=" + variable})
		must(t, err)
		if got.Caches["default"].Tiers != want {
			t.Errorf("%q: %+v", variable, got.Caches["default"].Tiers)
		}
	}
}

// broken is a store that does not answer.
type broken struct{ store.Store }

var errBroken = errors.New("broken: connection refused")

func (broken) Get(context.Context, string) (*store.Entry, error) { return nil, errBroken }

func TestTiersAreOpened(t *testing.T) {
	cfg, err := config.Parse([]byte(`{"caches": {"default": {"ttl": "1h", "tiers": [
		{"url": "memory://", "max_ttl": "1m"}, "broken://", "shared://"]}}}`))
	must(t, err)
	var opened []*memstore.Store
	memory := func() (*memstore.Store, error) {
		s, err := memstore.New(memstore.Options{})
		opened = append(opened, s)
		return s, err
	}
	var failures atomic.Int64
	m, err := config.Open(cfg, config.Parts{
		Observer: &event.Observer{StoreError: func(_ context.Context, e event.StoreError) {
			if e.Cache == "default" && e.Op == event.OpGet && errors.Is(e.Err, errBroken) {
				failures.Add(1)
			}
		}},
		Stores: map[string]config.Opener{
			"shared": func(*url.URL) (store.Store, error) { return memory() },
			"broken": func(*url.URL) (store.Store, error) { s, err := memory(); return broken{s}, err },
		},
	})
	must(t, err)
	defer func() { must(t, m.Close()) }()
	c, ctx := m.Default(), context.Background()
	if _, ok := c.Store().(*tiered.Store); !ok {
		t.Fatalf("the store is a %T", c.Store())
	}
	must(t, cache.Set(ctx, c, "k", "v"))
	key, err := c.Key("k")
	must(t, err)
	front, _ := store.As[store.Fronted](c.Store())
	if e := front.Peek([]byte(key)); e == nil || e.Gone > time.Now().Add(time.Minute).UnixMilli() {
		t.Errorf("in the first tier: %+v", e)
	}
	front.DropFront(key)
	if v, err := cache.Get[string](ctx, c, "k"); v != "v" || err != nil {
		t.Errorf("Get = %q, %v", v, err)
	}
	if failures.Load() == 0 {
		t.Error("the observer does not learn of a tier that fails")
	}
	must(t, m.Close())
	for _, s := range opened {
		if s.Ping(ctx) == nil {
			t.Error("a tier is left open")
		}
	}
}

func TestTiersHalfWay(t *testing.T) {
	boom := errors.New("no route to host")
	var opened []*trackedStore
	cfg := config.Config{Caches: map[string]config.Cache{
		"default": {Tiers: config.Tiers{{URL: "ok://"}, {URL: "ok://"}, {URL: "bad://"}}},
	}}
	_, err := config.Open(cfg, config.Parts{Stores: map[string]config.Opener{
		"ok": func(*url.URL) (store.Store, error) {
			s, err := memstore.New(memstore.Options{})
			tracked := &trackedStore{Store: s}
			opened = append(opened, tracked)
			return tracked, err
		},
		"bad": func(*url.URL) (store.Store, error) { return nil, boom },
	}})
	var fe *config.FieldError
	if !errors.Is(err, boom) || !errors.As(err, &fe) || fe.Field != "tiers" {
		t.Errorf("got %v", err)
	}
	if len(opened) != 2 || !opened[0].closed || !opened[1].closed {
		t.Errorf("opened %d: %+v", len(opened), opened)
	}
}
