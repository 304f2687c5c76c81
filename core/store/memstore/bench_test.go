package memstore_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/memstore"
)

const benchKeys = 1024

func benchKey(i int) string {
	return fmt.Sprintf("bench:object:with:a:key:of:sixty:three:bytes:for:comparison:%03d", i%benchKeys)
}

func rawOtter(coarse bool) (*otter.Cache[string, *store.Entry], func()) {
	o := &otter.Options[string, *store.Entry]{
		MaximumWeight:    memstore.DefaultMaxBytes,
		Weigher:          func(k string, e *store.Entry) uint32 { return uint32(e.Weight(k)) },
		ExpiryCalculator: otter.ExpiryWriting[string, *store.Entry](time.Hour),
	}
	stop := func() {}
	if coarse {
		c := otter.NewCoarseClock(5 * time.Millisecond)
		o.Clock, stop = c, c.Stop
	}
	c := otter.Must(o)
	return c, func() { c.StopAllGoroutines(); stop() }
}

// BenchmarkGet compares a look-up with a bare otter cache of the same options, under otter's precise
// and its coarse clock.
func BenchmarkGet(b *testing.B) {
	keys := make([]string, benchKeys)
	for i := range keys {
		keys[i] = benchKey(i)
	}
	entry := func() *store.Entry { return &store.Entry{Value: make([]byte, 1024), Times: lifetime(time.Hour)} }

	for _, coarse := range []bool{true, false} {
		b.Run(fmt.Sprintf("otter/coarse=%v", coarse), func(b *testing.B) {
			c, stop := rawOtter(coarse)
			defer stop()
			for _, k := range keys {
				c.Set(k, entry())
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, ok := c.GetIfPresent(keys[i%benchKeys]); !ok {
					b.Fatal("miss")
				}
				i++
			}
		})
	}
	for _, mixed := range []bool{false, true} {
		s := open(b, memstore.Options{})
		for i, k := range keys {
			e := entry()
			if mixed {
				e.Priority = store.Priority(1 + i%4)
			}
			if err := s.Set(context.Background(), k, e); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(fmt.Sprintf("memstore/mixed=%v", mixed), func(b *testing.B) {
			b.ReportAllocs()
			ctx, i := context.Background(), 0
			for b.Loop() {
				if _, err := s.Get(ctx, keys[i%benchKeys]); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
		b.Run(fmt.Sprintf("memstore-borrowed/mixed=%v", mixed), func(b *testing.B) {
			b.ReportAllocs()
			buf, i := make([]byte, 0, 128), 0
			for b.Loop() {
				if s.GetBorrowed(append(buf, keys[i%benchKeys]...)) == nil {
					b.Fatal("miss")
				}
				i++
			}
		})
		b.Run(fmt.Sprintf("memstore-parallel/mixed=%v", mixed), func(b *testing.B) {
			var seq atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				ctx, i := context.Background(), int(seq.Add(1))*100
				for pb.Next() {
					if _, err := s.Get(ctx, keys[i%benchKeys]); err != nil {
						b.Error(err)
					}
					i++
				}
			})
		})
	}
}

// BenchmarkHitAgainstOtter takes turns between a borrowed look-up and a bare otter cache under the same
// kind of clock, so that a noisy machine disturbs both alike. What counts is the ratio.
func BenchmarkHitAgainstOtter(b *testing.B) {
	keys := make([]string, benchKeys)
	borrowed := make([][]byte, benchKeys)
	for i := range keys {
		keys[i] = benchKey(i)
		borrowed[i] = []byte(keys[i])
	}
	for _, priorities := range []int{1, 4} {
		b.Run(fmt.Sprint("priorities=", priorities), func(b *testing.B) {
			s := open(b, memstore.Options{})
			raw, stop := rawOtter(true)
			defer stop()
			for i, k := range keys {
				e := &store.Entry{Value: make([]byte, 1024), Times: lifetime(time.Hour), Priority: store.Priority(1 + i%priorities)}
				set(b, s, k, e)
				raw.Set(k, e)
			}
			rounds := [2]func(){
				func() {
					for _, k := range keys {
						if _, ok := raw.GetIfPresent(k); !ok {
							b.Fatal("otter: miss")
						}
					}
				},
				func() {
					for _, k := range borrowed {
						if s.GetBorrowed(k) == nil {
							b.Fatal("memstore: miss")
						}
					}
				},
			}
			var took [2][]float64
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				for j := range rounds {
					j = (i + j) % len(rounds)
					start := time.Now()
					rounds[j]()
					took[j] = append(took[j], float64(time.Since(start))/benchKeys)
				}
			}
			for j := range took {
				slices.Sort(took[j])
			}
			otter, mem := took[0][len(took[0])/2], took[1][len(took[1])/2]
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(otter, "otter-ns")
			b.ReportMetric(mem, "memstore-ns")
			b.ReportMetric(mem/otter, "ratio")
		})
	}
}

// BenchmarkSet writes into a store that is full.
func BenchmarkSet(b *testing.B) {
	keys := make([]string, 200_000)
	for i := range keys {
		keys[i] = fmt.Sprint("key:", i)
	}
	b.Run("otter", func(b *testing.B) {
		c, stop := rawOtter(true)
		defer stop()
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			c.Set(keys[i%len(keys)], &store.Entry{Value: make([]byte, 1024), Times: lifetime(time.Hour)})
			i++
		}
	})
	for _, priorities := range []int{1, 4} {
		b.Run(fmt.Sprint("memstore/priorities=", priorities), func(b *testing.B) {
			s := open(b, memstore.Options{})
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				e := &store.Entry{Value: make([]byte, 1024), Times: lifetime(time.Hour)}
				e.Priority = store.Priority(1 + i%priorities)
				if err := s.Set(context.Background(), keys[i%len(keys)], e); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}
