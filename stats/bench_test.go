package stats_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/stats"
)

// requestLike is a context as deep as that of an HTTP request, without a trace.
func requestLike() (context.Context, context.CancelFunc) {
	type key int
	ctx := context.WithValue(context.WithValue(context.Background(), key(1), 1), key(2), 2)
	ctx, cancel := context.WithCancel(ctx)
	ctx, also := context.WithCancel(ctx)
	return ctx, func() { also(); cancel() }
}

func BenchmarkHit(b *testing.B) {
	ctx, cancel := requestLike()
	defer cancel()
	for _, bc := range []struct {
		name string
		opts stats.Options
		ctx  context.Context
	}{
		{"background", stats.Options{}, context.Background()},
		{"request", stats.Options{}, ctx},
		{"no-traces", stats.Options{NoTraces: true}, ctx},
	} {
		b.Run(bc.name, func(b *testing.B) {
			o, c := newRecorder(b, bc.opts).Observer(), hit("user")
			b.ReportAllocs()
			for b.Loop() {
				o.Call(bc.ctx, c)
			}
		})
		b.Run(bc.name+"-parallel", func(b *testing.B) {
			o, c := newRecorder(b, bc.opts).Observer(), hit("user")
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					o.Call(bc.ctx, c)
				}
			})
		})
	}
	b.Run("50-kinds", func(b *testing.B) {
		o := newRecorder(b, stats.Options{}).Observer()
		var calls [50]event.Call
		for i := range calls {
			calls[i] = hit(fmt.Sprint("kind", i))
		}
		for i := 0; b.Loop(); i++ {
			o.Call(ctx, calls[i%50])
		}
	})
	b.Run("traced", func(b *testing.B) {
		o, c := newRecorder(b, stats.Options{}).Observer(), hit("user")
		ctx, _ := stats.WithTrace(ctx)
		b.ReportAllocs()
		for b.Loop() {
			o.Call(ctx, c)
		}
	})
}

func BenchmarkEvict(b *testing.B) {
	o, e := newRecorder(b, stats.Options{}).Observer(), event.Evict{Store: "memory", Priority: "normal", Size: 100}
	for b.Loop() {
		o.Evict(e)
	}
}

func BenchmarkMonitor(b *testing.B) {
	o, m := newRecorder(b, stats.Options{}).Observer(), stats.NewMonitor(stats.MonitorOptions{})
	r, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
	c := hit("user")
	b.ReportAllocs()
	for b.Loop() {
		r, x := m.Begin(r)
		out := x.Writer(w)
		for range 3 {
			o.Call(r.Context(), c)
		}
		out.WriteHeader(http.StatusOK)
		x.End("/", false)
		clear(w.Header())
	}
}
