package redisstore_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/redisstore"
)

func TestLocks(t *testing.T) {
	t.Parallel()
	topologies(t, func(t *testing.T, open topology) {
		for name, run := range map[string]func(*testing.T, topology){
			"are held by one":               lockHeldByOne,
			"exclude":                       lockExcludes,
			"count on when a fence is lost": lockFenceLost,
		} {
			t.Run(name, func(t *testing.T) { run(t, open) })
		}
	})
}

func lockHeldByOne(t *testing.T, open topology) {
	s := open(t, redisstore.Options{})
	got := s.wakes("node")
	first, left, err := s.Lock(s.ctx, "n{}", "one", "", time.Minute)
	if first <= 0 || left != 0 || err != nil {
		t.Fatalf("Lock = %d, %v, %v", first, left, err)
	}
	if fence, left, err := s.Lock(s.ctx, "n{}", "two", "node", time.Minute); fence != 0 || left <= 0 || left > time.Minute || err != nil {
		t.Errorf("a second Lock = %d, %v, %v", fence, left, err)
	}
	for _, token := range []string{"one", "two"} {
		if ok, err := s.ExtendLock(s.ctx, "n{}", token, time.Hour); ok != (token == "one") || err != nil {
			t.Errorf("ExtendLock by %s = %v, %v", token, ok, err)
		}
	}
	if _, left, err := s.Lock(s.ctx, "n{}", "two", "node", time.Minute); left <= time.Minute || err != nil {
		t.Errorf("Lock of one that was extended = %v, %v", left, err)
	}
	for _, token := range []string{"two", "one", "one"} {
		held := token == "one" && len(got) == 0
		ok, err := s.Unlock(s.ctx, "n{}", token)
		if ok != held || err != nil {
			t.Errorf("Unlock by %s = %v, %v", token, ok, err)
		}
		if ok {
			if w := woken(t, got); w != (store.Wake{Key: "n{}", Result: store.LeaseFree}) {
				t.Errorf("woken by %+v", w)
			}
			break
		}
	}
	if ok, err := s.Unlock(s.ctx, "n{}", "one"); ok || err != nil {
		t.Errorf("a second Unlock = %v, %v", ok, err)
	}
	second, _, err := s.Lock(s.ctx, "n{}", "two", "", time.Nanosecond)
	if second <= first || err != nil {
		t.Errorf("the fence goes from %d to %d, %v", first, second, err)
	}
	until(t, "a lock ends by itself", func() bool {
		third, _, err := s.Lock(s.ctx, "n{}", "three", "", time.Minute)
		return err == nil && third > second
	})
	if fence, _, err := s.Lock(s.ctx, "another", "two", "", time.Minute); fence == 0 || err != nil {
		t.Errorf("Lock of another name = %d, %v", fence, err)
	}
}

func lockExcludes(t *testing.T, open topology) {
	s := open(t, redisstore.Options{})
	var wg sync.WaitGroup
	var inside, last atomic.Int64
	for _, token := range []string{"a", "b", "c", "d"} {
		wg.Go(func() {
			for range 20 {
				var fence int64
				until(t, "the lock", func() bool {
					var err error
					fence, _, err = s.Lock(s.ctx, "n", token, "", time.Minute)
					return err == nil && fence > 0
				})
				if n := inside.Add(1); n != 1 {
					t.Errorf("%d hold the lock", n)
				}
				if before := last.Swap(fence); before >= fence {
					t.Errorf("the fence goes from %d to %d", before, fence)
				}
				inside.Add(-1)
				if ok, err := s.Unlock(s.ctx, "n", token); !ok || err != nil {
					t.Errorf("Unlock = %v, %v", ok, err)
				}
			}
		})
	}
	wg.Wait()
}

func lockFenceLost(t *testing.T, open topology) {
	s := open(t, redisstore.Options{})
	first, _, err := s.Lock(s.ctx, "n", "one", "", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.raw.Del(s.ctx, s.prefix+"{"+s.prefix+"n}lock", s.prefix+"{"+s.prefix+"n}fence").Err(); err != nil {
		t.Fatal(err)
	}
	if fence, _, err := s.Lock(s.ctx, "n", "two", "", time.Minute); fence <= first || err != nil {
		t.Errorf("the fence goes from %d to %d, %v", first, fence, err)
	}
	if ok, err := s.Unlock(s.ctx, "n", "one"); ok || err != nil {
		t.Errorf("Unlock by who has lost the lock = %v, %v", ok, err)
	}
}
