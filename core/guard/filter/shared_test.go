package filter

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/redisstore"
	"github.com/strata-cache/strata/internal/testserver"
)

// patient is a budget that no loaded machine exceeds.
const patient = time.Minute

// fleet is filters of several processes, over one server and one database.
type fleet struct {
	t      testing.TB
	srv    *testserver.Server
	raw    *redis.Client
	prefix string
	db     *table
}

func newFleet(t testing.TB, srv *testserver.Server, keys ...string) *fleet {
	raw := redis.NewClient(&redis.Options{Addr: srv.Addr})
	t.Cleanup(func() { raw.Close() })
	return &fleet{t, srv, raw, strings.ToLower(rand.Text()) + ":", newTable(keys...)}
}

func (c *fleet) store(timeout time.Duration) *redisstore.Store {
	c.t.Helper()
	s, err := redisstore.Open(c.srv.URL(), redisstore.Options{Prefix: c.prefix, OpTimeout: timeout})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { s.Close() })
	return s
}

// join starts another process's filter. Nothing waits long, and nothing is let through for a check.
func (c *fleet) join(change ...func(o *Options)) *Filter {
	c.t.Helper()
	o := Options{
		Capacity: 10_000, Source: c.db.source, Shared: c.store(patient), CommitWithin: -1, CheckTimeout: patient,
		Watch: 20 * time.Millisecond, RebuildPause: -1, SelfCheck: -1,
	}
	for _, f := range change {
		f(&o)
	}
	return start(c.t, o)
}

// reader is a process that never builds.
func reader(o *Options) { o.Source = nil }

// still is a process that looks at the bitmap only when it has reason to.
func still(o *Options) { o.Watch = time.Hour }

// places are the keys of the bitmaps on the server.
func (c *fleet) places() []string {
	c.t.Helper()
	keys, err := c.raw.Keys(context.Background(), c.prefix+"{f:test}[01]").Result()
	if err != nil {
		c.t.Fatal(err)
	}
	return keys
}

func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(patient)
	defer deadline.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not within %v: %s", patient, what)
		}
	}
}

