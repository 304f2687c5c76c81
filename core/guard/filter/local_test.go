package filter

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/strata-cache/strata/core/event"
)

// table is a database of keys.
type table struct {
	mu    sync.Mutex
	keys  map[string]bool
	reads int
	fail  error
}

func newTable(keys ...string) *table {
	d := &table{keys: map[string]bool{}}
	d.commit(keys...)
	return d
}

func (d *table) commit(keys ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, k := range keys {
		d.keys[k] = true
	}
}

// breaks lets the next sources end in an error.
func (d *table) breaks(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = err
}

func (d *table) has(key string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.keys[key]
}

func (d *table) all() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Collect(maps.Keys(d.keys))
}

func (d *table) sources() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reads
}

// source is a snapshot of what is committed when it is called.
func (d *table) source(context.Context) iter.Seq2[string, error] {
	keys := d.all()
	d.mu.Lock()
	d.reads++
	fail := d.fail
	d.mu.Unlock()
	return func(yield func(string, error) bool) {
		for _, k := range keys {
			if !yield(k, nil) {
				return
			}
		}
		if fail != nil {
			yield("", fail)
		}
	}
}

func start(t testing.TB, o Options) *Filter {
	t.Helper()
	if o.Name == "" {
		o.Name = "test"
	}
	f, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// elapse lets fake time pass.
func elapse(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// names are n keys of a kind.
func names(kind string, n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("%s:%d", kind, i)
	}
	return keys
}

// refused counts those of keys that do not pass.
func refused(f *Filter, keys []string) (n int) {
	for _, k := range keys {
		if !f.MayContain(context.Background(), k) {
			n++
		}
	}
	return n
}

func TestOptions(t *testing.T) {
	src := newTable().source
	for name, tt := range map[string]struct {
		o  Options
		ok bool
	}{
		"defaults":          {Options{Name: "f", Source: src}, true},
		"all off":           {Options{Name: "f", Source: src, CommitWithin: -1, CheckTimeout: -1, RebuildEvery: -1, RebuildPause: -1, SelfCheck: -1}, true},
		"no name":           {Options{Source: src}, false},
		"a long name":       {Options{Name: strings.Repeat("n", 201), Source: src}, false},
		"nothing":           {Options{Name: "f"}, false},
		"a rate of 1":       {Options{Name: "f", Source: src, FalsePositives: 1}, false},
		"a negative rate":   {Options{Name: "f", Source: src, FalsePositives: -1}, false},
		"not a rate":        {Options{Name: "f", Source: src, FalsePositives: math.NaN()}, false},
		"too many":          {Options{Name: "f", Source: src, Capacity: 1 << 31, FalsePositives: 1e-9}, false},
		"overflow":          {Options{Name: "f", Source: src, Capacity: math.MaxUint64}, false},
		"checks above one":  {Options{Name: "f", Source: src, SelfCheck: 1.1}, false},
		"checks of no rate": {Options{Name: "f", Source: src, SelfCheck: math.NaN()}, false},
		"no watch":          {Options{Name: "f", Source: src, Watch: -1}, false},
		"no hold":           {Options{Name: "f", Source: src, HoldTTL: -1}, false},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := New(tt.o)
			if (err == nil) != tt.ok {
				t.Fatalf("New: %v", err)
			}
			if err != nil && !strings.HasPrefix(err.Error(), "filter: ") {
				t.Errorf("error without its package: %v", err)
			}
			if f != nil {
				f.Close()
			}
		})
	}
}

// TestOpenUntilBuilt: before the first build everything passes, after it what exists.
func TestOpenUntilBuilt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newTable("a", "b")
		f := start(t, Options{Source: db.source, SelfCheck: -1})
		synctest.Wait()
		if f.Ready() || !f.MayContain(t.Context(), "x") {
			t.Error("refused a key before there was a bitmap")
		}
		elapse(DefaultCommitWithin - 1)
		if f.Ready() || db.sources() != 0 {
			t.Error("asked Source before transactions under way had their time")
		}
		elapse(1)
		if !f.Ready() || f.MayContain(t.Context(), "x") || !f.MayContain(t.Context(), "a") {
			t.Errorf("after the build: %+v", f.Stats())
		}
		if s := f.Stats(); s.Keys != 2 || s.Capacity != DefaultCapacity || s.Refused != 1 || s.Opened != 1 || s.Builds != 1 {
			t.Errorf("stats: %+v", s)
		}
	})
}

