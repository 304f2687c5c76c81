package redisstore_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/redisstore"
)

// BenchmarkGet compares a hit with the bare client's GET of as many bytes.
func BenchmarkGet(b *testing.B) {
	srv := shared.Redis(b)
	ctx := context.Background()
	s := open(b, srv.URL(), redisstore.Options{Prefix: prefix(b, srv.Addr)})
	e := &store.Entry{Value: make([]byte, 1024), Times: lifetime(time.Hour), Tags: []string{"team:7"}}
	if err := s.Set(ctx, "user:42", e); err != nil {
		b.Fatal(err)
	}
	raw := redis.NewClient(&redis.Options{Addr: srv.Addr, ContextTimeoutEnabled: true})
	defer raw.Close()
	rawKey := prefix(b, srv.Addr) + "user:42"
	if err := raw.Set(ctx, rawKey, make([]byte, 1024+130), 0).Err(); err != nil {
		b.Fatal(err)
	}
	b.Run("go-redis", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := raw.Get(ctx, rawKey).Err(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("redisstore", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Get(ctx, "user:42"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkSet compares a write with the bare client's SET of as many bytes.
func BenchmarkSet(b *testing.B) {
	srv := shared.Redis(b)
	ctx := context.Background()
	s := open(b, srv.URL(), redisstore.Options{Prefix: prefix(b, srv.Addr)})
	e := &store.Entry{Value: make([]byte, 1024), Times: lifetime(time.Hour), Tags: []string{"team:7"}}
	raw := redis.NewClient(&redis.Options{Addr: srv.Addr, ContextTimeoutEnabled: true})
	defer raw.Close()
	rawKey, rawValue := prefix(b, srv.Addr)+"user:42", make([]byte, 1024+130)
	b.Run("go-redis", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := raw.Set(ctx, rawKey, rawValue, time.Hour).Err(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("redisstore", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := s.Set(ctx, "user:42", e); err != nil {
				b.Fatal(err)
			}
		}
	})
}
