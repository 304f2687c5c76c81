package flight

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const second = time.Second

// pause lets fake time pass inside a synctest bubble, or returns early when ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestThousandCallersOneLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New[string, int]()
		var loads, sharedCount atomic.Int32
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				v, shared, err := g.Do(t.Context(), "k", 0, func(ctx context.Context) (int, error) {
					loads.Add(1)
					return 7, pause(ctx, second)
				})
				if v != 7 || err != nil {
					t.Errorf("got %d, %v", v, err)
				}
				if shared {
					sharedCount.Add(1)
				}
			})
		}
		wg.Wait()
		if loads.Load() != 1 || sharedCount.Load() != 999 {
			t.Errorf("loads %d, shared %d; want 1 and 999", loads.Load(), sharedCount.Load())
		}
	})
}

func TestFollowerLeavesAtItsOwnDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New[string, int]()
		load := func(ctx context.Context) (int, error) { return 1, pause(ctx, second) }
		go func() { _, _, _ = g.Do(t.Context(), "k", 0, load) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, shared, err := g.Do(ctx, "k", 0, load)
		if took := time.Since(start); took != 50*time.Millisecond || !shared || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("left after %v, shared %v, with %v", took, shared, err)
		}
		synctest.Wait()
	})
}

func TestCancelledLeaderCostsNoSecondLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New[string, int]()
		var loads atomic.Int32
		load := func(ctx context.Context) (int, error) {
			loads.Add(1)
			return 1, pause(ctx, second)
		}
		ctx, cancel := context.WithCancel(t.Context())
		leader := make(chan error, 1)
		go func() { _, _, err := g.Do(ctx, "k", 0, load); leader <- err }()
		synctest.Wait()
		follower := make(chan error, 1)
		go func() { _, _, err := g.Do(t.Context(), "k", 0, load); follower <- err }()
		synctest.Wait()
		cancel()
		if err := <-leader; !errors.Is(err, context.Canceled) {
			t.Errorf("leader: %v", err)
		}
		if err := <-follower; err != nil || loads.Load() != 1 {
			t.Errorf("follower: %v after %d loads", err, loads.Load())
		}
	})
}

func TestLastWaiterToLeaveCancelsTheLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New[string, int]()
		cause := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			_, _, _ = g.Do(ctx, "k", 0, func(ctx context.Context) (int, error) {
				<-ctx.Done()
				cause <- context.Cause(ctx)
				return 0, ctx.Err()
			})
		}()
		synctest.Wait()
		cancel()
		if err := <-cause; !errors.Is(err, ErrAbandoned) {
			t.Errorf("the load ended with %v", err)
		}
		// The next caller starts afresh, even while the abandoned load lingers.
		v, shared, err := g.Do(t.Context(), "k", 0, func(context.Context) (int, error) { return 2, nil })
		if v != 2 || shared || err != nil {
			t.Errorf("next caller got %d, %v, %v", v, shared, err)
		}
	})
}

func TestHardTimeoutReleasesWaitersOfALoadThatIgnoresIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New[string, int]()
		release := make(chan struct{})
		defer close(release)
		start := time.Now()
		_, _, err := g.Do(t.Context(), "k", second, func(ctx context.Context) (int, error) {
			if _, ok := ctx.Deadline(); !ok {
				t.Error("the load cannot see its deadline")
			}
			<-release
			return 1, nil
		})
		if took := time.Since(start); took != second || !errors.Is(err, ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("released after %v with %v", took, err)
		}
	})
}

