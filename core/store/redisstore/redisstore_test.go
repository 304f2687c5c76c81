package redisstore_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"

	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/redisstore"
	"github.com/strata-cache/strata/internal/testserver"
)

// shared is the server of all tests that do not break it.
var shared testserver.Lazy

func TestMain(m *testing.M) {
	logging.Disable() // the client's, of the servers that are killed
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

// patient is a budget that no loaded machine exceeds.
const patient = 20 * time.Second

// prefix returns a namespace of its own for the test, in which it leaves nothing.
func prefix(t testing.TB, addr string) string {
	t.Helper()
	p := strings.ToLower(rand.Text()) + ":"
	t.Cleanup(func() {
		c := redis.NewClient(&redis.Options{Addr: addr})
		defer c.Close()
		ctx := context.Background()
		for it := c.Scan(ctx, 0, p+"*", 10_000).Iterator(); it.Next(ctx); {
			if err := c.Unlink(ctx, it.Val()).Err(); err != nil {
				t.Error(err)
			}
		}
	})
	return p
}

func open(t testing.TB, url string, opts redisstore.Options) *redisstore.Store {
	t.Helper()
	s, err := redisstore.Open(url, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// space is a store on the shared server, and a plain client beside it.
type space struct {
	*redisstore.Store
	t      testing.TB
	ctx    context.Context
	raw    *redis.Client
	prefix string
}

func newSpace(t testing.TB, opts redisstore.Options) space {
	t.Helper()
	srv := shared.Redis(t)
	p := prefix(t, srv.Addr)
	opts.Prefix = p + opts.Prefix
	if opts.OpTimeout == 0 {
		opts.OpTimeout = patient
	}
	raw := redis.NewClient(&redis.Options{Addr: srv.Addr})
	t.Cleanup(func() { raw.Close() })
	return space{open(t, srv.URL(), opts), t, context.Background(), raw, opts.Prefix}
}

// plant puts bytes where the store keeps key.
func (s space) plant(key string, value any) {
	s.t.Helper()
	if err := s.raw.Set(s.ctx, s.prefix+key, value, 0).Err(); err != nil {
		s.t.Fatal(err)
	}
}

func (s space) set(key string, e *store.Entry) {
	s.t.Helper()
	if err := s.Set(s.ctx, key, e); err != nil {
		s.t.Fatalf("Set(%q): %v", key, err)
	}
}

func (s space) want(key, value string) {
	s.t.Helper()
	if e, err := s.Get(s.ctx, key); err != nil || string(e.Value) != value {
		s.t.Errorf("Get(%q) = %+v, %v, want %q", key, e, err, value)
	}
}

func lifetime(d time.Duration) store.Times {
	now := time.Now().UnixMilli()
	return store.Times{Created: now, Fresh: now + d.Milliseconds(), Gone: now + d.Milliseconds()}
}

func entry(value string) *store.Entry {
	return &store.Entry{Value: []byte(value), Times: lifetime(time.Hour)}
}

func counter(value string, t store.Times) *store.Entry {
	return &store.Entry{Value: []byte(value), Times: t, Flags: store.FlagCounter}
}

// containsLine reports whether text, as INFO gives it, has the line.
func containsLine(text, line string) bool {
	for l := range strings.Lines(text) {
		if strings.TrimSpace(l) == line {
			return true
		}
	}
	return false
}
