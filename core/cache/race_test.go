package cache_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/store"
)

// writes are the ways to change or remove what is under "k". Each leaves want there, or nothing.
var writes = map[string]struct {
	write func(c *cache.Cache) error
	left  any
}{
	"set":            {func(c *cache.Cache) error { return cache.Set(ctx, c, "k", "new") }, "new"},
	"negative set":   {func(c *cache.Cache) error { return cache.Set(ctx, c, "k", "new", cache.TTL(-1)) }, nil},
	"set many":       {func(c *cache.Cache) error { _, err := cache.SetMany(ctx, c, map[string]string{"k": "new"}); return err }, "new"},
	"add":            {func(c *cache.Cache) error { _, err := cache.Add(ctx, c, "k", "new"); return err }, "new"},
	"delete":         {func(c *cache.Cache) error { _, err := c.Delete(ctx, "k"); return err }, nil},
	"delete pattern": {func(c *cache.Cache) error { _, err := c.DeletePattern(ctx, "?"); return err }, nil},
	"clear":          {func(c *cache.Cache) error { return c.Clear(ctx) }, nil},
	"bump version": {func(c *cache.Cache) error {
		other := c.WithVersion(2)
		if err := cache.Set(ctx, other, "k", "new"); err != nil {
			return err
		}
		_, err := other.BumpVersion(ctx, "k", -1)
		return err
	}, "new"},
}

func check(t *testing.T, c *cache.Cache, left any) {
	t.Helper()
	if left == nil {
		wantErr[string](t, cache.ErrMiss)(cache.Get[string](ctx, c, "k"))
	} else {
		want(t, left.(string))(cache.Get[string](ctx, c, "k"))
	}
}

func TestLoadIsNotStoredOverAWrite(t *testing.T) {
	for name, w := range writes {
		t.Run(name, func(t *testing.T) {
			everyStoreInBubble(t, func(t *testing.T, st store.Store) {
				var rec recorder
				opts := steady()
				opts.Observer = rec.observer()
				c := open(t, st, opts)
				var runs atomic.Int32
				done := make(chan struct{})
				go func() {
					defer close(done)
					want(t, "old")(cache.Fetch(ctx, c, "k", loader(&runs, time.Second, "old", nil)))
				}()
				synctest.Wait()
				must(t, w.write(c))
				check(t, c, w.left)
				<-done
				check(t, c, w.left)
				if rec.reasons()["overtaken"] != 1 {
					t.Errorf("refused: %v", rec.reasons())
				}
			})
		})
	}
}

// TestWriteDuringTheStoringOfALoad stops the load's own write to the store in the middle.
func TestWriteDuringTheStoringOfALoad(t *testing.T) {
	for name, w := range writes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := &remote{Store: memory(t)}
				c := open(t, st, steady())
				first := true
				st.set(func(ctx context.Context, op string, keys ...string) error {
					if op == "set" && keys[0] == ":1::k" && first {
						first = false
						return pause(ctx, 20*time.Millisecond)
					}
					return nil
				})
				var runs atomic.Int32
				done := make(chan struct{})
				go func() {
					defer close(done)
					want(t, "old")(cache.Fetch(ctx, c, "k", loader(&runs, 0, "old", nil)))
				}()
				synctest.Wait() // the load is being stored
				must(t, w.write(c))
				<-done
				check(t, c, w.left)
			})
		})
	}
}

// TestLoadThatBeginsDuringAWrite stops the write before and after it takes effect: what a load reads then
// may be older than what is being written.
func TestLoadThatBeginsDuringAWrite(t *testing.T) {
	for _, name := range []string{"set", "set many", "add"} {
		for _, took := range []time.Duration{5 * time.Millisecond, 15 * time.Millisecond, 40 * time.Millisecond} {
			t.Run(fmt.Sprintf("%s, a load of %v", name, took), func(t *testing.T) {
				loadDuringWrite(t, name, took)
			})
		}
	}
}

