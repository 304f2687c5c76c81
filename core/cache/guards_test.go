package cache_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/redisstore"
	"github.com/strata-cache/strata/core/store/tiered"
	"github.com/strata-cache/strata/internal/testserver"
)

// counted is a loader that returns how often it has run.
func counted(runs *atomic.Int32) func(context.Context) (int, error) {
	return func(context.Context) (int, error) { return int(runs.Add(1)), nil }
}

// coherentStore runs test on stores whose entries can be judged: in this process, and on a server with a log.
func coherentStore(t *testing.T, test func(t *testing.T, st store.Store)) {
	t.Run("in process", func(t *testing.T) { test(t, memory(t)) })
	t.Run("redis", func(t *testing.T) { test(t, redisFor(t)) })
	t.Run("two tiers", func(t *testing.T) {
		test(t, cache.Must(tiered.New(tiered.Options{Tiers: []tiered.Tier{{Store: memory(t)}, {Store: redisFor(t)}}})))
	})
}

func redisFor(t *testing.T) *redisstore.Store {
	t.Helper()
	return cache.Must(redisstore.Open(testserver.Redis(t).URL(), redisstore.Options{OpTimeout: 5 * time.Second}))
}

// TestWhatAStoreWithoutALogCannotDoIsRefused, by name: nothing is done halfway in silence.
func TestWhatAStoreWithoutALogCannotDoIsRefused(t *testing.T) {
	c := open(t, &remote{Store: memory(t)}, steady())
	for _, err := range []error{c.InvalidateTags(ctx, "t"), c.ExpireTags(ctx, "t")} {
		if !errors.Is(err, cache.ErrUnsupported) {
			t.Errorf("got %v", err)
		}
	}
	must(t, c.InvalidateTags(ctx))
}

func TestInvalidateTagsEndsWhatBearsThem(t *testing.T) {
	coherentStore(t, func(t *testing.T, st store.Store) {
		c := open(t, st, steady())
		var runs atomic.Int32
		load := counted(&runs)
		want(t, 1)(cache.Fetch(ctx, c, "k", load, cache.Tags("red", "round")))
		must(t, cache.Set(ctx, c, "s", "v", cache.Tags("red")))
		must(t, cache.Set(ctx, c, "other", "v", cache.Tags("blue")))
		must(t, c.InvalidateTags(ctx, "green"))
		want(t, 1)(cache.Fetch(ctx, c, "k", load))
		must(t, c.InvalidateTags(ctx, "red"))

		wantErr[string](t, cache.ErrMiss)(cache.Get[string](ctx, c, "s"))
		want(t, false)(c.Has(ctx, "s"))
		wantErr[time.Duration](t, cache.ErrMiss)(c.TTL(ctx, "s"))
		want(t, false)(c.Touch(ctx, "s", time.Hour))
		if got, err := cache.GetMany[string](ctx, c, "s", "other"); err != nil || len(got) != 1 {
			t.Errorf("GetMany: %v, %v", got, err)
		}
		want(t, "v")(cache.Get[string](ctx, c, "other"))
		want(t, 2)(cache.Fetch(ctx, c, "k", load, cache.Tags("red")))
		want(t, 2)(cache.Fetch(ctx, c, "k", load))
		// What was invalidated is no value for Add.
		want(t, true)(cache.Add(ctx, c, "s", "added"))
		want(t, "added")(cache.Get[string](ctx, c, "s"))
	})
}

// TestTagsReachEveryVersionAndNoOtherPrefix: two prefixes on one store are two applications.
func TestTagsReachEveryVersionAndNoOtherPrefix(t *testing.T) {
	st := memory(t)
	opts := steady()
	opts.Prefix, opts.KeepStore = "a", true
	a := open(t, st, opts)
	opts.Prefix = "b"
	b := open(t, st, opts)
	for _, c := range []*cache.Cache{a, a.WithVersion(2), b} {
		must(t, cache.Set(ctx, c, "k", 1, cache.Tags("t")))
	}
	must(t, a.InvalidateTags(ctx, "t"))
	want(t, false)(a.Has(ctx, "k"))
	want(t, false)(a.WithVersion(2).Has(ctx, "k"))
	want(t, true)(b.Has(ctx, "k"))
	must(t, st.Close())
}

