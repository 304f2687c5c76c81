package flight

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// start starts a load of key that ends when the returned function is called, on whose context commit then
// runs.
func start(g *Group[string, int], ctx context.Context, key string, commit func(context.Context)) (finish func()) {
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		_, _, _ = g.Do(ctx, key, 0, func(ctx context.Context) (int, error) {
			<-end
			commit(ctx)
			return 1, nil
		})
	}()
	synctest.Wait()
	return func() { close(end); <-done; synctest.Wait() }
}

func TestCommit(t *testing.T) {
	tests := []struct {
		name   string
		before func(g *Group[string, int], abandon context.CancelFunc)
		want   bool
	}{
		{"nothing happens", func(*Group[string, int], context.CancelFunc) {}, true},
		{"another key is forgotten", func(g *Group[string, int], _ context.CancelFunc) { g.Forget("other") }, true},
		{"forget", func(g *Group[string, int], _ context.CancelFunc) { g.Forget("k") }, false},
		{"forget by function", func(g *Group[string, int], _ context.CancelFunc) {
			g.ForgetFunc(func(k string) bool { return k == "k" })
		}, false},
		{"hold", func(g *Group[string, int], _ context.CancelFunc) { g.Hold("k") }, false},
		{"hold and release", func(g *Group[string, int], _ context.CancelFunc) { g.Hold("k"); g.Release("k") }, false},
		{"abandoned", func(_ *Group[string, int], abandon context.CancelFunc) { abandon() }, false},
		{"forgotten, and another load of the key begins", func(g *Group[string, int], _ context.CancelFunc) {
			g.Forget("k")
			go func() {
				_, _, _ = g.Do(context.Background(), "k", 0, func(ctx context.Context) (int, error) { return 2, pause(ctx, second) })
			}()
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := New[string, int]()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				committed, got := false, false
				finish := start(g, ctx, "k", func(ctx context.Context) {
					if g.Commit(ctx, "other", func() { t.Error("committed under another key") }) {
						t.Error("it says it did")
					}
					got = g.Commit(ctx, "k", func() { committed = true })
				})
				tt.before(g, cancel)
				synctest.Wait()
				finish()
				_ = pause(t.Context(), 2*second)
				if got != tt.want || committed != tt.want {
					t.Errorf("Commit said %v and did %v, want %v", got, committed, tt.want)
				}
			})
		})
	}
	if New[string, int]().Commit(t.Context(), "k", func() {}) {
		t.Error("committed outside a load")
	}
}

func TestForgetWaitsForACommit(t *testing.T) {
	for name, forget := range map[string]func(*Group[string, int]) Pending{
		"forget":   func(g *Group[string, int]) Pending { return g.Forget("k") },
		"function": func(g *Group[string, int]) Pending { return g.ForgetFunc(func(string) bool { return true }) },
		"hold":     func(g *Group[string, int]) Pending { return g.Hold("k") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := New[string, int]()
				forgotten := false
				go func() {
					_, _, _ = g.Do(t.Context(), "k", 0, func(ctx context.Context) (int, error) {
						g.Commit(ctx, "k", func() {
							_ = pause(ctx, second)
							forgotten = g.Forgotten(ctx)
						})
						return 1, nil
					})
				}()
				synctest.Wait()
				begin := time.Now()
				short, cancel := context.WithTimeout(t.Context(), second/4)
				defer cancel()
				if err := forget(g).Wait(short); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != second/4 {
					t.Errorf("left with %v after %v", err, time.Since(begin))
				}
				if err := forget(g).Wait(t.Context()); err != nil || time.Since(begin) != second {
					t.Errorf("waited %v, %v", time.Since(begin), err)
				}
				synctest.Wait()
				if !forgotten {
					t.Error("the load did not see it")
				}
				if p := forget(g); p != nil {
					t.Errorf("still pending: %v", p)
				}
			})
		})
	}
}

func TestLoadsDuringAHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New[string, int]()
		g.Hold("k")
		g.Hold("k") // two writers
		var loads, stored atomic.Int32
		load := func(ctx context.Context) (int, error) {
			loads.Add(1)
			err := pause(ctx, second)
			g.Commit(ctx, "k", func() { stored.Add(1) })
			return int(loads.Load()), err
		}
		go func() { _, _, _ = g.Do(t.Context(), "k", 0, load) }()
		synctest.Wait()
		go func() { _, _, _ = g.Do(t.Context(), "k", 0, load) }() // shares it
		synctest.Wait()
		g.Release("k")
		go func() { _, _, _ = g.Do(t.Context(), "k", 0, load) }() // one writer is left
		synctest.Wait()
		g.Release("k")
		v, shared, err := g.Do(t.Context(), "k", 0, load)
		if loads.Load() != 3 || v != 3 || shared || err != nil || stored.Load() != 1 {
			t.Errorf("%d loads, %d stored; got %d, shared %v, %v", loads.Load(), stored.Load(), v, shared, err)
		}
	})
}

func TestWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New[string, int]()
		a, _, _ := g.Join(t.Context(), "a", 0)
		b, lctx, _ := g.Join(t.Context(), "b", 0)
		both := g.Within(lctx, a, b)
		for _, key := range []string{"a", "b"} {
			v, shared, err := g.Do(both, key, 0, func(context.Context) (int, error) { return 5, nil })
			if v != 5 || shared || err != nil {
				t.Errorf("%s: got %d, %v, %v", key, v, shared, err)
			}
		}
		// Another load that waits for a is not waited for either.
		go func() {
			_, _, _ = g.Do(t.Context(), "c", 0, func(ctx context.Context) (int, error) {
				v, _, err := g.Do(ctx, "a", 0, func(context.Context) (int, error) { return 6, nil })
				return v, err
			})
		}()
		synctest.Wait()
		v, _, err := g.Do(both, "c", 0, func(context.Context) (int, error) { return 7, nil })
		if v != 7 || err != nil {
			t.Errorf("got %d, %v", v, err)
		}
		a.Finish(1, nil)
		b.Finish(2, nil)
		synctest.Wait()
	})
}

func TestManyCommitsOfOneKey(t *testing.T) {
	g := New[string, int]()
	var ends []func()
	for range 4 {
		call, _, leader := g.Join(t.Context(), "k", 0)
		if !leader {
			t.Fatal("not the leader")
		}
		done, ok := call.Committing()
		if !ok {
			t.Fatal("refused")
		}
		ends = append(ends, done)
		call.Finish(1, nil)
	}
	for i, at := range []int{2, 3, 0, 1} { // the middle, the head, the tail, the last
		if n := len(g.Forget("k")); n != 4-i {
			t.Errorf("%d pending, want %d", n, 4-i)
		}
		ends[at]()
	}
	if g.Forget("k") != nil {
		t.Error("some are left")
	}
}
