package cache_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/internal/testserver"
)

// twins are two nodes of a fleet on one server, both in step with its log.
type twins struct {
	*testing.T
	srv  *testserver.Server
	a, b *cache.Cache
	rec  *recorder // of both
}

func newTwins(t *testing.T) *twins {
	t.Helper()
	p := &twins{T: t, srv: testserver.Redis(t), rec: &recorder{}}
	opts := patient()
	opts.Observer = p.rec.observer()
	p.a, p.b = member(t, p.srv, opts), member(t, p.srv, opts)
	for _, c := range []*cache.Cache{p.a, p.b} {
		must(t, cache.Set(ctx, c, "warm", "x")) // connections and scripts
	}
	return p
}

// TestProbes puts the questions by which caches under load are told apart.
func TestProbes(t *testing.T) {
	for _, probe := range []struct {
		name string
		run  func(*twins)
	}{
		{"1000 goroutines in one process: one load", oneLoadInAProcess},
		{"8 processes of 50 callers: one load", oneLoadInAFleet},
		{"a waiter in another process is woken when the load ends", wokenByTheLoad},
		{"a load that this node has invalidated is not stored", noStaleRefillHere},
		{"a load that another node has invalidated is not stored", noStaleRefillElsewhere},
		{"what one node deletes the other serves no more", deletedEverywhere},
		{"the leader's context ends: the followers get its load", leaderLeaves},
		{"a follower leaves at its own deadline", followerLeaves},
		{"the loader panics: everybody hears of it, and the key is free", loaderPanics},
		{"a loader that fails is not tried by one waiter after the other", noConvoy},
		{"the same over two processes", noConvoyInAFleet},
		{"the server hangs: the first call and the third get a value", hungServer},
	} {
		t.Run(probe.name, func(t *testing.T) { probe.run(newTwins(t)) })
	}
}

// lone is a node without leases: they would hide it if a process did not coalesce.
func (p *twins) lone() *cache.Cache {
	opts := patient()
	opts.Policy.Coalesce = cache.Process
	c := member(p, p.srv, opts)
	must(p, cache.Set(ctx, c, "warm", "x"))
	return c
}

func oneLoadInAProcess(p *twins) {
	c := p.lone()
	var loads atomic.Int32
	var wg sync.WaitGroup
	for range 1000 {
		wg.Go(func() { want(p, 7)(cache.Fetch(ctx, c, "k", loader(&loads, 200*time.Millisecond, 7, nil))) })
	}
	wg.Wait()
	if n := loads.Load(); n != 1 {
		p.Errorf("%d loads", n)
	}
}

func oneLoadInAFleet(p *twins) {
	var processes []*other
	for range 8 {
		processes = append(processes, startOther(p, "callers", p.srv.URL()))
	}
	for _, o := range processes {
		o.expect("ready")
	}
	for _, o := range processes {
		o.begin()
	}
	loads := 0
	values := map[string]bool{}
	for _, o := range processes {
		line := strings.Fields(o.line())
		if len(line) != 2 {
			p.Fatalf("the callers of a process got %v", line)
		}
		if line[0] != "0" {
			loads++
		}
		if line[0] != "0" && line[0] != "1" {
			p.Errorf("%s loads in one process", line[0])
		}
		values[line[1]] = true
	}
	if loads != 1 || len(values) != 1 {
		p.Errorf("%d processes have loaded; their callers got %v", loads, values)
	}
}

// wokenByTheLoad: who asks every 200 milliseconds would learn of a load that takes 450 after 150 more. One round
// of some in which most are woken is enough, since a busy machine may be late, but never early.
func wokenByTheLoad(p *twins) {
	must(p, fetchBeside(p, "first")) // the connection for wake-ups is up
	for round := range 6 {
		late := p.lateness(round)
		p.Logf("behind the one who has loaded: median %v, longest %v", late[len(late)/2], late[len(late)-1])
		if late[len(late)/2] <= 75*time.Millisecond {
			return
		}
	}
	p.Error("waiters are not woken")
}