// works waits until the filter refuses what does not exist.
func works(t testing.TB, f *Filter) {
	t.Helper()
	until(t, "the filter is in use", func() bool { return f.Ready() && !f.MayContain(t.Context(), "absent"+rand.Text()) })
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestOneBuildsForAll: others find what one has built, and what any of them adds.
func TestOneBuildsForAll(t *testing.T) {
	c := newFleet(t, shared.Redis(t), names("user", 1000)...)
	var fleet []*Filter
	for range 4 {
		fleet = append(fleet, c.join())
	}
	for _, f := range fleet {
		works(t, f)
	}
	if n := c.db.sources(); n != 1 {
		t.Errorf("Source was asked %d times", n)
	}
	for i, f := range fleet {
		added := names(fmt.Sprint("new of ", i), 300)
		must(t, f.Add(t.Context(), added...))
		c.db.commit(added...)
		for j, g := range fleet {
			if n := refused(g, added); n != 0 {
				t.Errorf("%d keys that %d added are refused by %d", n, i, j)
			}
		}
	}
	for i, f := range fleet {
		if n := refused(f, c.db.all()); n != 0 {
			t.Errorf("%d: %d keys that exist are refused", i, n)
		}
		if n := refused(f, names("absent", 1000)); n < 950 {
			t.Errorf("%d: only %d of 1,000 absent keys are refused", i, n)
		}
	}
	must(t, fleet[0].Rebuild(t.Context()))
	works(t, fleet[1])
	if n := c.db.sources(); n != 2 {
		t.Errorf("Source was asked %d times", n)
	}
}

// TestRoundTrips: the server itself counts one command for a no, and none for a maybe of the copy.
func TestRoundTrips(t *testing.T) {
	c := newFleet(t, testserver.Redis(t), names("user", 1000)...)
	works(t, c.join(func(o *Options) { o.RebuildPause = time.Hour }))
	f := c.join(reader, still)
	works(t, f)
	until(t, "the copy is complete", func() bool {
		n := f.Stats().Asked
		return refused(f, c.db.all()) == 0 && f.Stats().Asked == n
	})
	must(t, c.raw.ConfigResetStat(t.Context()).Err())
	before := f.Stats().Asked
	n := refused(f, names("absent", 1000))
	asked := f.Stats().Asked - before
	info := c.raw.Info(t.Context(), "commandstats").Val()
	if n < 950 || int(asked) < n || !strings.Contains(info, fmt.Sprintf("cmdstat_bitfield_ro:calls=%d,", asked)) {
		t.Errorf("%d refused, %d asked, commands:\n%s", n, asked, info)
	}
}

// TestLoss: whatever becomes of the bitmap, no key that exists is refused, not even by a process that has
// noticed nothing yet, nor after a late Add has come to the server; then it is built anew.
func TestLoss(t *testing.T) {
	each := func(c *fleet, do func(place string) error) error {
		for _, p := range c.places() {
			if err := do(p); err != nil {
				return err
			}
		}
		return nil
	}
	ctx := context.Background()
	for name, lose := range map[string]func(c *fleet) error{
		"flush":   func(c *fleet) error { return c.raw.FlushAll(ctx).Err() },
		"evicted": func(c *fleet) error { return each(c, func(p string) error { return c.raw.Del(ctx, p).Err() }) },
		"cut": func(c *fleet) error {
			return each(c, func(p string) error { return c.raw.Set(ctx, p, c.raw.GetRange(ctx, p, 0, 200).Val(), 0).Err() })
		},
		"foreign": func(c *fleet) error {
			return each(c, func(p string) error { return c.raw.Set(ctx, p, strings.Repeat("x", 20_000), 0).Err() })
		},
		"zeros": func(c *fleet) error {
			return each(c, func(p string) error {
				return c.raw.Set(ctx, p, strings.Repeat("\x00", int(c.raw.StrLen(ctx, p).Val())), 0).Err()
			})
		},
		"another type": func(c *fleet) error {
			return each(c, func(p string) error {
				c.raw.Del(ctx, p)
				return c.raw.LPush(ctx, p, "x").Err()
			})
		},
		"another generation, empty": func(c *fleet) error {
			s := c.store(patient)
			set, err := s.LoadBitmaps(ctx, "test")
			if err != nil {
				return err
			}
			m, err := s.OpenBitmap(ctx, "test", set.Bitmaps[0])
			if err != nil {
				return err
			}
			if err := s.SealBitmap(ctx, "test", m, 0); err != nil {
				return err
			}
			return each(c, func(p string) error { return c.raw.Del(ctx, p).Err() })
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newFleet(t, testserver.Redis(t), names("user", 100)...)
			builder := c.join()
			works(t, builder)
			// Its copy is empty: every answer comes from the server.
			f := c.join(reader, still, func(o *Options) { o.Shared = unread{o.Shared} })
			works(t, f)
			hold := make(chan struct{})
			slow := c.join(still, func(o *Options) { // holds up its own build, so that the loss lasts
				o.Source = func(ctx context.Context) iter.Seq2[string, error] {
					<-hold
					return c.db.source(ctx)
				}
			})
			works(t, slow)
			must(t, builder.Close())
			must(t, lose(c))
			if n := refused(f, c.db.all()); n != 0 {
				t.Errorf("%d keys that exist were refused after the loss", n)
			}
			must(t, slow.Add(t.Context(), "late"))
			c.db.commit("late")
			g := c.join(reader)
			for _, f := range []*Filter{f, slow, g} {
				until(t, "another look", func() bool { return f.sync(t.Context()) == nil })
				if n := refused(f, c.db.all()); n != 0 || f.Ready() {
					t.Errorf("%d keys that exist were refused after a late Add; ready: %v", n, f.Ready())
				}
			}
			close(hold)
			works(t, slow)
			works(t, g)
			if n := refused(f, c.db.all()) + refused(slow, c.db.all()) + refused(g, c.db.all()); n != 0 {
				t.Errorf("%d keys that exist were refused after the rebuild", n)
			}
		})
	}
}

