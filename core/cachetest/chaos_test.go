package cachetest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/cachetest"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/memstore"
	"github.com/strata-cache/strata/core/store/nullstore"
	"github.com/strata-cache/strata/core/store/redisstore"
	"github.com/strata-cache/strata/core/store/storetest"
	"github.com/strata-cache/strata/core/store/tiered"
	"github.com/strata-cache/strata/internal/testserver"
)

func TestChaosWithoutFaultsIsTheStoreItself(t *testing.T) {
	for name, opts := range map[string]cachetest.ChaosOptions{"local": {}, "remote": {Remote: true}} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(*testing.T) store.Store { return cachetest.NewChaos(cachetest.NewStore(nil), opts) })
		})
	}
	t.Run("tiered", func(t *testing.T) {
		storetest.Run(t, func(*testing.T) store.Store {
			st, err := tiered.New(tiered.Options{Tiers: []tiered.Tier{{Store: cachetest.NewStore(nil)}, {Store: cachetest.NewChaos(cachetest.NewStore(nil), cachetest.ChaosOptions{})}}})
			return cachetest.NewChaos(cache.Must(st, err), cachetest.ChaosOptions{})
		})
	})
}

// capabilities are those that s has.
func capabilities(s store.Store) (names []string) {
	add := func(name string, has bool) {
		if has {
			names = append(names, name)
		}
	}
	add("Batcher", has[store.Batcher](s))
	add("Adder", has[store.Adder](s))
	add("Toucher", has[store.Toucher](s))
	add("Counter", has[store.Counter](s))
	add("Scanner", has[store.Scanner](s))
	add("Borrower", has[store.Borrower](s))
	add("Pinger", has[store.Pinger](s))
	add("Sizer", has[store.Sizer](s))
	add("Fronted", has[store.Fronted](s))
	add("Leaser", has[store.Leaser](s))
	add("Locker", has[store.Locker](s))
	add("Log", has[store.Log](s))
	add("Bitmaps", has[store.Bitmaps](s))
	return names
}

func has[C any](s store.Store) bool {
	_, ok := store.As[C](s)
	return ok
}

func TestChaosHasTheCapabilitiesOfItsStore(t *testing.T) {
	mem := cache.Must(memstore.New(memstore.Options{}))
	red := cache.Must(redisstore.Open("redis://127.0.0.1:1", redisstore.Options{}))
	two := cache.Must(tiered.New(tiered.Options{Tiers: []tiered.Tier{{Store: mem}, {Store: red}}}))
	defer two.Close()
	for _, s := range []store.Store{mem, red, two, nullstore.New(), cachetest.NewStore(nil), struct{ store.Store }{mem}} {
		want, got := capabilities(s), capabilities(cachetest.NewChaos(s, cachetest.ChaosOptions{}))
		if len(want) != len(got) {
			t.Errorf("%T: %v became %v", s, want, got)
		}
	}
	if has[store.Borrower](cachetest.NewChaos(mem, cachetest.ChaosOptions{Remote: true})) {
		t.Error("a remote store is in this process")
	}
}

// broken returns a chaos with the keys "a", "ab" and "b".
func broken(t *testing.T) (*cachetest.Chaos, *cachetest.Clock) {
	t.Helper()
	clock := cachetest.NewClock()
	c := cachetest.NewChaos(cachetest.NewStore(clock), cachetest.ChaosOptions{Clock: clock, Remote: true})
	t.Cleanup(func() { must(t, c.Close()) })
	for _, k := range []string{"a", "ab", "b"} {
		must(t, c.Set(ctx, k, entry("of "+k, clock.Now())))
	}
	return c, clock
}

