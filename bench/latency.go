package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/internal/testserver"
)

// loadTime is what a load takes: long enough for the other instance to have asked, and to wait.
const loadTime = 5 * time.Millisecond

// latencies prints how long it takes until one instance knows what another one has done.
func latencies(srv *testserver.Server, rounds int) {
	a, b := newNode(srv, "a", true), newNode(srv, "b", true)
	defer a.close()
	defer b.close()
	ctx := context.Background()
	row, flush := table()
	row("what\tp50 µs\tp99 µs\ttarget p50\tp99\t\n")
	show := func(what, p50, p99 string, took []float64) {
		row("%s\t%.0f\t%.0f\t%s\t%s\t\n", what, quantile(took, 0.5), quantile(took, 0.99), p50, p99)
	}
	const each = 10
	ping := func() time.Duration {
		start := time.Now()
		mustDo(a.client.Ping(ctx).Err())
		return time.Since(start)
	}
	show("PING, for comparison", "", "", timed(rounds*each, func(int) time.Duration { return ping() }))
	// What wakes up a machine that had nothing to do is part of all that follows.
	show("PING after 5 ms of rest", "", "", timed(rounds*each, func(int) time.Duration {
		<-time.After(loadTime)
		return ping()
	}))
	for _, size := range []int{1 << 10, 64 << 10} {
		show(fmt.Sprintf("load's end to a waiter elsewhere, %d KiB", size>>10), "500", "5000",
			timed(rounds*each, func(i int) time.Duration { return wake(a, b, fmt.Sprint("wake", size, i), size) }))
	}
	show("Delete to another first tier", "300", "2000", timed(rounds*each, func(int) time.Duration {
		return reaches(a, b, func(k string) { must(a.Delete(ctx, k)) })
	}))
	show("Set to another first tier", "300", "2000", timed(rounds*each, func(int) time.Duration {
		return reaches(a, b, func(k string) { mustDo(cache.Set(ctx, a.Cache, k, 2)) })
	}))
	flush()
}

// timed returns what n runs took, in microseconds, without the first ones.
func timed(n int, run func(i int) time.Duration) (took []float64) {
	for i := range n + 10 {
		if d := run(i); i >= 10 {
			took = append(took, float64(d)/float64(time.Microsecond))
		}
	}
	return took
}

// wake returns how long after the end of a's load b has the value, which it waits for.
func wake(a, b *node, key string, size int) time.Duration {
	ctx := context.Background()
	var ended time.Time
	began, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		must(cache.Fetch(ctx, a.Cache, key, func(context.Context) ([]byte, error) {
			close(began)
			<-time.After(loadTime)
			v := make([]byte, size)
			ended = time.Now()
			return v, nil
		}))
	}()
	<-began
	must(cache.Fetch(ctx, b.Cache, key, func(context.Context) ([]byte, error) { panic("a second load") }))
	at := time.Now()
	<-done
	return at.Sub(ended)
}

// reaches returns how long after a change on a begins b has dropped its copy.
func reaches(a, b *node, change func(key string)) time.Duration {
	ctx := context.Background()
	const key = "copied"
	mustDo(cache.Set(ctx, a.Cache, key, 1))
	final := must(b.Key(key))
	for { // until b has applied the Set, too, its copy may go again
		for len(b.dropped) > 0 {
			<-b.dropped
		}
		<-time.After(time.Millisecond)
		must(cache.Get[int](ctx, b.Cache, key))
		if len(b.dropped) == 0 {
			break
		}
	}
	start := time.Now()
	change(key)
	for k := range b.dropped {
		if k == final {
			return time.Since(start)
		}
	}
	return 0
}

// stampede prints what a key costs that a whole fleet asks for at once.
func stampede(srv *testserver.Server, rounds int) {
	const instances, callers = 8, 50
	nodes := make([]*node, instances)
	for i := range nodes {
		nodes[i] = newNode(srv, fmt.Sprint("node", i), true)
	}
	defer func() {
		for _, n := range nodes {
			n.close()
		}
	}()
	m := newMonitor(srv)
	defer m.close()
	ctx := context.Background()
	var loads, took, sent []float64
	for i := range rounds/2 + 1 {
		m.rest()
		var n atomic.Int64
		var wg sync.WaitGroup
		start := time.Now()
		for _, node := range nodes {
			for range callers {
				wg.Go(func() {
					must(cache.Fetch(ctx, node.Cache, fmt.Sprint("cold", i), func(context.Context) (int, error) {
						n.Add(1)
						<-time.After(20 * time.Millisecond)
						return 1, nil
					}))
				})
			}
		}
		wg.Wait()
		d := time.Since(start)
		all := slices.DeleteFunc(m.rest(), func(c command) bool { return slices.Contains(background, c.name) })
		if i > 0 { // the first one connects
			loads, took = append(loads, float64(n.Load())), append(took, float64(d)/float64(time.Millisecond))
			sent = append(sent, float64(len(all)))
		}
	}
	row, flush := table()
	row("\ttarget\tp50\tp99\t\n")
	row("loads\t1\t%.0f\t%.0f\t\n", quantile(loads, 0.5), slices.Max(loads))
	row("commands\t17\t%.0f\t%.0f\t\n", quantile(sent, 0.5), quantile(sent, 0.99))
	row("ms until all have it\t\t%.1f\t%.1f\t\n", quantile(took, 0.5), quantile(took, 0.99))
	flush()
}