// lateness returns, in order, how long after those who have loaded those who wait elsewhere have the value.
func (p *twins) lateness(round int) []time.Duration {
	const keys = 20
	var done, woken [keys]time.Time
	var wg sync.WaitGroup
	for i := range keys {
		key := fmt.Sprint("k", round, " ", i)
		inside := make(chan struct{})
		wg.Go(func() {
			want(p, i)(cache.Fetch(ctx, p.a, key, func(ctx context.Context) (int, error) {
				close(inside)
				return i, pause(ctx, 450*time.Millisecond)
			}))
			done[i] = time.Now()
		})
		wg.Go(func() {
			<-inside
			want(p, i)(cache.Fetch(ctx, p.b, key, func(context.Context) (int, error) { return -1, nil }))
			woken[i] = time.Now()
		})
	}
	wg.Wait()
	var late []time.Duration
	for i := range keys {
		late = append(late, woken[i].Sub(done[i]))
	}
	slices.Sort(late)
	return late
}

// fetchBeside has node b wait for a load of node a.
func fetchBeside(p *twins, key string) (err error) {
	inside := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		_, _ = cache.Fetch(ctx, p.a, key, func(ctx context.Context) (int, error) {
			close(inside)
			return 1, pause(ctx, 100*time.Millisecond)
		})
	})
	<-inside
	_, err = cache.Fetch(ctx, p.b, key, func(context.Context) (int, error) { return 2, nil })
	return err
}

func noStaleRefillHere(p *twins)      { p.noStaleRefill(p.a) }
func noStaleRefillElsewhere(p *twins) { p.noStaleRefill(p.b) }

// noStaleRefill invalidates on one node what the other one is loading, in each way there is.
func (p *twins) noStaleRefill(by *cache.Cache) {
	ways := map[string]func(key string) error{
		"delete": func(key string) error { _, err := by.Delete(ctx, key); return err },
		"tag":    func(string) error { return by.InvalidateTags(ctx, "t") },
		"update": func(key string) error { return by.Update(ctx, key, func(context.Context) error { return nil }) },
		"clear":  func(string) error { return by.Clear(ctx) },
	}
	for way, invalidate := range ways {
		var db atomic.Int32
		db.Store(1)
		load := func(context.Context) (int32, error) { return db.Load(), nil }
		inside, goOn := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := cache.Fetch(ctx, p.a, way, func(context.Context) (int32, error) {
				v := db.Load()
				close(inside)
				<-goOn
				return v, nil
			}, cache.Tags("t"))
			must(p, err)
		})
		<-inside
		db.Store(2)
		must(p, invalidate(way))
		close(goOn)
		wg.Wait()
		// The node that has invalidated it knows at once, the other one as soon as it has heard.
		if v, err := cache.Fetch(ctx, by, way, load, cache.Tags("t")); v != 2 || err != nil {
			p.Errorf("%s: %d, %v", way, v, err)
		}
		for _, c := range []*cache.Cache{p.a, p.b} {
			within(p, 2*time.Second, way+": no node serves it", func() bool {
				v, err := cache.Fetch(ctx, c, way, load, cache.Tags("t"))
				return v == 2 && err == nil
			})
		}
	}
}

func deletedEverywhere(p *twins) {
	var db atomic.Int32
	load := func(context.Context) (int32, error) { return db.Load(), nil }
	for range 20 {
		old := db.Load()
		want(p, old)(cache.Fetch(ctx, p.a, "k", load))
		want(p, old)(cache.Fetch(ctx, p.b, "k", load))
		now := db.Add(1)
		_, err := p.b.Delete(ctx, "k")
		must(p, err)
		want(p, now)(cache.Fetch(ctx, p.b, "k", load))
		within(p, 2*time.Second, "the other node reads what is new", func() bool {
			v, err := cache.Fetch(ctx, p.a, "k", load)
			return v == now && err == nil
		})
	}
}

// leaderLeaves: in its process the followers share its load, which goes on. In another one they wait for a load
// in which nobody is interested any more, and lead the next one.
func leaderLeaves(p *twins) {
	for name, c := range map[string]*cache.Cache{"of its process": p.a, "of another": p.b} {
		var loads atomic.Int32
		key := "k " + name
		lead, leave := context.WithCancel(ctx)
		inside, goOn := make(chan struct{}), make(chan struct{})
		load := func(lctx context.Context) (int32, error) {
			n := loads.Add(1)
			if n > 1 {
				return n, nil
			}
			close(inside)
			select {
			case <-goOn:
				return n, nil
			case <-lctx.Done():
				return 0, lctx.Err()
			}
		}
		var wg sync.WaitGroup
		wg.Go(func() { wantErr[int32](p, context.Canceled)(cache.Fetch(lead, p.a, key, load)) })
		<-inside
		wg.Go(func() {
			if v, err := cache.Fetch(ctx, c, key, load); v == 0 || err != nil {
				p.Errorf("a follower %s got %d, %v", name, v, err)
			}
		})
		_ = pause(ctx, 50*time.Millisecond) // it waits by then; if not, it leads, and is served all the same
		leave()
		if c == p.a {
			_ = pause(ctx, 50*time.Millisecond) // were it cancelled, it would end now
			close(goOn)
		}
		wg.Wait()
		if n := loads.Load(); n > 2 {
			p.Errorf("a follower %s: %d loads", name, n)
		}
	}
}