func TestFaultsMeetWhatTheyName(t *testing.T) {
	for _, tt := range []struct {
		pattern string
		meets   []string
	}{
		{"", []string{"a", "ab", "b"}},
		{"a", []string{"a"}},
		{"a*", []string{"a", "ab"}},
		{"*b", []string{"ab", "b"}},
		{"*a*b*", []string{"ab"}},
		{"a*ab", nil},
		{"*", []string{"a", "ab", "b"}},
	} {
		c, _ := broken(t)
		f := c.Inject(cachetest.Fault{Op: cachetest.OpGet | cachetest.OpDelete, Key: tt.pattern})
		for _, k := range []string{"a", "ab", "b"} {
			_, err := c.Get(ctx, k)
			meets := false
			for _, m := range tt.meets {
				meets = meets || m == k
			}
			if errors.Is(err, cachetest.ErrInjected) != meets {
				t.Errorf("%q meets %q: %v", k, tt.pattern, err)
			}
			must(t, c.Set(ctx, k, entry("v", time.Now())))
		}
		if f.Met() != len(tt.meets) {
			t.Errorf("%q: met %d times", tt.pattern, f.Met())
		}
	}
}

func TestFaultsEnd(t *testing.T) {
	c, _ := broken(t)
	own := errors.New("own")
	c.Inject(cachetest.Fault{Times: 2, Err: own})
	f := c.Inject(cachetest.Fault{Op: cachetest.OpSet})
	for i, want := range []error{own, own, nil} {
		if _, err := c.Get(ctx, "a"); !errors.Is(err, want) {
			t.Errorf("look-up %d: %v", i, err)
		}
	}
	if err := c.Set(ctx, "a", entry("v", time.Now())); !errors.Is(err, cachetest.ErrInjected) {
		t.Errorf("got %v", err)
	}
	f.Remove()
	must(t, c.Set(ctx, "a", entry("v", time.Now())))
	c.Inject(cachetest.Fault{})
	c.Heal()
	_, err := c.Get(ctx, "a")
	must(t, err)
}

func TestWhatIsReadIsChanged(t *testing.T) {
	c, _ := broken(t)
	many, _ := store.As[store.Batcher](c)
	c.Inject(cachetest.Fault{Key: "a", Corrupt: true})
	c.Inject(cachetest.Fault{Key: "b", Change: func(_ string, e *store.Entry) *store.Entry {
		e = e.WithTimes(e.Times)
		e.Value = e.Value[:1]
		return e
	}})
	if _, err := c.Get(ctx, "a"); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("got %v", err)
	}
	for range 2 {
		if e, err := c.Get(ctx, "b"); err != nil || string(e.Value) != "o" {
			t.Errorf("%v, %v", e, err)
		}
	}
	got, err := many.GetMany(ctx, []string{"a", "ab", "b", "none"})
	if !errors.Is(err, store.ErrCorrupt) || got[0] != nil || string(got[1].Value) != "of ab" || string(got[2].Value) != "o" || got[3] != nil {
		t.Errorf("%v, %v", got, err)
	}
	c.Heal()
	if e, err := c.Get(ctx, "b"); err != nil || string(e.Value) != "of b" {
		t.Errorf("the entry itself was changed: %v, %v", e, err)
	}
}

func TestDroppedWritesLookDone(t *testing.T) {
	c, clock := broken(t)
	many, _ := store.As[store.Batcher](c)
	add, _ := store.As[store.Adder](c)
	touch, _ := store.As[store.Toucher](c)
	seen, err := c.Get(ctx, "b")
	must(t, err)
	writes := cachetest.OpSet | cachetest.OpAdd | cachetest.OpDelete | cachetest.OpClear | cachetest.OpTouch
	f := c.Inject(cachetest.Fault{Op: writes, Key: "b*", Drop: true})
	fresh := entry("new", clock.Now())
	must(t, c.Set(ctx, "b", fresh))
	if failed, err := many.SetMany(ctx, []store.Item{{Key: "a", Entry: fresh}, {Key: "b", Entry: fresh}}); err != nil || failed != nil {
		t.Errorf("%v, %v", failed, err)
	}
	if n, err := c.Delete(ctx, "ab", "b"); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if ok, err := add.Add(ctx, "bc", fresh); !ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
	if ok, err := touch.Touch(ctx, "b", seen, store.Times{Gone: 1}); !ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
	must(t, c.Clear(ctx, "b"))
	for k, want := range map[string]string{"a": "new", "ab": "", "b": "of b", "bc": ""} {
		e, err := c.Get(ctx, k)
		if want == "" && !errors.Is(err, store.ErrMiss) || want != "" && string(e.Value) != want {
			t.Errorf("%q: %v, %v", k, e, err)
		}
	}
	if f.Met() != 6 {
		t.Errorf("met %d times", f.Met())
	}
}

