package stats_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store/memstore"
	"github.com/strata-cache/strata/stats"
)

func openUsers(recorder *stats.Recorder) (*cache.Cache, *cache.Kind[int, string]) {
	observer := recorder.Observer()
	store, err := memstore.New(memstore.Options{Observer: observer})
	if err != nil {
		panic(err)
	}
	c, err := cache.New(store, cache.Options{Observer: observer})
	if err != nil {
		panic(err)
	}
	users, err := cache.NewKind(c, "user", cache.KindOptions[int, string]{
		Load: func(_ context.Context, id int) (string, error) { return fmt.Sprint("user ", id), nil },
	})
	if err != nil {
		panic(err)
	}
	return c, users
}

func Example() {
	recorder, err := stats.New(stats.Options{})
	if err != nil {
		panic(err)
	}
	c, users := openUsers(recorder)
	defer c.Close()

	ctx := context.Background()
	for _, id := range []int{1, 1, 2, 1} {
		if _, err := users.Get(ctx, id); err != nil {
			panic(err)
		}
	}
	for _, s := range recorder.Snapshot().Series {
		fmt.Printf("%s %s %s: %d hits, %d misses, %d loads, hit rate %.2f\n",
			s.Cache, s.Layer, s.Kind, s.Lookups.Hits, s.Lookups.Misses, s.Loads.Total(), s.Lookups.HitRate())
	}
	// Output: default object user: 2 hits, 2 misses, 2 loads, hit rate 0.50
}

// What a recorder is told, here by hand, about a cache of two tiers with a filter in front.
func ExampleSnapshot() {
	recorder, err := stats.New(stats.Options{})
	if err != nil {
		panic(err)
	}
	o, ctx := recorder.Observer(), context.Background()
	o.Call(ctx, event.Call{Cache: "default", Kind: "user", Outcome: event.OutcomeHit, Tier: 1})
	o.Call(ctx, event.Call{Cache: "default", Kind: "user", Outcome: event.OutcomeHit, Tier: 2})
	o.Call(ctx, event.Call{Cache: "default", Kind: "user", Outcome: event.OutcomeFiltered})
	o.Refresh(ctx, event.Refresh{Cache: "default", Kind: "user", State: event.RefreshQueued})
	o.Log(event.Log{Cache: "default", State: event.LogSynced})
	o.Filter(event.Filter{Name: "users", State: event.FilterReady, Keys: 900, Capacity: 1000})

	s := recorder.Snapshot()
	l := s.Total().Lookups
	fmt.Println(l.Hits, "hits,", l.Tiers.L1, "of L1,", l.Tiers.L2, "of L2;", l.Filtered, "filtered")
	fmt.Println(s.Count(stats.EventRefresh), "refresh event")
	fmt.Println("log of", s.Logs[0].Cache, s.Logs[0].State)
	fmt.Println("filter", s.Filters[0].Name, s.Filters[0].State, s.Filters[0].Keys, "of", s.Filters[0].Capacity)
	// Output:
	// 2 hits, 1 of L1, 1 of L2; 1 filtered
	// 1 refresh event
	// log of default synced
	// filter users ready 900 of 1000
}

func ExampleSnapshot_Sub() {
	recorder, err := stats.New(stats.Options{})
	if err != nil {
		panic(err)
	}
	c, users := openUsers(recorder)
	defer c.Close()

	ctx := context.Background()
	_, _ = users.Get(ctx, 1)
	before := recorder.Snapshot()
	_, _ = users.Get(ctx, 1)
	window := recorder.Snapshot().Sub(before).Total()
	fmt.Println(window.Lookups.Hits, window.Lookups.Misses)
	// Output: 1 0
}

func ExampleWithTrace() {
	recorder, err := stats.New(stats.Options{})
	if err != nil {
		panic(err)
	}
	c, users := openUsers(recorder)
	defer c.Close()

	ctx, trace := stats.WithTrace(context.Background())
	_, _ = users.Get(ctx, 7)
	_, _ = users.Get(ctx, 7)
	sum := trace.Finish()
	for _, s := range trace.Steps() {
		fmt.Println(s.Event, s.Kind, s.Outcome)
	}
	fmt.Println(sum.Hits, sum.Misses, sum.Loads)
	// Output:
	// load user ok
	// call user miss
	// call user hit
	// 1 1 1
}

// A middleware for yet another framework.
func ExampleMonitor() {
	m := stats.NewMonitor(stats.MonitorOptions{})
	middleware := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r, x := m.Begin(r)
			if x == nil {
				next.ServeHTTP(w, r)
				return
			}
			panicked := true
			defer func() { x.End(r.Pattern, panicked) }()
			next.ServeHTTP(x.Writer(w), r)
			panicked = false
		})
	}
	handler := middleware(http.NotFoundHandler())
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Println(w.Code)
	// Output: 404
}