// TestALoadThatATagOvertakesIsNotStored: the load began before the invalidation, and ends after it.
func TestALoadThatATagOvertakesIsNotStored(t *testing.T) {
	coherentStore(t, func(t *testing.T, st store.Store) {
		var rec recorder
		opts := steady()
		opts.Observer = rec.observer()
		c := open(t, st, opts)
		inside, goOn := make(chan struct{}), make(chan struct{})
		var runs atomic.Int32
		load := func(context.Context) (int, error) {
			n := int(runs.Add(1))
			if n == 1 {
				close(inside)
				<-goOn
			}
			return n, nil
		}
		var first, second int
		var wg sync.WaitGroup
		wg.Go(func() { first, _ = cache.Fetch(ctx, c, "k", load, cache.Tags("t")) })
		<-inside
		must(t, c.InvalidateTags(ctx, "t"))
		// Who comes after the invalidation must not get what was loaded before, even where it waits for it.
		joined := make(chan struct{})
		wg.Go(func() {
			close(joined)
			second, _ = cache.Fetch(ctx, c, "k", load, cache.Tags("t"))
		})
		<-joined
		close(goOn)
		wg.Wait()
		if first != 1 || second != 2 {
			t.Errorf("the callers got %d and %d, want 1 and 2", first, second)
		}
		if rec.reasons()["overtaken"] != 1 {
			t.Errorf("refused: %v", rec.reasons())
		}
		want(t, 2)(cache.Get[int](ctx, c, "k"))
	})
}

func TestExpireTagsMakesStale(t *testing.T) {
	coherentStore(t, func(t *testing.T, st store.Store) {
		var rec recorder
		opts := steady()
		opts.Observer = rec.observer()
		c := open(t, st, opts)
		want(t, 1)(cache.Fetch(ctx, c, "k", func(context.Context) (int, error) { return 1, nil }, cache.Tags("t")))
		must(t, c.ExpireTags(ctx, "t"))
		wantErr[int](t, cache.ErrMiss)(cache.Get[int](ctx, c, "k"))
		// The loader is asked, and where it fails the stale value stands in.
		want(t, 1)(cache.Fetch(ctx, c, "k", func(context.Context) (int, error) { return 0, errLoad }))
		if got := rec.last().Outcome; got != event.OutcomeStale {
			t.Errorf("outcome %v", got)
		}
	})
}

func TestInvalidatedIsNotServedEvenWhereTheLoaderFails(t *testing.T) {
	coherentStore(t, func(t *testing.T, st store.Store) {
		c := open(t, st, steady())
		want(t, 1)(cache.Fetch(ctx, c, "k", func(context.Context) (int, error) { return 1, nil }, cache.Tags("t")))
		must(t, c.InvalidateTags(ctx, "t"))
		wantErr[int](t, errLoad)(cache.Fetch(ctx, c, "k", func(context.Context) (int, error) { return 0, errLoad }))
	})
}

func TestANegativeIsEndedByTagsAndWrites(t *testing.T) {
	c := open(t, memory(t), steady())
	users := cache.Must(cache.NewKind(c, "user", cache.KindOptions[int, string]{
		Load: func(ctx context.Context, id int) (string, error) {
			cache.LoadFrom(ctx).AddTags("users")
			return "", cache.ErrNotFound
		},
	}))
	absent := func() { t.Helper(); wantErr[string](t, cache.ErrNotFound)(users.Peek(ctx, 1)) }
	missing := func() { t.Helper(); wantErr[string](t, cache.ErrMiss)(users.Peek(ctx, 1)) }
	for name, end := range map[string]func() error{
		"tag":    func() error { return c.InvalidateTags(ctx, "users") },
		"delete": func() error { _, err := users.Delete(ctx, 1); return err },
		"clear":  func() error { return users.Clear(ctx) },
		"update": func() error { return users.Update(ctx, 1, func(context.Context) error { return nil }) },
	} {
		_, _ = users.Get(ctx, 1)
		absent()
		must(t, end())
		t.Log(name)
		missing()
	}
	_, _ = users.Get(ctx, 1)
	must(t, users.Set(ctx, 1, "there"))
	want(t, "there")(users.Get(ctx, 1))
}

// TestMissingKeysPushNothingOut: whoever asks for what does not exist, key after key, must not fill the store.
func TestMissingKeysPushNothingOut(t *testing.T) {
	st := memory(t)
	opts := steady()
	opts.MaxNegative = 100
	c := open(t, st, opts)
	must(t, cache.Set(ctx, c, "real", 1))
	_, before := st.Size()
	for i := range 5000 {
		_, _ = cache.Fetch(ctx, c, fmt.Sprint("none", i), func(context.Context) (int, error) { return 0, cache.ErrNotFound })
	}
	if _, after := st.Size(); after != before {
		t.Errorf("the store has grown from %d to %d bytes", before, after)
	}
}

func TestSoftExpiryRenewsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := steady()
		opts.Policy.TTL = 100 * time.Second
		c := open(t, memory(t), opts)
		var runs atomic.Int32
		kind := cache.Must(cache.NewKind(c, "n", cache.KindOptions[int, int]{
			Load: func(context.Context, int) (int, error) {
				if runs.Add(1) > 1 {
					sleep(2 * time.Second)
				}
				return int(runs.Load()), nil
			},
		}))
		want(t, 1)(kind.Get(ctx, 7))
		sleep(89 * time.Second)
		want(t, 1)(kind.Get(ctx, 7))
		synctest.Wait()
		if runs.Load() != 1 {
			t.Fatal("renewed before its time")
		}
		sleep(2 * time.Second)
		for range 100 {
			want(t, 1)(kind.Get(ctx, 7)) // nobody waits
		}
		sleep(3 * time.Second)
		want(t, 2)(kind.Get(ctx, 7))
		if runs.Load() != 2 {
			t.Errorf("%d loads", runs.Load())
		}
		must(t, c.Close())
	})
}

// TestRenewalBeginsEarlierWhereALoadTakesLong: at least twice the load's cost before the TTL ends.
func TestRenewalBeginsEarlierWhereALoadTakesLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := steady()
		opts.Policy.TTL, opts.Policy.HardTimeout = 100*time.Second, time.Minute
		c := open(t, memory(t), opts)
		var runs atomic.Int32
		load := func(context.Context) (int, error) { sleep(20 * time.Second); return int(runs.Add(1)), nil }
		want(t, 1)(cache.Fetch(ctx, c, "k", load))
		sleep(61 * time.Second)
		want(t, 1)(cache.Fetch(ctx, c, "k", load))
		sleep(25 * time.Second)
		want(t, 2)(cache.Fetch(ctx, c, "k", load))
		must(t, c.Close())
	})
}

func TestARenewalThatFailsBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := steady()
		opts.Policy.TTL = 100 * time.Second
		c := open(t, memory(t), opts)
		var runs atomic.Int32
		load := func(context.Context) (int, error) {
			if runs.Add(1) > 1 {
				return 0, errLoad
			}
			return 1, nil
		}
		want(t, 1)(cache.Fetch(ctx, c, "k", load))
		sleep(91 * time.Second)
		for range 1000 { // 5 seconds of hits
			want(t, 1)(cache.Fetch(ctx, c, "k", load))
			sleep(5 * time.Millisecond)
		}
		// At once, and then after pauses of 1, 2 and 4 seconds.
		if n := runs.Load(); n < 3 || n > 4 {
			t.Errorf("%d loads", n)
		}
		// Past the TTL the callers do not wait for a loader that has just failed either.
		sleep(5 * time.Second)
		n := runs.Load()
		for range 100 {
			want(t, 1)(cache.Fetch(ctx, c, "k", load))
		}
		if d := runs.Load() - n; d > 1 {
			t.Errorf("%d loads for 100 callers", d)
		}
		must(t, c.Close())
	})
}

func TestSoftTimeoutAnswersStaleAndTheLoadGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := steady()
		opts.Policy.TTL, opts.Policy.StaleFor = time.Minute, time.Hour
		opts.Policy.SoftTimeout = 100 * time.Millisecond
		c := open(t, memory(t), opts)
		var runs atomic.Int32
		load := func(context.Context) (int, error) {
			n := runs.Add(1)
			if n > 1 {
				sleep(time.Second)
			}
			return int(n), nil
		}
		want(t, 1)(cache.Fetch(ctx, c, "k", load))
		sleep(2 * time.Minute)
		began := time.Now()
		want(t, 1)(cache.Fetch(ctx, c, "k", load))
		if took := time.Since(began); took != 100*time.Millisecond {
			t.Errorf("answered after %v", took)
		}
		sleep(time.Second)
		want(t, 2)(cache.Get[int](ctx, c, "k"))
		// Without a stale value the caller waits.
		want(t, 3)(cache.Fetch(ctx, c, "new", load))
	})
}

func TestTheBulkheadShedsWhatWaitsTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec recorder
		opts := steady()
		opts.Policy.MaxLoads, opts.Policy.LoadWait = 2, 300*time.Millisecond
		opts.Observer = rec.observer()
		c := open(t, memory(t), opts)
		var running, most atomic.Int32
		load := func(context.Context) (int, error) {
			if n := running.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer running.Add(-1)
			sleep(200 * time.Millisecond)
			return 1, nil
		}
		var ok, shed atomic.Int32
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				switch _, err := cache.Fetch(ctx, c, fmt.Sprint(i), load); {
				case err == nil:
					ok.Add(1)
				case errors.Is(err, cache.ErrOverload):
					shed.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		// Two at 0 ms, two at 200 ms; the rest has waited for 300.
		if most.Load() != 2 || ok.Load() != 4 || shed.Load() != 6 {
			t.Errorf("%d at a time, %d loaded, %d shed", most.Load(), ok.Load(), shed.Load())
		}
		overloads := 0
		for _, l := range rec.loads {
			if l.Result == event.LoadOverload {
				overloads++
			}
		}
		if overloads != 6 {
			t.Errorf("%d events", overloads)
		}
	})
}

// TestUpdateLeavesNoGap: from before the write until after it, what is loaded is answered and not stored.
func TestUpdateLeavesNoGap(t *testing.T) {
	everyStore(t, func(t *testing.T, st store.Store) {
		var rec recorder
		opts := steady()
		opts.Observer = rec.observer()
		c := open(t, st, opts)
		db := 1
		load := func(context.Context) (int, error) { return db, nil }
		want(t, 1)(cache.Fetch(ctx, c, "k", load))
		must(t, c.Update(ctx, "k", func(context.Context) error {
			want(t, 1)(cache.Fetch(ctx, c, "k", load)) // the old value, answered
			db = 2
			return nil
		}))
		want(t, 2)(cache.Fetch(ctx, c, "k", load))
		want(t, 2)(cache.Get[int](ctx, c, "k"))
		if rec.reasons()["held"] == 0 && rec.reasons()["overtaken"] == 0 {
			t.Errorf("refused: %v", rec.reasons())
		}
		// A write that fails may have written.
		err := c.Update(ctx, "k", func(context.Context) error { db = 3; return errLoad })
		if !errors.Is(err, errLoad) {
			t.Errorf("got %v", err)
		}
		want(t, 3)(cache.Fetch(ctx, c, "k", load))
	})
}

func TestUpdateEndsItsHoldWhenTheWriteDoesNotReturn(t *testing.T) {
	c := open(t, memory(t), steady())
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = recover() }()
		_ = c.Update(ctx, "k", func(context.Context) error { panic("on the way") })
	}()
	<-done
	want(t, 1)(cache.Fetch(ctx, c, "k", func(context.Context) (int, error) { return 1, nil }))
	want(t, 1)(cache.Get[int](ctx, c, "k"))
}

func TestOnCommitTakesEffectAtItsEnd(t *testing.T) {
	coherentStore(t, func(t *testing.T, st store.Store) {
		c := open(t, st, steady())
		db, committed := 1, 1
		load := func(context.Context) (int, error) { return committed, nil }
		want(t, 1)(cache.Fetch(ctx, c, "k", load))
		want(t, 1)(cache.Fetch(ctx, c, "tagged", load, cache.Tags("t")))
		err := cache.OnCommit(ctx, func(tx context.Context) error {
			must(t, c.Update(tx, "k", func(context.Context) error { db = 2; return nil }))
			must(t, c.InvalidateTags(tx, "t"))
			// Others read what is committed, and do not keep it.
			want(t, 1)(cache.Fetch(ctx, c, "k", load))
			want(t, 1)(cache.Fetch(ctx, c, "tagged", load, cache.Tags("t")))
			committed = db
			return nil
		})
		must(t, err)
		want(t, 2)(cache.Fetch(ctx, c, "k", load))
		want(t, 2)(cache.Fetch(ctx, c, "tagged", load, cache.Tags("t")))
		want(t, 2)(cache.Get[int](ctx, c, "k"))
		want(t, 2)(cache.Get[int](ctx, c, "tagged"))
		if err := cache.OnCommit(ctx, func(context.Context) error { return errLoad }); !errors.Is(err, errLoad) {
			t.Errorf("got %v", err)
		}
	})
}