func TestFaultsThatWait(t *testing.T) {
	c, clock := broken(t)
	short, cancel := context.WithCancelCause(ctx)
	stop := errors.New("enough")
	get := func(ctx context.Context) <-chan error {
		done := make(chan error, 1)
		go func() { _, err := c.Get(ctx, "a"); done <- err }()
		return done
	}
	f := c.Inject(cachetest.Fault{Delay: time.Minute})
	late, left := get(ctx), get(short)
	must(t, clock.AwaitWaiters(ctx, 2))
	cancel(stop)
	if err := <-left; !errors.Is(err, stop) {
		t.Errorf("whose context has ended: %v", err)
	}
	clock.Advance(time.Minute)
	must(t, <-late)
	f.Remove()

	gate := make(chan struct{})
	f = c.Inject(cachetest.Fault{Until: gate})
	if err := <-get(short); !errors.Is(err, stop) {
		t.Errorf("at the gate: %v", err)
	}
	close(gate)
	must(t, <-get(ctx))
	f.Remove()

	c.Inject(cachetest.Fault{Hang: true})
	if err := <-get(short); !errors.Is(err, stop) {
		t.Errorf("without an answer: %v", err)
	}
}

// TestACacheBearsAChaos: no caller of a cache sees a store that is sick.
func TestACacheBearsAChaos(t *testing.T) {
	for name, fault := range map[string]cachetest.Fault{
		"error": {}, "hang": {Hang: true}, "corrupt": {Corrupt: true}, "dropped": {Drop: true},
	} {
		for where, opts := range map[string]cachetest.ChaosOptions{"local": {}, "remote": {Remote: true}} {
			t.Run(name+", "+where, func(t *testing.T) {
				if where == "local" {
					fault.Op = cachetest.OpGet // nothing bounds a write to a store that cannot be slow
				}
				clock := cachetest.NewClock()
				opts.Clock = clock
				chaos := cachetest.NewChaos(cachetest.NewStore(clock), opts)
				c := cachetest.Over(t, chaos, clock, cache.Options{StoreTimeout: 20 * time.Millisecond})
				k := squares(t, c, cache.Policy{})
				chaos.Inject(fault)
				for range 3 {
					if v, err := k.Get(ctx, 2); v != 4 || err != nil {
						t.Errorf("%d, %v", v, err)
					}
				}
				if n := c.Recorder.Loads("square"); n == 0 || n != c.Recorder.LoadResults("square", event.LoadOK) {
					t.Errorf("%d loads", n)
				}
			})
		}
	}
}

// TestChaosOnASharedStore: leases, the log and their faults.
func TestChaosOnASharedStore(t *testing.T) {
	red := cache.Must(redisstore.Open(testserver.Redis(t).URL(), redisstore.Options{OpTimeout: 10 * time.Second}))
	chaos := cachetest.NewChaos(red, cachetest.ChaosOptions{})
	c := cachetest.Over(t, chaos, nil, cache.Options{StoreTimeout: 10 * time.Second})
	k := squares(t, c, cache.Policy{TTL: time.Hour})
	get := func(loads int) {
		t.Helper()
		if v, err := k.Get(ctx, 2); v != 4 || err != nil {
			t.Errorf("%d, %v", v, err)
		}
		c.Recorder.AssertLoads(t, "square", loads)
	}
	get(1)
	get(1)
	f := chaos.Inject(cachetest.Fault{Op: cachetest.OpSet, Drop: true, Times: 1})
	_, err := k.Delete(ctx, 2)
	must(t, err)
	get(2) // and its store is lost
	if f.Met() != 1 {
		t.Errorf("%d writes met the fault", f.Met())
	}
	lost := chaos.Inject(cachetest.Fault{Op: cachetest.OpLease})
	get(3)
	if lost.Met() == 0 {
		t.Error("nobody asked for a lease")
	}
	chaos.Heal()
	log := chaos.Inject(cachetest.Fault{Op: cachetest.OpAppend, Key: "*square:4"})
	if err := k.Set(ctx, 4, 5); !errors.Is(err, cachetest.ErrInjected) || log.Met() == 0 {
		t.Errorf("a write that cannot be recorded: %v", err)
	}
}
