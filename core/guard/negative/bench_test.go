package negative_test

import (
	"fmt"
	"testing"

	"github.com/strata-cache/strata/core/guard/negative"
)

func full(b *testing.B) *negative.Set {
	b.Helper()
	var now int64 = 1
	s := open(b, negative.Options{Now: func() int64 { return now }})
	for i := range 2 * negative.DefaultMaxKeys {
		s.Set(fmt.Sprint("shop:1:user:", i), null(0))
	}
	b.ReportAllocs()
	return s
}

const missing, there = "shop:1:user:missing", "shop:1:user:19999"

func BenchmarkGet(b *testing.B) {
	for name, key := range map[string]string{"missing": missing, "hit": there} {
		b.Run(name, func(b *testing.B) {
			s := full(b)
			for b.Loop() {
				s.Get(key)
			}
		})
		b.Run(name+"-borrowed", func(b *testing.B) {
			s, key := full(b), []byte(key)
			for b.Loop() {
				s.GetBorrowed(key)
			}
		})
		b.Run(name+"-parallel", func(b *testing.B) {
			s := full(b)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					s.Get(key)
				}
			})
		})
	}
	b.Run("missing-of-many", func(b *testing.B) { // chains are not in the CPU's cache
		s, keys := full(b), make([]string, 4096)
		for i := range keys {
			keys[i] = fmt.Sprint("shop:1:page:", i)
		}
		for i := 0; b.Loop(); i++ {
			s.Get(keys[i%len(keys)])
		}
	})
}

func BenchmarkDeleteMissing(b *testing.B) {
	s := full(b)
	for b.Loop() {
		s.Delete(missing)
	}
}

// BenchmarkFlood sets keys that are new each, in a full set.
func BenchmarkFlood(b *testing.B) {
	s, keys := full(b), make([]string, 1<<16)
	for i := range keys {
		keys[i] = fmt.Sprint("shop:1:page:", i)
	}
	e := null(0)
	for i := 0; b.Loop(); i++ {
		s.Set(keys[i%len(keys)], e)
	}
}