func TestPanicsReachEveryWaiterAsErrors(t *testing.T) {
	boom := errors.New("boom")
	for name, tc := range map[string]struct {
		fail  func()
		check func(*PanicError) bool
	}{
		"panic with a value":  {func() { panic("bang") }, func(e *PanicError) bool { return e.Value == "bang" }},
		"panic with an error": {func() { panic(boom) }, func(e *PanicError) bool { return errors.Is(e, boom) }},
		"Goexit":              {runtime.Goexit, func(e *PanicError) bool { return e.Value == nil }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := New[string, int]()
				var wg sync.WaitGroup
				for range 3 {
					wg.Go(func() {
						_, _, err := g.Do(t.Context(), "k", second, func(ctx context.Context) (int, error) {
							_ = pause(ctx, time.Millisecond)
							tc.fail()
							return 1, nil
						})
						var pe *PanicError
						if !errors.As(err, &pe) || !tc.check(pe) || len(pe.Stack) == 0 {
							t.Errorf("got %v", err)
						}
					})
				}
				wg.Wait()
			})
		})
	}
}

func TestPanicStackNamesTheLoader(t *testing.T) {
	_, _, err := New[int, int]().Do(t.Context(), 1, 0, func(context.Context) (int, error) { return explode() })
	var pe *PanicError
	if !errors.As(err, &pe) || !strings.Contains(string(pe.Stack), "explode") {
		t.Errorf("got %v", err)
	}
}

func explode() (int, error) { panic("here") }

func TestFailingLoadIsSharedAndDoesNotConvoy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New[string, int]()
		fail := errors.New("no database")
		var loads atomic.Int32
		start := time.Now()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				_, _, err := g.Do(t.Context(), "k", 0, func(ctx context.Context) (int, error) {
					loads.Add(1)
					_ = pause(ctx, 100*time.Millisecond)
					return 0, fail
				})
				if err != fail {
					t.Errorf("the error was changed: %v", err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); loads.Load() != 1 || took != 100*time.Millisecond {
			t.Errorf("%d loads in %v", loads.Load(), took)
		}
	})
}

func TestForgottenLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New[string, int]()
		for name, forget := range map[string]func(){
			"Forget":     func() { g.Forget("k") },
			"ForgetFunc": func() { g.ForgetFunc(func(k string) bool { return k == "k" }) },
		} {
			started, release := make(chan struct{}), make(chan struct{})
			var forgotten bool
			old := make(chan int, 1)
			go func() {
				v, _, _ := g.Do(t.Context(), "k", 0, func(ctx context.Context) (int, error) {
					close(started)
					<-release
					forgotten = g.Forgotten(ctx)
					return 1, nil
				})
				old <- v
			}()
			<-started
			forget()
			v, shared, err := g.Do(t.Context(), "k", 0, func(ctx context.Context) (int, error) {
				if g.Forgotten(ctx) {
					t.Errorf("%s: the new load counts as forgotten", name)
				}
				return 2, nil
			})
			if v != 2 || shared || err != nil {
				t.Errorf("%s: got %d, %v, %v", name, v, shared, err)
			}
			close(release)
			if v := <-old; v != 1 || !forgotten {
				t.Errorf("%s: old waiter got %d, forgotten %v", name, v, forgotten)
			}
		}
	})
}

func TestALoadNeverWaitsForItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New[string, string]()
		start := time.Now()
		v, _, err := g.Do(t.Context(), "a", second, func(ctx context.Context) (string, error) {
			inner, shared, err := g.Do(ctx, "a", second, func(context.Context) (string, error) { return "inner", nil })
			if shared {
				t.Error("the inner call claims to have shared the outer load")
			}
			return "outer+" + inner, err
		})
		if v != "outer+inner" || err != nil || time.Since(start) != 0 {
			t.Errorf("got %q, %v after %v", v, err, time.Since(start))
		}
	})
}