func TestDisabledLooksUpAndStoresNothing(t *testing.T) {
	everyStore(t, func(t *testing.T, st store.Store) {
		c := open(t, st, steady())
		var runs atomic.Int32
		want(t, 1)(cache.Fetch(ctx, c, "k", counted(&runs)))
		off := cache.Disabled(ctx)
		want(t, 2)(cache.Fetch(off, c, "k", counted(&runs)))
		wantErr[int](t, cache.ErrMiss)(cache.Get[int](off, c, "k"))
		want(t, 1)(cache.Fetch(ctx, c, "k", counted(&runs)))
		want(t, 3)(cache.Fetch(off, c, "new", counted(&runs)))
		wantErr[int](t, cache.ErrMiss)(cache.Get[int](ctx, c, "new"))
	})
}

func TestTheEnvironmentSwitchesEverythingOff(t *testing.T) {
	t.Setenv(cache.DisabledEnv, "1")
	c := open(t, memory(t), steady())
	var runs atomic.Int32
	must(t, cache.Set(ctx, c, "k", 9))
	want(t, 1)(cache.Fetch(ctx, c, "k", counted(&runs)))
	want(t, 2)(cache.Fetch(ctx, c, "k", counted(&runs)))
}

func TestFallbackAnswersAColdMissAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, memory(t), steady())
		kind := cache.Must(cache.NewKind(c, "n", cache.KindOptions[int, string]{
			Load:     func(context.Context, int) (string, error) { sleep(time.Second); return "full", nil },
			Fallback: func(context.Context, int) (string, error) { return "simple", nil },
		}))
		want(t, "simple")(kind.Get(ctx, 1))
		want(t, "simple")(kind.Get(ctx, 1))
		sleep(2 * time.Second)
		want(t, "full")(kind.Get(ctx, 1))
		must(t, c.Close())
	})
}

// knows is a filter that knows some keys.
type knows struct {
	keys  []string
	mu    sync.Mutex
	asked int
	seen  map[string]bool
}

func (k *knows) MayContain(_ context.Context, key string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked++
	return slices.Contains(k.keys, key)
}

func (k *knows) Observe(key string, exists bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.seen == nil {
		k.seen = make(map[string]bool)
	}
	k.seen[key] = exists
}

func TestAFilterKeepsMissingKeysFromStoreAndLoader(t *testing.T) {
	st := &remote{Store: memory(t)}
	var rec recorder
	ids := &knows{keys: []string{"1", "2"}}
	opts := steady()
	opts.Policy.Filter, opts.Observer = ids, rec.observer()
	c := open(t, st, opts)
	var runs atomic.Int32
	kind := cache.Must(cache.NewKind(c, "n", cache.KindOptions[int, int]{
		Load: func(_ context.Context, id int) (int, error) {
			runs.Add(1)
			if id == 2 {
				return 0, cache.ErrNotFound
			}
			return id, nil
		},
	}))
	wantErr[int](t, cache.ErrNotFound)(kind.Get(ctx, 3))
	if runs.Load() != 0 || st.count("get") != 0 || rec.last().Outcome != event.OutcomeFiltered {
		t.Errorf("%d loads, %d look-ups, outcome %v", runs.Load(), st.count("get"), rec.last().Outcome)
	}
	want(t, 1)(kind.Get(ctx, 1))
	wantErr[int](t, cache.ErrNotFound)(kind.Get(ctx, 2))
	if !ids.seen["1"] || ids.seen["2"] {
		t.Errorf("observed %v", ids.seen)
	}
	if got, err := kind.GetMany(ctx, []int{1, 3, 4}); err != nil || len(got) != 1 {
		t.Errorf("got %v, %v", got, err)
	}
	wantErr[int](t, cache.ErrNotFound)(cache.Fetch(ctx, c, "9", counted(&runs)))
}

func TestFleetNeedsAStoreThatGrantsLeases(t *testing.T) {
	opts := steady()
	opts.Policy.Coalesce = cache.Fleet
	st := memory(t)
	defer st.Close()
	if _, err := cache.New(st, opts); !errors.Is(err, cache.ErrUnsupported) {
		t.Errorf("New: %v", err)
	}
	c := open(t, memory(t), steady())
	_, err := cache.NewKind(c, "k", cache.KindOptions[int, int]{Policy: cache.Policy{Coalesce: cache.Fleet}})
	if !errors.Is(err, cache.ErrUnsupported) {
		t.Errorf("NewKind: %v", err)
	}
}