// unread is a store whose bitmaps cannot be copied.
type unread struct{ store.Bitmaps }

func (unread) ReadBitmap(context.Context, string, store.Bitmap, uint64, int) ([]byte, error) {
	return nil, errors.New("not to be copied")
}

// TestFlushInTraffic: readers and writers in two processes, and a server that is flushed again and again.
func TestFlushInTraffic(t *testing.T) {
	c := newFleet(t, testserver.Redis(t), names("user", 2000)...)
	const commitWithin = 300 * time.Millisecond
	within := func(o *Options) { o.CommitWithin = commitWithin }
	fleet := []*Filter{c.join(within), c.join(within, func(o *Options) { o.Shared = unread{o.Shared} })}
	for _, f := range fleet {
		works(t, f)
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var hidden, asked, added, failed atomic.Int64
	for g := range 4 {
		wg.Go(func() {
			f := fleet[g%2]
			for ctx.Err() == nil {
				for _, k := range c.db.all() {
					if asked.Add(1); !f.MayContain(ctx, k) {
						hidden.Add(1)
					}
					if asked.Load()%100 == 0 {
						f.MayContain(ctx, "absent"+k)
					}
					if ctx.Err() != nil {
						return
					}
				}
			}
		})
		wg.Go(func() {
			f := fleet[g%2]
			pace := time.NewTicker(3 * time.Millisecond)
			defer pace.Stop()
			for i := 0; ctx.Err() == nil; i++ {
				<-pace.C
				k := fmt.Sprintf("new:%d:%d", g, i)
				begun := time.Now()
				if f.Add(ctx, k) != nil {
					failed.Add(1)
				} else if time.Since(begun) < commitWithin/2 { // or it is rolled back
					c.db.commit(k)
					added.Add(1)
				}
			}
		})
	}
	for range 5 {
		must(t, c.raw.FlushAll(t.Context()).Err())
		<-time.After(5 * time.Millisecond)
		must(t, c.raw.FlushAll(t.Context()).Err())
		for _, f := range fleet {
			works(t, f)
		}
	}
	stop()
	wg.Wait()
	if hidden.Load() != 0 || added.Load() < 100 {
		t.Errorf("%d of %d answers hid a key that exists; %d added, %d failed", hidden.Load(), asked.Load(), added.Load(), failed.Load())
	}
	for _, f := range fleet {
		if n := refused(f, c.db.all()); n != 0 {
			t.Errorf("%d keys that exist are refused", n)
		}
	}
}

// TestCommitAfterTheFlush: a key was added to a bitmap that was lost before the transaction committed.
func TestCommitAfterTheFlush(t *testing.T) {
	c := newFleet(t, testserver.Redis(t), "a")
	building := make(chan struct{}, 10)
	f := c.join(func(o *Options) {
		o.CommitWithin = time.Second
		o.Observer = &event.Observer{Filter: func(e event.Filter) {
			if e.State == event.FilterBuilding {
				building <- struct{}{}
			}
		}}
	})
	works(t, f)
	<-building
	begun := time.Now()
	must(t, f.Add(t.Context(), "new"))
	must(t, c.raw.FlushAll(t.Context()).Err())
	<-building
	<-time.After(200 * time.Millisecond)
	if time.Since(begun) < 800*time.Millisecond {
		c.db.commit("new")
	}
	works(t, f)
	if n := refused(f, c.db.all()); n != 0 {
		t.Errorf("%d keys that exist are refused", n)
	}
}

// TestOlderCopy: a bitmap that was restored from a copy is found out by whoever has seen a newer state, and
// then by all.
func TestOlderCopy(t *testing.T) {
	c := newFleet(t, shared.Redis(t), names("user", 100)...)
	hold := make(chan struct{})
	var holds atomic.Bool
	f := c.join(still, func(o *Options) {
		o.Source = func(ctx context.Context) iter.Seq2[string, error] {
			if holds.Load() {
				<-hold
			}
			return c.db.source(ctx)
		}
	})
	works(t, f)
	place := c.places()[0]
	copied, err := c.raw.Dump(t.Context(), place).Result()
	must(t, err)
	holds.Store(true)
	g := c.join(reader, func(o *Options) { o.Shared = unread{o.Shared} })
	works(t, g)
	must(t, f.Add(t.Context(), "new"))
	c.db.commit("new")
	until(t, "the other has seen it", func() bool {
		s := g.current()
		return s != nil && s.seq.Load() == f.current().seq.Load()
	})
	must(t, c.raw.RestoreReplace(t.Context(), place, 0, copied).Err())
	for _, f := range []*Filter{g, f} {
		if n := refused(f, c.db.all()); n != 0 {
			t.Errorf("%d keys that exist were refused", n)
		}
		if !f.MayContain(t.Context(), "absent") {
			t.Error("refused a key on the word of an older copy")
		}
		until(t, "the filter is open", func() bool { return !f.Ready() })
	}
	until(t, "the copy is gone", func() bool { return f.sync(t.Context()) == nil && f.sealedToken() == 0 })
	close(hold)
	works(t, f)
	works(t, g)
	if n := refused(g, c.db.all()) + refused(f, c.db.all()); n != 0 {
		t.Errorf("%d keys that exist were refused after the rebuild", n)
	}
}

// TestRestart: a server that comes back with its data is not trusted with the bitmap, which may lack what was
// added since it was saved.
func TestRestart(t *testing.T) {
	c := newFleet(t, testserver.Redis(t, "--save", "3600 1"), names("user", 100)...)
	f := c.join()
	works(t, f)
	must(t, c.raw.Save(t.Context()).Err())
	must(t, f.Add(t.Context(), "new"))
	c.db.commit("new")
	must(t, f.Close())
	c.srv.Restart()
	if len(c.places()) != 1 {
		t.Fatal("the server has not kept the bitmap")
	}
	g := c.join(reader) // a fresh process, which has seen nothing
	until(t, "a look", func() bool { return g.sealedToken() != 0 })
	must(t, g.sync(t.Context()))
	if g.Ready() || refused(g, c.db.all()) != 0 {
		t.Error("a bitmap of another run of the server was trusted")
	}
	works(t, c.join())
	works(t, g)
	if n := refused(g, c.db.all()); n != 0 {
		t.Errorf("%d keys that exist are refused", n)
	}
}

// TestHung: a server that does not answer costs a few callers CheckTimeout, and nobody an answer.
func TestHung(t *testing.T) {
	srv := testserver.Redis(t)
	c := newFleet(t, srv, names("user", 100)...)
	works(t, c.join())
	f := c.join(reader, func(o *Options) {
		o.Shared, o.CheckTimeout = unread{c.store(0)}, 0
		o.Watch = 100 * time.Millisecond
	})
	works(t, f)
	srv.Pause()
	begun := time.Now()
	if n := refused(f, c.db.all()) + refused(f, names("absent", 10_000)); n != 0 {
		t.Errorf("%d keys were refused without the server", n)
	}
	if took := time.Since(begun); took > time.Second {
		t.Errorf("took %v", took)
	}
	begun = time.Now()
	if err := f.Add(t.Context(), "new"); err == nil {
		t.Error("an Add that the server has not taken has no error")
	}
	if took := time.Since(begun); took > time.Second {
		t.Errorf("Add took %v", took)
	}
	c.db.commit("new") // all the same
	srv.Resume()
	works(t, f)
	if n := refused(f, c.db.all()); n != 0 || f.Stats().Owed != 0 {
		t.Errorf("%d keys that exist are refused, %d owed", n, f.Stats().Owed)
	}
	other := c.join(reader)
	works(t, other)
	if n := refused(other, c.db.all()); n != 0 {
		t.Errorf("%d keys that exist are refused by another process", n)
	}
}

// TestOwedTooMany: when the keys that the server has not taken cannot be remembered, the bitmap is given up.
func TestOwedTooMany(t *testing.T) {
	srv := testserver.Redis(t)
	c := newFleet(t, srv, "a")
	f := c.join(func(o *Options) { o.Shared = c.store(200 * time.Millisecond) })
	works(t, f)
	before := f.sealedToken()
	srv.Pause()
	added := names("new", maxOwed+1)
	if err := f.Add(t.Context(), added...); err == nil {
		t.Error("no error")
	}
	c.db.commit(added...)
	srv.Resume()
	works(t, f)
	if n := refused(f, c.db.all()); n != 0 || f.sealedToken() == before {
		t.Errorf("%d keys that exist are refused; the bitmap before: %v", n, f.sealedToken() == before)
	}
}

// TestDownAtStart: without a server everything passes; it is used when it comes.
func TestDownAtStart(t *testing.T) {
	srv := testserver.Redis(t)
	srv.Kill()
	c := newFleet(t, srv, "a")
	f := c.join()
	if refused(f, []string{"a", "x"}) != 0 {
		t.Error("refused without a server")
	}
	srv.Restart()
	works(t, f)
	srv.Kill()
	if refused(f, names("absent", 100)) != 0 {
		t.Error("refused by a dead server")
	}
	srv.Restart()
	works(t, f)
}

// TestFullServer: a server that takes no writes takes no Add, and goes on answering.
func TestFullServer(t *testing.T) {
	c := newFleet(t, testserver.Redis(t), "a")
	f := c.join()
	works(t, f)
	must(t, c.raw.ConfigSet(t.Context(), "maxmemory", "1").Err())
	g := c.join(reader)
	works(t, g)
	if err := f.Add(t.Context(), "new"); err == nil {
		t.Error("an Add that the server has not taken has no error")
	}
	if !f.MayContain(t.Context(), "new") {
		t.Error("refused what it owes")
	}
	c.db.commit("new")
	must(t, c.raw.ConfigSet(t.Context(), "maxmemory", "0").Err())
	until(t, "it is paid", func() bool { return f.Stats().Owed == 0 })
	works(t, f)
	if !g.MayContain(t.Context(), "new") {
		t.Error("another process refuses what was paid")
	}
}

// TestBuilderDies: another process takes over when the one that builds is gone, and what was added meanwhile
// is not lost.
func TestBuilderDies(t *testing.T) {
	c := newFleet(t, shared.Redis(t), names("user", 100)...)
	s := c.store(patient)
	held, err := s.HoldBitmaps(t.Context(), "test", 99, 300*time.Millisecond) // by one that dies
	if !held || err != nil {
		t.Fatal(held, err)
	}
	begun := time.Now()
	f := c.join()
	must(t, f.Add(t.Context(), "new"))
	c.db.commit("new")
	works(t, f)
	if took := time.Since(begun); took < 250*time.Millisecond {
		t.Errorf("took over after %v", took)
	}
	if n := refused(f, c.db.all()); n != 0 || c.db.sources() != 1 {
		t.Errorf("%d keys that exist are refused; Source was asked %d times", n, c.db.sources())
	}
}

// TestRebuildTogether: rebuilds asked for at the same time are one after the other, or one for all.
func TestRebuildTogether(t *testing.T) {
	c := newFleet(t, shared.Redis(t), names("user", 100)...)
	fleet := []*Filter{c.join(), c.join(), c.join()}
	for _, f := range fleet {
		works(t, f)
	}
	var wg sync.WaitGroup
	for _, f := range fleet {
		wg.Go(func() {
			if err := f.Rebuild(t.Context()); err != nil {
				t.Error(err)
			}
			if n := refused(f, c.db.all()); n != 0 {
				t.Errorf("%d keys that exist are refused", n)
			}
		})
	}
	wg.Wait()
	if err := c.join(reader).Rebuild(t.Context()); !errors.Is(err, ErrNoSource) {
		t.Errorf("Rebuild without Source: %v", err)
	}
}

// TestGrowsForAll: one process's larger capacity, and saturation, rebuild the bitmap for all.
func TestGrowsForAll(t *testing.T) {
	c := newFleet(t, shared.Redis(t), names("user", 100)...)
	small := c.join(func(o *Options) { o.Capacity = 200 })
	works(t, small)
	more := names("more", 1000)
	must(t, small.Add(t.Context(), more...))
	c.db.commit(more...)
	until(t, "it has grown", func() bool { return small.Stats().Capacity > 1000 && small.Ready() })
	large := c.join()
	until(t, "it is as large as asked for", func() bool { return small.Stats().Capacity == 10_000 })
	for _, f := range []*Filter{small, large} {
		works(t, f)
		if n := refused(f, c.db.all()); n != 0 {
			t.Errorf("%d keys that exist are refused", n)
		}
	}
}

// TestWrongForAll: what one process finds out, by a check, opens the filter in every process.
func TestWrongForAll(t *testing.T) {
	c := newFleet(t, shared.Redis(t), "a")
	f := c.join(reader, func(o *Options) { o.SelfCheck = 1 })
	builder := c.join(func(o *Options) { o.RebuildPause = time.Hour })
	g := c.join(reader)
	works(t, builder)
	works(t, g)
	until(t, "ready", f.Ready)
	before := builder.sealedToken()
	c.db.commit("never added")
	if !f.MayContain(t.Context(), "never added") {
		t.Fatal("not let through for a check")
	}
	f.Observe("never added", true)
	if f.Stats().Wrong != 1 {
		t.Errorf("%+v", f.Stats())
	}
	until(t, "it is open for all", func() bool { return !f.Ready() && !g.Ready() && !builder.Ready() })
	must(t, builder.Rebuild(t.Context()))
	works(t, g)
	if builder.sealedToken() == before || refused(g, c.db.all()) != 0 {
		t.Error("not rebuilt")
	}
}

func TestSharedFalsePositiveRate(t *testing.T) {
	const n = 100_000
	c := newFleet(t, shared.Redis(t), names("user", n)...)
	works(t, c.join(func(o *Options) { o.Capacity = n }))
	f := c.join(reader)
	works(t, f)
	if got := refused(f, c.db.all()); got != 0 {
		t.Errorf("%d keys that exist are refused", got)
	}
	const absent = 10_000
	if rate := 1 - float64(refused(f, names("absent", absent)))/absent; rate > 0.015 {
		t.Errorf("%.4f false positives, asked for 0.01", rate)
	}
}

// TestSharedModel compares random steps of three processes, in which the bitmap gets lost at times, with a
// set: what is in it is never refused.
func TestSharedModel(t *testing.T) {
	srv := testserver.Redis(t)
	stores := newFleet(t, srv)
	shared := []store.Bitmaps{stores.store(patient), stores.store(patient), unread{stores.store(patient)}}
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		db := newTable()
		var fleet []*Filter
		for _, s := range shared {
			f, err := New(Options{
				Name: fmt.Sprint("model", n), Source: db.source, Shared: s, Capacity: 100, CommitWithin: -1, SelfCheck: -1,
				CheckTimeout: patient, RebuildPause: -1, Watch: 5 * time.Millisecond,
			})
			if err != nil {
				rt.Fatal(err)
			}
			defer f.Close() //nolint:gocritic // a fleet is a few filters, and the draw one call
			fleet = append(fleet, f)
		}
		key := rapid.StringN(0, 4, 40)
		for range rapid.IntRange(1, 20).Draw(rt, "steps") {
			f := rapid.SampledFrom(fleet).Draw(rt, "process")
			switch rapid.IntRange(0, 6).Draw(rt, "step") {
			case 0, 1, 2:
				keys := rapid.SliceOfN(key, 0, 20).Draw(rt, "keys")
				// As in TestModel: without CommitWithin the source comes first.
				db.commit(keys...)
				if err := f.Add(context.Background(), keys...); err != nil {
					rt.Fatal(err)
				}
			case 3:
				if err := f.Rebuild(context.Background()); err != nil {
					_ = err // the bitmap was lost in the meantime
				}
			case 4:
				if err := stores.raw.FlushAll(context.Background()).Err(); err != nil {
					rt.Fatal(err)
				}
			default:
				if n := refused(f, db.all()); n != 0 {
					rt.Fatalf("%d of %d keys that exist were refused", n, len(db.all()))
				}
			}
		}
	})
}