func TestLoadsThatNeedEachOtherDoNotDeadlock(t *testing.T) {
	for _, size := range []int{2, 3, 5} {
		t.Run(fmt.Sprint(size, " keys in a ring"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := New[int, int]()
				var load func(ctx context.Context, key, depth int) (int, error)
				load = func(ctx context.Context, key, depth int) (int, error) {
					_ = pause(ctx, time.Millisecond) // all of them are running before the first asks for the next
					if depth == 0 {
						return key, nil
					}
					_, _, err := g.Do(ctx, (key+1)%size, time.Minute, func(ctx context.Context) (int, error) {
						return load(ctx, (key+1)%size, depth-1)
					})
					return key, err
				}
				start := time.Now()
				var wg sync.WaitGroup
				for key := range size {
					wg.Go(func() {
						v, _, err := g.Do(t.Context(), key, time.Minute, func(ctx context.Context) (int, error) { return load(ctx, key, 2*size) })
						if v != key || err != nil {
							t.Errorf("key %d: got %d, %v", key, v, err)
						}
					})
				}
				wg.Wait()
				if took := time.Since(start); took > second {
					t.Errorf("it took %v: something waited for its timeout", took)
				}
				if n := len(g.graph.waits); n != 0 {
					t.Errorf("%d waits left in the graph", n)
				}
			})
		})
	}
}

func TestInlineLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New[string, string]()
		client, disconnect := context.WithCancel(t.Context())
		call, lctx, leader := g.Join(client, "page", 0)
		if !leader {
			t.Fatal("first caller does not lead")
		}
		stop := context.AfterFunc(client, call.Leave)
		defer stop()
		got := make(chan string, 2)
		for range 2 {
			follower, _, leads := g.Join(t.Context(), "page", 0)
			if leads {
				t.Fatal("second caller leads too")
			}
			go func() { v, _ := follower.Wait(t.Context()); got <- v }()
		}
		disconnect()
		synctest.Wait()
		if lctx.Err() != nil {
			t.Fatal("the load was cancelled although followers wait")
		}
		if !call.Finish("body", nil) || call.Finish("again", nil) {
			t.Error("Finish must count once")
		}
		if a, b := <-got, <-got; a != "body" || b != "body" {
			t.Errorf("followers got %q and %q", a, b)
		}
	})
}

func TestInlineLeaderWithoutFollowersIsCancelledWithItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New[string, string]()
		client, disconnect := context.WithCancel(t.Context())
		call, lctx, _ := g.Join(client, "page", 0)
		context.AfterFunc(client, call.Leave)
		disconnect()
		synctest.Wait()
		if !errors.Is(context.Cause(lctx), ErrAbandoned) {
			t.Errorf("the leader's context ended with %v", context.Cause(lctx))
		}
		call.Finish("", nil)
	})
}

func TestContextThatIsAlreadyDone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := New[int, int]().Do(ctx, 1, 0, func(context.Context) (int, error) { t.Error("loaded"); return 0, nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestValuesReachTheLoadAndDeadlinesDoNot(t *testing.T) {
	type key struct{}
	ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, "v"), time.Hour)
	defer cancel()
	_, _, err := New[int, int]().Do(ctx, 1, 0, func(ctx context.Context) (int, error) {
		if _, ok := ctx.Deadline(); ok || ctx.Value(key{}) != "v" {
			t.Error("wrong context")
		}
		return 0, nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestManyKeysUnderRace(t *testing.T) {
	g := New[int, int]()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 2000 {
				ctx, cancel := context.WithCancel(t.Context())
				if j%3 == i%3 {
					cancel()
				}
				v, _, err := g.Do(ctx, j%50, second, func(context.Context) (int, error) {
					if j%7 == 0 {
						g.Forget(j % 50)
					}
					return j % 50, nil
				})
				cancel()
				if err == nil && v != j%50 {
					t.Errorf("key %d got %d", j%50, v)
				}
			}
		})
	}
	wg.Wait()
	for i := range g.shards {
		if n := len(g.shards[i].calls); n != 0 {
			t.Errorf("%d calls left", n)
		}
	}
}

func BenchmarkDo(b *testing.B) {
	g := New[string, int]()
	b.ReportAllocs()
	for b.Loop() {
		_, _, _ = g.Do(b.Context(), "k", second, func(context.Context) (int, error) { return 1, nil })
	}
}