// TestWriteAhead: a key is found whenever its transaction commits, before, in or after a build.
func TestWriteAhead(t *testing.T) {
	for added := -9 * time.Second; added <= 21*time.Second; added += 3 * time.Second {
		for _, takes := range []time.Duration{0, 4 * time.Second, DefaultCommitWithin - 1} {
			t.Run(fmt.Sprint("added after ", added, ", committed after ", takes), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					db := newTable("a")
					f := start(t, Options{SelfCheck: -1, Source: func(ctx context.Context) iter.Seq2[string, error] {
						keys := db.source(ctx)
						<-time.After(5 * time.Second)
						return keys
					}})
					elapse(time.Minute)
					var wg sync.WaitGroup
					wg.Go(func() {
						<-time.After(10*time.Second + added)
						if err := f.Add(t.Context(), "new"); err != nil {
							t.Error(err)
						}
						<-time.After(takes)
						db.commit("new")
						for range 60 {
							<-time.After(time.Second)
							if !f.MayContain(t.Context(), "new") {
								t.Error("refused a key that exists")
								return
							}
						}
					})
					elapse(10 * time.Second)
					if err := f.Rebuild(t.Context()); err != nil {
						t.Error(err)
					}
					wg.Wait()
					if f.MayContain(t.Context(), "x") || f.Stats().Builds != 2 {
						t.Errorf("was not rebuilt: %+v", f.Stats())
					}
				})
			})
		}
	}
}

// TestSourceFails: a build that did not get everything is none, and is tried again, later and later.
func TestSourceFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newTable("a")
		broken := errors.New("broken")
		db.breaks(broken)
		var panics atomic.Bool
		f := start(t, Options{CommitWithin: -1, SelfCheck: -1, Source: func(ctx context.Context) iter.Seq2[string, error] {
			if panics.Load() {
				panic("broken")
			}
			return db.source(ctx)
		}})
		elapse(time.Hour)
		if n := db.sources(); n < 20 || n > 40 || f.Ready() {
			t.Errorf("%d attempts in an hour, ready %v", n, f.Ready())
		}
		if err := f.Rebuild(t.Context()); !errors.Is(err, broken) {
			t.Errorf("Rebuild: %v", err)
		}
		panics.Store(true)
		if err := f.Rebuild(t.Context()); err == nil || !strings.Contains(err.Error(), "panicked") {
			t.Errorf("Rebuild: %v", err)
		}
		panics.Store(false)
		db.breaks(nil)
		elapse(5 * time.Minute)
		if !f.Ready() || f.MayContain(t.Context(), "x") {
			t.Error("not built when the source works again")
		}
		db.breaks(broken)
		if err := f.Rebuild(t.Context()); err == nil || !f.Ready() || f.MayContain(t.Context(), "x") {
			t.Errorf("after a failed rebuild the one before is not in use: %v", err)
		}
	})
}

// TestSaturation: a filter that holds more than it was made for is made again for twice as many.
func TestSaturation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newTable(names("in", 500)...)
		var states []event.FilterState
		var mu sync.Mutex
		f := start(t, Options{Capacity: 1000, Source: db.source, SelfCheck: -1, Observer: &event.Observer{Filter: func(e event.Filter) {
			mu.Lock()
			defer mu.Unlock()
			states = append(states, e.State)
		}}})
		elapse(time.Minute)
		more := names("more", 1000)
		if err := f.Add(t.Context(), more...); err != nil {
			t.Fatal(err)
		}
		db.commit(more...)
		elapse(time.Minute)
		if s := f.Stats(); s.Capacity < 2500 || s.Keys < 1400 || s.Keys > 1600 || s.Builds != 2 {
			t.Errorf("%+v", s)
		}
		if n := refused(f, db.all()); n != 0 {
			t.Errorf("%d keys that exist were refused", n)
		}
		elapse(time.Hour)
		want := []event.FilterState{event.FilterBuilding, event.FilterReady, event.FilterSaturated, event.FilterBuilding, event.FilterReady}
		mu.Lock()
		defer mu.Unlock()
		if !slices.Equal(states, want) {
			t.Errorf("states %v, want %v", states, want)
		}
	})
}

func TestRebuildEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newTable("a", "b")
		f := start(t, Options{Source: db.source, SelfCheck: -1, RebuildEvery: time.Hour})
		elapse(time.Minute)
		db.mu.Lock()
		delete(db.keys, "b")
		db.mu.Unlock()
		if !f.MayContain(t.Context(), "b") {
			t.Error("a deleted key is refused before a rebuild")
		}
		elapse(90 * time.Minute)
		if f.MayContain(t.Context(), "b") || !f.MayContain(t.Context(), "a") || f.Stats().Builds != 2 {
			t.Errorf("after a rebuild: %+v", f.Stats())
		}
	})
}

// TestSelfCheck: what is let through for a check, and what the database says of it, find a source that
// misses keys.
func TestSelfCheck(t *testing.T) {
	for name, background := range map[string]bool{"by Observe": false, "by Exists": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := newTable("a")
				checked, opened := 0, 0
				o := Options{Source: db.source, SelfCheck: 0.1, Observer: &event.Observer{Filter: func(e event.Filter) {
					switch e.State {
					case event.FilterChecked:
						checked++
					case event.FilterOpen:
						opened++
						if !errors.Is(e.Err, errWrong) {
							t.Errorf("opened by %v", e.Err)
						}
					}
				}}}
				if background {
					o.Exists = func(_ context.Context, key string) (bool, error) { return db.has(key), nil }
				}
				f := start(t, o)
				elapse(time.Minute)
				pass := func(kind string) (n int) {
					for _, k := range names(kind, 1000) {
						if f.MayContain(t.Context(), k) {
							n++
							f.Observe(k, db.has(k))
						}
					}
					elapse(time.Second)
					return n
				}
				through := pass("absent")
				if background && through > 5 || !background && (through < 50 || through > 200) {
					t.Errorf("%d of 1,000 absent keys passed", through)
				}
				if s := f.Stats(); s.Checked < 50 || s.Checked > 200 || s.Wrong != 0 || int(s.Checked) != checked || !s.Ready {
					t.Errorf("%+v, %d events", s, checked)
				}
				db.commit(names("unknown", 1000)...) // without Add
				pass("unknown")
				if opened != 1 || f.Ready() {
					t.Errorf("opened %d times, ready %v", opened, f.Ready())
				}
				elapse(time.Minute)
				if !f.Ready() || refused(f, names("unknown", 1000)) != 0 {
					t.Errorf("not rebuilt: %+v", f.Stats())
				}
			})
		})
	}
}

// TestCheckOfAKeyAddedSince: that it exists by now does not mean that it was wrongly refused.
func TestCheckOfAKeyAddedSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, Options{Source: newTable("a").source, SelfCheck: 1})
		elapse(time.Minute)
		if !f.MayContain(t.Context(), "new") {
			t.Fatal("not let through for a check")
		}
		if err := f.Add(t.Context(), "new"); err != nil {
			t.Fatal(err)
		}
		f.Observe("new", true)
		if s := f.Stats(); s.Checked != 1 || s.Wrong != 0 || !s.Ready {
			t.Errorf("%+v", s)
		}
	})
}

