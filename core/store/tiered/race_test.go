package tiered_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/store"
)

// TestABackfillDoesNotOvertakeAWrite: what was read below before a write never comes into L1 after it, nor,
// with three tiers, into L2.
func TestABackfillDoesNotOvertakeAWrite(t *testing.T) {
	for name, write := range map[string]func(x *three) error{
		"Set": func(x *three) error { return x.Set(ctx, "k", entry("new")) },
		"SetMany": func(x *three) error {
			_, err := x.SetMany(ctx, []store.Item{{Key: "k", Entry: entry("new")}})
			return err
		},
		"Delete": func(x *three) error { _, err := x.Delete(ctx, "k"); return err },
		"Clear":  func(x *three) error { return x.Clear(ctx, "") },
		"Touch": func(x *three) error {
			e, err := x.l2.Store.Get(ctx, "k")
			if err == nil {
				_, err = x.Touch(ctx, "k", e, lifetime(time.Minute, time.Minute))
			}
			return err
		},
		"DropFront":  func(x *three) error { x.DropFront("k"); return nil },
		"ClearFront": func(x *three) error { x.ClearFront(""); return nil },
		"SetFront":   func(x *three) error { return x.SetFront("k", entry("new")) },
	} {
		for _, read := range []string{"get", "get many"} {
			t.Run(name+" within "+read, func(t *testing.T) {
				x := newThree(t)
				old := entry("old")
				must(t, x.Set(ctx, "k", old))
				must(t, x.l1.Clear(ctx, ""))
				once := false
				// The write comes when L2 is about to answer: what it has read is put into its hands.
				x.l2.decide = func(op string) fault {
					if op == read && !once {
						once = true
						must(t, write(x))
						must(t, x.l2.Store.Set(ctx, "k", old))
					}
					return fine
				}
				var err error
				if read == "get" {
					_, err = x.Get(ctx, "k")
				} else {
					_, err = x.GetMany(ctx, []string{"k"})
				}
				must(t, err)
				if e := x.Peek([]byte("k")); e == old {
					t.Error("the old entry is in L1")
				}
			})
		}
	}
	t.Run("into L2", func(t *testing.T) {
		x := newThree(t)
		must(t, x.l3.Store.Set(ctx, "k", entry("old")))
		x.l3.decide = func(op string) fault {
			if op == "get" {
				e, err := x.l3.Store.Get(ctx, "k")
				must(t, err)
				_, err = x.Delete(ctx, "k")
				must(t, err)
				must(t, x.l3.Store.Set(ctx, "k", e))
			}
			return fine
		}
		if v := in(x, "k"); v != "old" {
			t.Fatalf("%q", v)
		}
		x.want(t, "k", "", "", "old")
	})
}

// TestAWriteWaitsForACopy: one that is on its way into L2 must not arrive after a deletion.
func TestAWriteWaitsForACopy(t *testing.T) {
	x := newThree(t)
	must(t, x.l3.Store.Set(ctx, "k", entry("old")))
	adding, release, deleting := make(chan struct{}), make(chan struct{}), make(chan struct{})
	x.l2.decide = func(op string) fault {
		if op == "add" {
			close(adding)
			<-release
		}
		return fine
	}
	var deletedBelow atomic.Bool
	x.l3.ops = func(op string, _ ...string) {
		if op == "delete" {
			deletedBelow.Store(true)
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() { in(x, "k") })
	<-adding
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	if err := x.Set(short, "k", entry("never")); err != context.DeadlineExceeded {
		t.Errorf("Set did not wait: %v", err)
	}
	wg.Go(func() {
		close(deleting)
		if _, err := x.Delete(ctx, "k"); err != nil {
			t.Errorf("Delete: %v", err)
		}
	})
	<-deleting
	if deletedBelow.Load() {
		t.Error("Delete did not wait")
	}
	close(release)
	wg.Wait()
	x.want(t, "k", "", "", "")
}

// TestOverlappingWritesLeaveL1Empty: nobody knows which of them came last below.
func TestOverlappingWritesLeaveL1Empty(t *testing.T) {
	x := newThree(t)
	once := false
	x.l2.done = func(op string) {
		if op == "set" && !once {
			once = true
			must(t, x.Set(ctx, "k", entry("second")))
			x.want(t, "k", "", "second", "second")
		}
	}
	must(t, x.Set(ctx, "k", entry("first")))
	x.want(t, "k", "", "second", "second")
}

// TestStorm: once all is quiet, L1 has nothing that L2 has not, and L2 nothing that L3 has not.
func TestStorm(t *testing.T) {
	x := newThree(t)
	for round := range 60 {
		var wg sync.WaitGroup
		for g := range 6 {
			wg.Go(func() { storm(t, x, fmt.Sprint(round, ".", g), g) })
		}
		wg.Wait()
		for k := range 3 {
			key := fmt.Sprint("k", k)
			v1, v2, v3 := in(x.l1, key), in(x.l2.Store, key), in(x.l3.Store, key)
			if v1 != "" && v1 != v2 {
				t.Fatalf("%s: %q in L1, %q in L2, %q in L3", key, v1, v2, v3)
			}
		}
	}
}

func storm(t *testing.T, x *three, id string, g int) {
	for i := range 40 {
		key := fmt.Sprint("k", (g+i)%3)
		var err error
		switch (g + i*7) % 12 {
		case 0, 1:
			err = x.Set(ctx, key, entry(fmt.Sprint(id, ".", i)))
		case 2:
			_, err = x.SetMany(ctx, []store.Item{{Key: key, Entry: entry(fmt.Sprint(id, ".", i))}})
		case 3:
			_, err = x.Delete(ctx, key)
		case 4:
			_, err = x.Add(ctx, key, entry(fmt.Sprint(id, ".", i)))
		case 5:
			x.DropFront(key)
		case 6:
			_, err = x.GetMany(ctx, []string{"k0", "k1", "k2"})
		default:
			in(x, key)
		}
		if err != nil {
			t.Errorf("%v", err)
		}
	}
}
