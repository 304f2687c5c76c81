package tiered_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"

	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/memstore"
	"github.com/strata-cache/strata/core/store/redisstore"
	"github.com/strata-cache/strata/core/store/storetest"
	"github.com/strata-cache/strata/core/store/tiered"
	"github.com/strata-cache/strata/internal/testserver"
)

// shared is the server of all tests.
var shared testserver.Lazy

func TestMain(m *testing.M) {
	logging.Disable()
	code := m.Run()
	shared.Stop()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func memory(tb testing.TB) *memstore.Store {
	tb.Helper()
	s, err := memstore.New(memstore.Options{})
	must(tb, err)
	tb.Cleanup(func() { must(tb, s.Close()) })
	return s
}

// redisTier opens an empty store on the shared server.
func redisTier(tb testing.TB) store.Store {
	tb.Helper()
	s, err := redisstore.Open(shared.Redis(tb).URL(), redisstore.Options{
		Prefix: strings.ToLower(rand.Text()) + ":", OpTimeout: 20 * time.Second,
	})
	must(tb, err)
	tb.Cleanup(func() { must(tb, s.Close()) })
	return s
}

func open(tb testing.TB, opts tiered.Options) *tiered.Store {
	tb.Helper()
	s, err := tiered.New(opts)
	must(tb, err)
	tb.Cleanup(func() { must(tb, s.Close()) })
	return s
}

func tiers(stores ...store.Store) tiered.Options {
	var opts tiered.Options
	for _, s := range stores {
		opts.Tiers = append(opts.Tiers, tiered.Tier{Store: s})
	}
	return opts
}

// bare has no capability.
type bare struct{ store.Store }

func TestContract(t *testing.T) {
	for _, tt := range []struct {
		name string
		open func(t *testing.T) tiered.Options
	}{
		{"memory, memory", func(t *testing.T) tiered.Options { return tiers(memory(t), memory(t)) }},
		{"memory, Redis", func(t *testing.T) tiered.Options { return tiers(memory(t), redisTier(t)) }},
		{"memory, chaos, memory", func(t *testing.T) tiered.Options { return tiers(memory(t), newChaos(t), memory(t)) }},
		{"memory, Redis, memory", func(t *testing.T) tiered.Options { return tiers(memory(t), redisTier(t), memory(t)) }},
		{"memory, bare", func(t *testing.T) tiered.Options { return tiers(memory(t), bare{memory(t)}) }},
		{"memory, bare, memory", func(t *testing.T) tiered.Options { return tiers(memory(t), bare{memory(t)}, memory(t)) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) store.Store { return open(t, tt.open(t)) })
		})
	}
}

func TestNewRefuses(t *testing.T) {
	l1, l2 := memory(t), memory(t)
	for _, tt := range []struct {
		name  string
		tiers []tiered.Tier
		want  string
	}{
		{"none", nil, "tiered: 0 tiers, not 2 or 3"},
		{"one", []tiered.Tier{{Store: l1}}, "tiered: 1 tiers, not 2 or 3"},
		{"four", make([]tiered.Tier, 4), "tiered: 4 tiers, not 2 or 3"},
		{"no store", []tiered.Tier{{Store: l1}, {}}, "tiered: L2 has no store"},
		{"a first one elsewhere", []tiered.Tier{{Store: bare{l1}}, {Store: l2}},
			"tiered: the first tier is no store.Borrower: it has to lie in this process"},
		{"jitter above 1", []tiered.Tier{{Store: l1}, {Store: l2, Name: "shared", MaxTTL: 1, Jitter: 1.1}},
			"tiered: Jitter 1.1 of shared is not between 0 and 1"},
		{"jitter of nothing", []tiered.Tier{{Store: l1, Jitter: 0.1}, {Store: l2}},
			"tiered: L1 has a Jitter without a MaxTTL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := tiered.New(tiered.Options{Tiers: tt.tiers})
			if s != nil || err == nil || err.Error() != tt.want {
				t.Errorf("New = %v, %v, want %s", s, err, tt.want)
			}
		})
	}
	if _, err := l1.Get(context.Background(), "k"); err != store.ErrMiss {
		t.Errorf("a refused tier was closed: %v", err)
	}
}