func TestFalsePositiveRate(t *testing.T) {
	for _, p := range []float64{0.01, 0.001} {
		t.Run(fmt.Sprint(p), func(t *testing.T) {
			const n = 100_000
			db := newTable(names("user", n)...)
			f := start(t, Options{Source: db.source, Capacity: n, FalsePositives: p, CommitWithin: -1, SelfCheck: -1})
			if err := f.Rebuild(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := refused(f, db.all()); got != 0 {
				t.Errorf("%d keys that exist were refused", got)
			}
			absent := names("absent", n)
			for _, k := range absent {
				if f.MayContain(t.Context(), k) {
					f.Observe(k, false)
				}
			}
			rate := float64(n-f.Stats().Refused) / n
			t.Logf("false positives: %.5f, asked for %v", rate, p)
			if rate > 1.5*p || math.Abs(f.Stats().FalsePositives-rate) > 1e-9 {
				t.Errorf("%.5f false positives, measured by itself %.5f", rate, f.Stats().FalsePositives)
			}
		})
	}
}

// TestModel compares random steps with a set: what is in it is never refused, most other keys are.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		db := newTable()
		f, err := New(Options{Name: "f", Source: db.source, Capacity: 100, CommitWithin: -1, SelfCheck: -1, RebuildPause: -1, Watch: time.Hour})
		if err != nil {
			rt.Fatal(err)
		}
		defer f.Close()
		key := rapid.StringN(0, 4, 40)
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			switch rapid.IntRange(0, 3).Draw(rt, "step") {
			case 0, 1:
				keys := rapid.SliceOfN(key, 0, 20).Draw(rt, "keys")
				// Without CommitWithin what is added has to be in the source, or a build that begins in between
				// misses it.
				db.commit(keys...)
				if err := f.Add(context.Background(), keys...); err != nil {
					rt.Fatal(err)
				}
			case 2:
				if err := f.Rebuild(context.Background()); err != nil {
					rt.Fatal(err)
				}
			case 3:
				if n := refused(f, db.all()); n != 0 {
					rt.Fatalf("%d of %d keys that exist were refused", n, len(db.all()))
				}
			}
		}
		if n := refused(f, db.all()); n != 0 {
			rt.Fatalf("%d keys that exist were refused", n)
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := make(chan struct{})
		f := start(t, Options{CommitWithin: -1, Source: func(ctx context.Context) iter.Seq2[string, error] {
			close(asked)
			<-ctx.Done()
			return func(func(string, error) bool) {}
		}})
		<-asked
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := f.Rebuild(t.Context()); !errors.Is(err, ErrClosed) {
				t.Errorf("Rebuild under way: %v", err)
			}
		})
		synctest.Wait()
		for range 2 {
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
		wg.Wait()
		if err := f.Add(t.Context(), "k"); !errors.Is(err, ErrClosed) {
			t.Errorf("Add: %v", err)
		}
		if err := f.Rebuild(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("Rebuild: %v", err)
		}
		if f.Ready() || !f.MayContain(t.Context(), "k") {
			t.Error("a closed filter refuses a key")
		}
	})
}

func TestMayContainAllocatesNothing(t *testing.T) {
	db := newTable(names("user", 1000)...)
	f := start(t, Options{Source: db.source, CommitWithin: -1})
	open := start(t, Options{Source: db.source})
	if err := f.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	key, long := "user:17", strings.Repeat("k", 100)
	if err := f.Add(t.Context(), long); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		f   *Filter
		key string
	}{"maybe": {f, key}, "maybe, a long key": {f, long}, "no": {f, "absent"}, "open": {open, key}} {
		if n := testing.AllocsPerRun(100, func() { tt.f.MayContain(t.Context(), tt.key) }); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkMayContain(b *testing.B) {
	const n = 1_000_000
	keys, absent := names("user", n), names("absent", n)
	f := start(b, Options{Source: func(context.Context) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			for _, k := range keys {
				if !yield(k, nil) {
					return
				}
			}
		}
	}, CommitWithin: -1, SelfCheck: -1})
	if err := f.Rebuild(b.Context()); err != nil {
		b.Fatal(err)
	}
	for name, keys := range map[string][]string{"maybe": keys, "no": absent} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i += 7919 {
					f.MayContain(context.Background(), keys[i%n])
				}
			})
		})
	}
}