func loadDuringWrite(t *testing.T, name string, took time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		st := &remote{Store: memory(t)}
		c := open(t, st, steady())
		first := true
		st.set(func(ctx context.Context, op string, keys ...string) error {
			if op != "set" && op != "setmany" && op != "add" || !first {
				return nil
			}
			first = false
			err := pause(ctx, 10*time.Millisecond)
			st.then(func(string, ...string) { sleep(20 * time.Millisecond) })
			return err
		})
		done := make(chan struct{})
		go func() { defer close(done); must(t, writes[name].write(c)) }()
		synctest.Wait()
		var runs atomic.Int32
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { want(t, "old")(cache.Fetch(ctx, c, "k", loader(&runs, took, "old", nil))) })
		}
		<-done
		wg.Wait()
		check(t, c, "new")
		if runs.Load() != 1 {
			t.Errorf("%d loads", runs.Load())
		}
	})
}
func TestWriterWhoCannotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &remote{Store: memory(t)}
		c := open(t, st, steady())
		st.set(func(ctx context.Context, op string, keys ...string) error {
			if op == "set" {
				return pause(ctx, 40*time.Millisecond)
			}
			return nil
		})
		go func() { _, _ = cache.Fetch(ctx, c, "k", func(context.Context) (string, error) { return "old", nil }) }()
		synctest.Wait()
		short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		defer cancel()
		start := time.Now()
		wantErr[bool](t, context.DeadlineExceeded)(c.Delete(short, "k"))
		if took := time.Since(start); took != 10*time.Millisecond {
			t.Errorf("left after %v", took)
		}
		sleep(time.Second)
		check(t, c, nil) // the load has taken its value back
	})
}

func TestAbandonedLoadIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, memory(t), steady())
		short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		defer cancel()
		_, _ = cache.Fetch(short, c, "k", func(context.Context) (string, error) {
			sleep(time.Second) // deaf
			return "old", nil
		})
		must(t, cache.Set(ctx, c, "k", "new"))
		sleep(2 * time.Second)
		check(t, c, "new")
	})
}

func TestSetInsideALoader(t *testing.T) {
	c := open(t, memory(t), steady())
	want(t, "returned")(cache.Fetch(ctx, c, "k", func(ctx context.Context) (string, error) {
		must(t, cache.Set(ctx, c, "k", "written"))
		return "returned", nil
	}))
	want(t, "written")(cache.Get[string](ctx, c, "k"))
}

// TestNoStaleRefill lets a database and a cache be written and read at random: once a write has returned,
// no reader that begins later may see an older value.
func TestNoStaleRefill(t *testing.T) {
	everyStore(t, func(t *testing.T, st store.Store) {
		c := open(t, st, steady())
		const keys, rounds, readers = 4, 150, 4
		var db, floor [keys]atomic.Int64
		var wg sync.WaitGroup
		stop := make(chan struct{})
		for r := range readers {
			wg.Go(func() {
				for i := r; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					k := i % keys
					least := floor[k].Load()
					got, err := cache.Fetch(ctx, c, strconv.Itoa(k), func(context.Context) (int64, error) { return db[k].Load(), nil })
					if err != nil || got < least {
						t.Errorf("key %d: got %d, %v after a write of %d", k, got, err, least)
						return
					}
				}
			})
		}
		for i := range rounds * keys {
			k := i % keys
			n := db[k].Add(1)
			key := strconv.Itoa(k)
			switch i / keys % 3 {
			case 0:
				_, err := c.Delete(ctx, key)
				must(t, err)
			case 1:
				must(t, cache.Set(ctx, c, key, n, cache.Tags("no counter")))
			case 2:
				must(t, c.Clear(ctx))
			}
			floor[k].Store(n)
		}
		close(stop)
		wg.Wait()
	})
}

func TestConcurrentCounters(t *testing.T) {
	everyStore(t, func(t *testing.T, st store.Store) {
		c := open(t, st, steady())
		var wg sync.WaitGroup
		seen := make([]atomic.Bool, 801)
		for range 8 {
			wg.Go(func() {
				for range 100 {
					n, err := c.IncrOrInit(ctx, "n", 1)
					must(t, err)
					if seen[n].Swap(true) {
						t.Errorf("%d twice", n)
					}
				}
			})
		}
		wg.Wait()
		want(t, 800)(cache.Get[int](ctx, c, "n"))
	})
}

func TestBumpVersionRacingWrites(t *testing.T) {
	everyStore(t, func(t *testing.T, st store.Store) {
		c := open(t, st, steady())
		must(t, cache.Set(ctx, c, "n", 0))
		var wg sync.WaitGroup
		var counted atomic.Int64
		wg.Go(func() {
			for range 200 {
				if _, err := c.Incr(ctx, "n", 1); err != nil {
					return // it has moved
				}
				counted.Add(1)
			}
		})
		_, err := c.BumpVersion(ctx, "n", 1)
		must(t, err)
		wg.Wait()
		want(t, counted.Load())(cache.Get[int64](ctx, c.WithVersion(2), "n"))
	})
}
