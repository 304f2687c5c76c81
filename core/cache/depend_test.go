package cache_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
)

// composed is a cache with users, and views that are made of them.
type composed struct {
	*cache.Cache
	users *cache.Kind[int, string]
	views *cache.Kind[string, string]
	db    map[int]string
	made  atomic.Int32
	read  []int // the users that a view is made of
}

func compose(t *testing.T, st store.Store, opts cache.Options) *composed {
	t.Helper()
	c := &composed{Cache: open(t, st, opts), db: map[int]string{1: "ann", 2: "bob"}, read: []int{1}}
	c.users = cache.Must(cache.NewKind(c.Cache, "user", cache.KindOptions[int, string]{
		Load: func(_ context.Context, id int) (string, error) {
			if name, ok := c.db[id]; ok {
				return name, nil
			}
			return "", cache.ErrNotFound
		},
		Tags: func(id int, _ string) []string { return []string{fmt.Sprint("u", id)} },
	}))
	c.views = cache.Must(cache.NewLayerKind(c.Cache, event.LayerFragment, "view", cache.KindOptions[string, string]{
		Inherit: true,
		Load: func(ctx context.Context, _ string) (string, error) {
			c.made.Add(1)
			out := ""
			for _, id := range c.read {
				name, _ := c.users.Get(ctx, id)
				out += name + ";"
			}
			return out, nil
		},
	}))
	return c
}

func TestWhatIsBuiltFollowsWhatItWasBuiltFrom(t *testing.T) {
	changes := map[string]func(c *composed) error{
		"set":            func(c *composed) error { return c.users.Set(ctx, 1, "eve") },
		"delete":         func(c *composed) error { _, err := c.users.Delete(ctx, 1); return err },
		"update":         func(c *composed) error { return c.users.Update(ctx, 1, func(context.Context) error { return nil }) },
		"its tag":        func(c *composed) error { return c.InvalidateTags(ctx, "u1") },
		"clear its kind": func(c *composed) error { return c.users.Clear(ctx) },
		"clear all":      func(c *composed) error { return c.Clear(ctx) },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			coherentStore(t, func(t *testing.T, st store.Store) {
				c := compose(t, st, patient())
				want(t, "ann;")(c.views.Get(ctx, "v"))
				want(t, "ann;")(c.views.Get(ctx, "v"))
				c.db[1] = "eve"
				if c.made.Load() != 1 {
					t.Fatalf("made %d times", c.made.Load())
				}
				must(t, c.users.Set(ctx, 2, "other")) // nothing that it was built from
				want(t, "ann;")(c.views.Get(ctx, "v"))
				must(t, change(c))
				want(t, "eve;")(c.views.Get(ctx, "v"))
			})
		})
	}
}

// TestWhatDoesNotExistIsDependedOnToo: a view of a user who is not there ends when one comes.
func TestWhatDoesNotExistIsDependedOnToo(t *testing.T) {
	c := compose(t, memory(t), patient())
	c.read = []int{9}
	want(t, ";")(c.views.Get(ctx, "v"))
	must(t, c.users.Set(ctx, 9, "new"))
	want(t, "new;")(c.views.Get(ctx, "v"))
}

// TestManyDepsCollapseAndStayCorrect: of one kind beyond the limit any change counts.
func TestManyDepsCollapseAndStayCorrect(t *testing.T) {
	c := compose(t, memory(t), patient())
	c.read = nil
	for id := range cache.MaxDepsOfKind + 10 {
		c.read = append(c.read, id)
	}
	first, err := c.views.Get(ctx, "v")
	must(t, err)
	want(t, first)(c.views.Get(ctx, "v"))
	must(t, c.users.Set(ctx, 70, "x"))
	if got, err := c.views.Get(ctx, "v"); err != nil || got == first {
		t.Errorf("%q, %v", got, err)
	}
	if c.made.Load() != 2 {
		t.Errorf("made %d times", c.made.Load())
	}
}

func TestARemainingLifetimeIsInherited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := patient()
		opts.Policy.TTL, opts.Policy.RefreshAt = 100*time.Second, -1
		c := compose(t, memory(t), opts)
		want(t, "ann")(c.users.Get(ctx, 1))
		sleep(60 * time.Second)
		want(t, "ann;")(c.views.Get(ctx, "v"))
		sleep(39 * time.Second)
		want(t, "ann;")(c.views.Get(ctx, "v"))
		sleep(2 * time.Second)
		want(t, "ann;")(c.views.Get(ctx, "v"))
		if c.made.Load() != 2 {
			t.Errorf("made %d times", c.made.Load())
		}
		// What ends in a moment gives the floor, or everything would be made anew all the time.
		must(t, c.users.Set(ctx, 1, "ann", cache.TTL(time.Second)))
		want(t, "ann;")(c.views.Get(ctx, "w"))
		sleep(4 * time.Second)
		want(t, "ann;")(c.views.Get(ctx, "w"))
		if c.made.Load() != 3 {
			t.Errorf("made %d times", c.made.Load())
		}
	})
}

// TestARefreshThatChangesAValueEndsItsDependents, and only such a one.
func TestARefreshThatChangesAValueEndsItsDependents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := patient()
		opts.Policy.TTL = 100 * time.Second
		c := compose(t, memory(t), opts)
		view := func(wanted string, made int32) {
			t.Helper()
			want(t, wanted)(c.views.Get(ctx, "v"))
			if c.made.Load() != made {
				t.Errorf("made %d times, want %d", c.made.Load(), made)
			}
		}
		must(t, c.users.Refresh(ctx, 1))
		view("ann;", 1)
		must(t, c.users.Refresh(ctx, 1))
		view("ann;", 1)
		c.db[1] = "eve"
		view("ann;", 1)
		must(t, c.users.Refresh(ctx, 1))
		view("eve;", 2)
		must(t, c.Close())
	})
}

// TestObjectsDoNotInheritUnlessTheySaySo: an object's loader states its own tags.
func TestObjectsDoNotInheritUnlessTheySaySo(t *testing.T) {
	c := compose(t, memory(t), patient())
	var runs atomic.Int32
	load := func(ctx context.Context) (string, error) { runs.Add(1); return c.users.Get(ctx, 1) }
	want(t, "ann")(cache.Fetch(ctx, c.Cache, "k", load))
	must(t, c.users.Set(ctx, 1, "eve"))
	want(t, "ann")(cache.Fetch(ctx, c.Cache, "k", load))
}
