package lease_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/guard/lease"
	"github.com/strata-cache/strata/internal/testserver"
)

// BenchmarkWake measures the time from the call of Store in one node until a waiter in another one has the
// value, and the scripts that the server has run for a key: the holder's two, and those of the waiter.
func BenchmarkWake(b *testing.B) {
	for _, size := range []int{100, 4 << 10, 256 << 10} {
		b.Run(fmt.Sprintf("value %d", size), func(b *testing.B) {
			srv := testserver.Redis(b)
			c := client(b, srv)
			holder, waiter := node(b, srv.URL(), lease.Options{}, slow), node(b, srv.URL(), lease.Options{}, slow)
			listening(b, waiter, c)
			value := string(make([]byte, size))
			info := func() int {
				text, err := c.Info(b.Context(), "commandstats").Result()
				if err != nil {
					b.Fatal(err)
				}
				return scripts(text)
			}
			asked := make(chan struct{}, 1)
			got := make(chan time.Time, 1)
			var took []time.Duration
			before := info()
			for i := range b.N {
				key := fmt.Sprint("k", i)
				held := take(b, holder, key)
				go func() {
					asked <- struct{}{}
					out, err := waiter.Acquire(context.Background(), key, nil, patience, nil)
					if err != nil || out.Status != lease.Found {
						b.Errorf("got %+v, %v", out, err)
					}
					got <- time.Now()
				}()
				<-asked
				<-time.After(2 * ms) // it waits by now
				begin := time.Now()
				if ok, err := held.Store(b.Context(), forever(value)); !ok || err != nil {
					b.Fatalf("Store: %v, %v", ok, err)
				}
				took = append(took, (<-got).Sub(begin))
			}
			slices.Sort(took)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
			b.ReportMetric(float64(info()-before)/float64(b.N)-2, "commands/waiter")
		})
	}
}
