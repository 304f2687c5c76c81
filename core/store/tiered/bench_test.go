package tiered_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/store"
)

// BenchmarkHit takes turns between a look-up in the first tier and one in the bare store, so that a noisy
// machine disturbs both alike. What counts is the ratio.
func BenchmarkHit(b *testing.B) {
	const n = 1024
	l1 := memory(b)
	s := open(b, tiers(l1, memory(b)))
	keys := make([][]byte, n)
	for i := range keys {
		key := fmt.Sprintf("bench:object:with:a:key:of:sixty:three:bytes:for:comparison:%03d", i)
		keys[i] = []byte(key)
		must(b, s.Set(ctx, key, &store.Entry{Value: make([]byte, 1024), Times: lifetime(time.Hour, time.Hour)}))
	}
	rounds := [2]func(){
		func() {
			for _, k := range keys {
				if l1.GetBorrowed(k) == nil {
					b.Fatal("memstore: miss")
				}
			}
		},
		func() {
			for _, k := range keys {
				if s.Peek(k) == nil {
					b.Fatal("tiered: miss")
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
			took[j] = append(took[j], float64(time.Since(start))/n)
		}
	}
	for j := range took {
		slices.Sort(took[j])
	}
	bare, peek := took[0][len(took[0])/2], took[1][len(took[1])/2]
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(bare, "memstore-ns")
	b.ReportMetric(peek, "peek-ns")
	b.ReportMetric(peek/bare, "ratio")
}
