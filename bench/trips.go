package main

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/guard/filter"
	"github.com/strata-cache/strata/core/page"
	"github.com/strata-cache/strata/internal/testserver"
	"github.com/strata-cache/strata/nethttpmw"
)

// trips prints which commands a node sends for one call, beside how many it should.
func trips(srv *testserver.Server, _ int) {
	t := newTripTable(srv)
	defer t.close()
	t.objects()
	t.loads("value of 1 KiB", 1<<10)
	t.loads("value of 64 KiB", 64<<10)
	t.locks()
	t.filters()
	t.pages()
	t.print()
}

// tripTable has two nodes: a has written or loads, b asks.
type tripTable struct {
	srv  *testserver.Server
	m    *monitor
	a, b *node
	rows []trip
	keys int
}

type trip struct {
	what, target string
	commands     []string
}

func newTripTable(srv *testserver.Server) *tripTable {
	t := &tripTable{
		srv: srv, m: newMonitor(srv),
		a: newNode(srv, "a", true), b: newNode(srv, "b", true),
	}
	t.loads("", 1) // teaches the server its scripts, and opens the connections for wake-ups
	t.objects()
	t.locks()
	t.rows = nil
	return t
}

func (t *tripTable) close() {
	t.a.close()
	t.b.close()
	t.m.close()
}

func (t *tripTable) print() {
	row, flush := table()
	row("call\ttarget\tmeasured\tcommands\t\n")
	for _, r := range t.rows {
		row("%s\t%s\t%d\t%s\t\n", r.what, r.target, len(r.commands), strings.Join(r.commands, " "))
	}
	flush()
}

func (t *tripTable) key() string {
	t.keys++
	return fmt.Sprint("trip", t.keys)
}

// count adds a row of what n sends while call runs.
func (t *tripTable) count(what, target string, n *node, call func(ctx context.Context)) {
	t.m.rest()
	call(context.Background())
	t.rows = append(t.rows, trip{what, target, t.m.of(t.m.rest(), n)})
}

func (t *tripTable) objects() {
	ctx := context.Background()
	k, many := t.key(), []string(nil)
	t.count("Set", "1", t.a, func(ctx context.Context) { mustDo(cache.Set(ctx, t.a.Cache, k, 1, cache.Tags("tag"))) })
	t.count("L2 hit", "1", t.b, func(ctx context.Context) { must(cache.Get[int](ctx, t.b.Cache, k)) })
	t.count("L1 hit", "0", t.b, func(ctx context.Context) { must(cache.Get[int](ctx, t.b.Cache, k)) })
	for range 10 {
		many = append(many, t.key())
		mustDo(cache.Set(ctx, t.a.Cache, many[len(many)-1], "value"))
	}
	t.count("GetMany(10)", "1", t.b, func(ctx context.Context) { must(cache.GetMany[string](ctx, t.b.Cache, many...)) })
	t.count("SetMany(10)", "1", t.a, func(ctx context.Context) {
		values := map[string]string{}
		for _, k := range many {
			values[k] = "other"
		}
		must(cache.SetMany(ctx, t.a.Cache, values))
	})
	t.count("Update (hold, invalidation)", "2", t.a, func(ctx context.Context) {
		mustDo(t.a.Update(ctx, k, func(context.Context) error { return nil }))
	})
	t.count("InvalidateTags", "1", t.a, func(ctx context.Context) { mustDo(t.a.InvalidateTags(ctx, "tag")) })
	t.count("Delete", "1", t.a, func(ctx context.Context) { must(t.a.Delete(ctx, k)) })
}

// loads has a load a key while b waits for it.
func (t *tripTable) loads(what string, size int) {
	t.m.rest()
	k := t.key()
	began, release := make(chan struct{}), make(chan struct{})
	done := make(chan error, 2)
	fetch := func(n *node, load func()) {
		_, err := cache.Fetch(context.Background(), n.Cache, k, func(context.Context) ([]byte, error) {
			load()
			return make([]byte, size), nil
		})
		done <- err
	}
	go fetch(t.a, func() { close(began); <-release })
	<-began
	all := t.m.rest()
	go fetch(t.b, func() {})
	for {
		c := t.m.next()
		all = append(all, c)
		if c.name == "evalsha" || c.name == "eval" {
			break // b has asked for the lease, and waits
		}
	}
	close(release)
	mustDo(<-done)
	mustDo(<-done)
	all = append(all, t.m.rest()...)
	follower := "2"
	if size > 16<<10 {
		follower = "3" // the value does not ride in the wake-up
	}
	t.rows = append(t.rows,
		trip{"miss, leader, " + what, "3", t.m.of(all, t.a)},
		trip{"miss, follower elsewhere, " + what, follower, t.m.of(all, t.b)})
}

func (t *tripTable) locks() {
	m := must(t.a.Mutex("trips", cache.MutexOptions{}))
	var l *cache.Lock
	t.count("Lock", "1", t.a, func(ctx context.Context) { l = must(m.Lock(ctx)) })
	t.count("Unlock", "1", t.a, func(ctx context.Context) { mustDo(l.Unlock(ctx)) })
}

func (t *tripTable) filters() {
	c := newNode(t.srv, "c", true)
	defer c.close()
	k := t.key()
	ids := must(filter.New(filter.Options{
		Name: "ids", Capacity: 1000, Shared: c.shared, CommitWithin: -1, Watch: time.Minute, CheckTimeout: patience, SelfCheck: -1,
		Source: func(context.Context) iter.Seq2[string, error] {
			return func(yield func(string, error) bool) { yield(k, nil) }
		},
	}))
	defer func() { mustDo(ids.Close()) }()
	for tick := time.NewTicker(5 * time.Millisecond); !ids.Ready(); <-tick.C {
	}
	kind := must(cache.NewKind(c.Cache, "filtered", cache.KindOptions[string, int]{
		Policy: cache.Policy{Filter: ids}, Load: func(context.Context, string) (int, error) { return 1, nil },
	}))
	other := must(cache.NewKind(t.a.Cache, "filtered", cache.KindOptions[string, int]{}))
	mustDo(other.Set(context.Background(), k, 1))
	t.count("filter and L2 hit", "1", c, func(ctx context.Context) { must(kind.Get(ctx, k)) })
	t.count("filter says no", "1", c, func(ctx context.Context) {
		if _, err := kind.Get(ctx, "nobody"); err == nil {
			panic("the filter let it through")
		}
	})
}

func (t *tripTable) pages() {
	handler := cached(make([]byte, 1<<10))
	open := func(n *node) http.Handler {
		return nethttpmw.Cache(must(page.New(n.Cache, page.Options{TTL: time.Hour})))(handler)
	}
	ask := func(h http.Handler) func(context.Context) {
		return func(context.Context) { h.ServeHTTP(httptest.NewRecorder(), request()) }
	}
	a, b := open(t.a), open(t.b)
	t.count("page miss", "3", t.a, ask(a))
	t.count("page L2 hit", "1", t.b, ask(b))
	t.count("page L1 hit", "0", t.b, ask(b))
}
