package redisstore_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/redisstore"
)

// tape notes each round trip of a client: its commands, joined by spaces.
type tape struct {
	mu    sync.Mutex
	trips []string
}

func (*tape) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *tape) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		h.note(cmd)
		return next(ctx, cmd)
	}
}

func (h *tape) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		h.note(cmds...)
		return next(ctx, cmds)
	}
}

func (h *tape) note(cmds ...redis.Cmder) {
	var names []string
	for _, c := range cmds {
		names = append(names, c.Name())
	}
	// A new connection's greeting is none of ours.
	if slices.Contains([]string{"hello", "client", "ping"}, names[0]) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.trips = append(h.trips, strings.Join(names, " "))
}

func (h *tape) take() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	trips := h.trips
	h.trips = nil
	return trips
}

func taped(t testing.TB) (*redisstore.Store, *tape) {
	t.Helper()
	srv := shared.Redis(t)
	o := &redis.UniversalOptions{Addrs: []string{srv.Addr}}
	opts := redisstore.Options{Prefix: prefix(t, srv.Addr), OpTimeout: patient}
	redisstore.Tune(o, opts)
	client := redis.NewUniversalClient(o)
	t.Cleanup(func() { client.Close() })
	h := &tape{}
	client.AddHook(h)
	s, err := redisstore.New(client, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s, h
}

// times is a pipeline of n commands of one name.
func times(name string, n int) string { return strings.TrimSpace(strings.Repeat(name+" ", n)) }

func TestRoundTrips(t *testing.T) {
	s, h := taped(t)
	ctx := context.Background()
	many := make([]string, 1000)
	items := make([]store.Item, len(many))
	for i := range many {
		many[i] = fmt.Sprint("k", i)
		items[i] = store.Item{Key: many[i], Entry: entry("v")}
	}
	seen := entry("v")
	old := func() (err error) { _, err = s.Get(ctx, "k"); return err }
	// The first call of each script teaches it to the server.
	for _, warm := range []func() error{
		func() error { return s.Set(ctx, "k", seen) },
		func() error { _, err := s.Add(ctx, "k", entry("v")); return err },
		func() error { _, err := s.Touch(ctx, "k", seen, seen.Times); return err },
		func() error { _, err := s.Incr(ctx, "c", 1, counter("0", store.Times{})); return err },
		func() error { _, err := s.Get(ctx, "c"); return err },
		func() error { _, err := s.Delete(ctx, "nothing"); return err },
	} {
		if err := warm(); err != nil {
			t.Fatal(err)
		}
	}
	h.take()
	tests := []struct {
		name string
		run  func() error
		want []string
	}{
		{"Get", old, []string{"get"}},
		{"Get of nothing", func() error { _, _ = s.Get(ctx, "nothing"); return nil }, []string{"get"}},
		{"Get of a counter", func() error { _, err := s.Get(ctx, "c"); return err }, []string{"get", "evalsha"}},
		{"Set", func() error { return s.Set(ctx, "k", seen) }, []string{"set"}},
		{"Set of what is gone", func() error { return s.Set(ctx, "g", &store.Entry{Times: store.Times{Gone: 1}}) }, []string{"unlink"}},
		{"Add", func() error { _, err := s.Add(ctx, "k", entry("v")); return err }, []string{"evalsha"}},
		{"Touch", func() error { _, err := s.Touch(ctx, "k", seen, lifetime(time.Hour)); return err }, []string{"evalsha"}},
		{"Incr", func() error { _, err := s.Incr(ctx, "c", 1, nil); return err }, []string{"evalsha"}},
		{"SetMany", func() error { _, err := s.SetMany(ctx, items); return err },
			[]string{times("set", 1000)}},
		{"GetMany", func() error { _, err := s.GetMany(ctx, many); return err }, []string{"mget"}},
		{"GetMany with counters", func() error { _, err := s.GetMany(ctx, []string{"c", "k", "c"}); return err },
			[]string{"mget", times("evalsha", 2)}},
		{"GetMany of more", func() error { _, err := s.GetMany(ctx, slices.Concat(many, []string{"more"})); return err }, []string{"mget", "mget"}},
		{"GetMany of none", func() error { _, err := s.GetMany(ctx, nil); return err }, nil},
		{"Delete", func() error { _, err := s.Delete(ctx, "k"); return err }, []string{"evalsha"}},
		{"Delete of many", func() error { _, err := s.Delete(ctx, many...); return err }, []string{"evalsha"}},
		{"Delete of none", func() error { _, err := s.Delete(ctx); return err }, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.run()
			if got := h.take(); err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("round trips %q, error %v, want %q", got, err, tt.want)
			}
		})
	}
}

// TestUnknownScripts: a server that has been restarted or flushed knows no script.
func TestUnknownScripts(t *testing.T) {
	s, h := taped(t)
	ctx := context.Background()
	raw := redis.NewClient(&redis.Options{Addr: shared.Redis(t).Addr})
	defer raw.Close()
	for _, k := range []string{"a", "b"} {
		if err := s.Set(ctx, k, counter("1", lifetime(time.Hour))); err != nil {
			t.Fatal(err)
		}
	}
	for name, run := range map[string]func() error{
		"one":  func() error { _, err := s.Incr(ctx, "a", 1, nil); return err },
		"many": func() error { _, err := s.GetMany(ctx, []string{"a", "b"}); return err },
	} {
		if err := raw.ScriptFlush(ctx).Err(); err != nil {
			t.Fatal(err)
		}
		h.take()
		if err := run(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if trips := h.take(); !strings.HasPrefix(trips[len(trips)-1], "eval") {
			t.Errorf("%s: round trips %q, want EVAL at the end", name, trips)
		}
	}
}

func TestHitAllocations(t *testing.T) {
	s, _ := taped(t)
	ctx := context.Background()
	if err := s.Set(ctx, "k", entry("v")); err != nil {
		t.Fatal(err)
	}
	n := testing.AllocsPerRun(200, func() {
		if _, err := s.Get(ctx, "k"); err != nil {
			t.Error(err)
		}
	})
	if t.Logf("Get: %v allocations", n); n > 20 {
		t.Errorf("Get allocates %v times", n)
	}
}