func followerLeaves(p *twins) {
	for name, c := range map[string]*cache.Cache{"of the leader's process": p.a, "of another": p.b} {
		key := "k " + name
		inside, goOn := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			want(p, 1)(cache.Fetch(ctx, p.a, key, func(context.Context) (int, error) {
				close(inside)
				select {
				case <-goOn:
				case <-time.After(5 * time.Second): // the follower waits for it
				}
				return 1, nil
			}))
		})
		<-inside
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		began := time.Now()
		// The load goes on until it has left.
		wantErr[int](p, context.DeadlineExceeded)(cache.Fetch(short, c, key, func(context.Context) (int, error) { return 2, nil }))
		p.Logf("a follower %s left after %v", name, time.Since(began))
		cancel()
		close(goOn)
		wg.Wait()
		want(p, 1)(cache.Get[int](ctx, p.a, key))
	}
}

func loaderPanics(p *twins) {
	var wg sync.WaitGroup
	inside := make(chan struct{})
	var once sync.Once
	bad := func(ctx context.Context) (int, error) {
		once.Do(func() { close(inside) })
		_ = pause(ctx, 100*time.Millisecond)
		panic("on the way")
	}
	began := time.Now()
	wg.Go(func() {
		var panicked *cache.PanicError
		if _, err := cache.Fetch(ctx, p.a, "k", bad); !errors.As(err, &panicked) {
			p.Errorf("the leader got %v", err)
		}
	})
	<-inside
	for _, c := range []*cache.Cache{p.a, p.b} {
		wg.Go(func() {
			if v, err := cache.Fetch(ctx, c, "k", bad); err == nil {
				p.Errorf("a follower got %d", v)
			}
		})
	}
	wg.Wait()
	for _, c := range []*cache.Cache{p.a, p.b} {
		within(p, 2*time.Second, "the key is free", func() bool {
			v, err := cache.Fetch(ctx, c, "k", func(context.Context) (int, error) { return 1, nil })
			return v == 1 && err == nil
		})
	}
	p.Logf("all over after %v", time.Since(began))
}

func noConvoy(p *twins)         { p.convoy(p.lone()) }
func noConvoyInAFleet(p *twins) { p.convoy(p.a, p.b) }

func (p *twins) convoy(nodes ...*cache.Cache) {
	const callers = 50
	var loads atomic.Int32
	var wg, come sync.WaitGroup
	come.Add(callers)
	fails := func(ctx context.Context) (int, error) {
		loads.Add(1)
		come.Wait()
		_ = pause(ctx, 100*time.Millisecond)
		return 0, errLoad
	}
	began := time.Now()
	for i := range callers {
		wg.Go(func() {
			come.Done()
			if _, err := cache.Fetch(ctx, nodes[i%len(nodes)], "k", fails); err == nil {
				p.Error("no error")
			}
		})
	}
	wg.Wait()
	p.Logf("%d loads, %v", loads.Load(), time.Since(began))
	if n := loads.Load(); n != 1 {
		p.Errorf("%d loads that fail for %d callers", n, callers)
	}
}

// hungServer is asked with the default limits, which are what it is about.
func hungServer(p *twins) {
	c := nodeAt(p, p.srv.URL(), steady())
	must(p, eventually(func() error { return cache.Set(ctx, c, "warm", "y") }))
	p.srv.Pause()
	defer p.srv.Resume()
	for i := range 3 {
		began := time.Now()
		want(p, i)(cache.Fetch(ctx, c, fmt.Sprint("k", i), func(context.Context) (int, error) { return i, nil }))
		took := time.Since(began)
		p.Logf("call %d took %v", i+1, took)
		if took > time.Second {
			p.Errorf("call %d took %v", i+1, took)
		}
	}
}
