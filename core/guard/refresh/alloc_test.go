package refresh

import (
	"context"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/event"
)

// busy returns a queue in which "running" runs and "failed" has failed.
func busy(tb testing.TB) *Queue {
	tb.Helper()
	q, err := New(Options{BackOff: time.Hour, Observer: func(event.Refresh) {}})
	if err != nil {
		tb.Fatal(err)
	}
	gate, started := make(chan struct{}), make(chan struct{})
	q.Submit(Job{Key: "running", Run: func(context.Context) error { close(started); <-gate; return nil }})
	<-started
	q.Failed("failed")
	tb.Cleanup(func() {
		close(gate)
		if err := q.Close(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	return q
}

func TestAllocRefusals(t *testing.T) {
	q := busy(t)
	for _, tt := range []struct {
		key  string
		want Result
	}{{"running", Duplicate}, {"failed", BackingOff}} {
		n := testing.AllocsPerRun(100, func() {
			if got := q.Submit(Job{Key: tt.key, Run: ok}); got != tt.want {
				t.Fatal(got)
			}
		})
		if n != 0 {
			t.Errorf("%v: %v allocations", tt.want, n)
		}
		if n := testing.AllocsPerRun(100, func() { q.Wanted(tt.key) }); n != 0 {
			t.Errorf("Wanted: %v allocations", n)
		}
	}
}

func BenchmarkSubmit(b *testing.B) {
	for _, tt := range []struct{ name, key string }{{"duplicate", "running"}, {"backing off", "failed"}} {
		b.Run(tt.name, func(b *testing.B) {
			q := busy(b)
			b.ReportAllocs()
			for b.Loop() {
				q.Submit(Job{Key: tt.key, Run: ok})
			}
		})
		b.Run(tt.name+", parallel", func(b *testing.B) {
			q := busy(b)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					q.Submit(Job{Key: tt.key, Run: ok})
				}
			})
		})
	}
}
