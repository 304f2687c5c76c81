package cache_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
)

func TestNegativeCaching(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec recorder
		opts := steady()
		opts.Policy.NegativeTTL = 10 * time.Second
		opts.Observer = rec.observer()
		c := open(t, memory(t), opts)
		var runs atomic.Int32
		missing := loader(&runs, 0, 0, errors.Join(errLoad, cache.ErrNotFound))
		_, err := cache.Fetch(ctx, c, "k", missing)
		if !errors.Is(err, cache.ErrNotFound) || !errors.Is(err, errLoad) {
			t.Errorf("the loader's error came back as %v", err)
		}
		sleep(9 * time.Second)
		wantErr[int](t, cache.ErrNotFound)(cache.Fetch(ctx, c, "k", missing))
		if got := rec.last().Outcome; runs.Load() != 1 || got != event.OutcomeNegative {
			t.Errorf("%d loads, outcome %v", runs.Load(), got)
		}
		sleep(2 * time.Second)
		wantErr[int](t, cache.ErrNotFound)(cache.Fetch(ctx, c, "k", missing))
		if runs.Load() != 2 {
			t.Errorf("%d loads", runs.Load())
		}

		// For those who write, a remembered absence is no value.
		want(t, false)(c.Has(ctx, "k"))
		wantErr[int](t, cache.ErrNotFound)(cache.Get[int](ctx, c, "k"))
		wantErr[time.Duration](t, cache.ErrMiss)(c.TTL(ctx, "k"))
		want(t, false)(c.Touch(ctx, "k", time.Hour))
		wantErr[int](t, cache.ErrMiss)(c.BumpVersion(ctx, "k", 1))
		wantErr[int64](t, cache.ErrMiss)(c.Incr(ctx, "k", 1))
		_, _ = cache.Fetch(ctx, c, "k", missing)
		want(t, true)(cache.Add(ctx, c, "k", 5))
		want(t, 5)(cache.Get[int](ctx, c, "k"))
		_, _ = cache.Fetch(ctx, c, "n", missing)
		want[int64](t, 2)(c.IncrOrInit(ctx, "n", 2))
		_, _ = cache.Fetch(ctx, c, "s", missing)
		must(t, cache.Set(ctx, c, "s", 3))
		want(t, 3)(cache.Fetch(ctx, c, "s", missing))
		if got, err := cache.GetMany[int](ctx, c, "k", "none"); err != nil || len(got) != 1 {
			t.Errorf("got %v, %v", got, err)
		}
	})
}

func TestNegativeCachingOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := steady()
		opts.Policy.NegativeTTL = -1
		c := open(t, memory(t), opts)
		var runs atomic.Int32
		for range 2 {
			wantErr[int](t, cache.ErrNotFound)(cache.Fetch(ctx, c, "k", loader(&runs, 0, 0, cache.ErrNotFound)))
		}
		if runs.Load() != 2 {
			t.Errorf("%d loads", runs.Load())
		}
		// What does not exist any more does not come back when the next load fails.
		want(t, 1)(cache.Fetch(ctx, c, "k", loader(&runs, 0, 1, nil), cache.TTL(time.Second)))
		sleep(1500 * time.Millisecond)
		wantErr[int](t, cache.ErrNotFound)(cache.Fetch(ctx, c, "k", loader(&runs, 0, 0, cache.ErrNotFound)))
		wantErr[int](t, errLoad)(cache.Fetch(ctx, c, "k", loader(&runs, 0, 0, errLoad)))
	})
}

func TestStaleOnError(t *testing.T) {
	tests := []struct {
		name     string
		staleFor time.Duration
		age      time.Duration
		stale    bool
	}{
		{"within the default, which is the TTL", 0, 19 * time.Second, true},
		{"beyond the default", 0, 21 * time.Second, false},
		{"within", time.Minute, 65 * time.Second, true},
		{"beyond", time.Minute, 75 * time.Second, false},
		{"for ever", cache.Forever, 20 * time.Hour, true},
		{"off", -1, 11 * time.Second, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			everyStoreInBubble(t, func(t *testing.T, st store.Store) {
				var rec recorder
				opts := steady()
				opts.Policy.TTL, opts.Policy.StaleFor = 10*time.Second, tt.staleFor
				opts.Observer = rec.observer()
				c := open(t, st, opts)
				var runs atomic.Int32
				want(t, 1)(cache.Fetch(ctx, c, "k", loader(&runs, 0, 1, nil)))
				sleep(tt.age)
				wantErr[int](t, cache.ErrMiss)(cache.Get[int](ctx, c, "k"))
				got, err := cache.Fetch(ctx, c, "k", loader(&runs, 0, 0, errLoad))
				switch {
				case tt.stale && (got != 1 || err != nil || rec.last().Outcome != event.OutcomeStale):
					t.Errorf("got %d, %v, %v", got, err, rec.last().Outcome)
				case !tt.stale && (err != errLoad || rec.last().Outcome != event.OutcomeError):
					t.Errorf("got %d, %v, %v", got, err, rec.last().Outcome)
				}
				if runs.Load() != 2 {
					t.Errorf("%d loads", runs.Load())
				}
			})
		})
	}
}

func TestTouchKeepsWhatOutlivesTheTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := steady()
		opts.Policy.TTL, opts.Policy.StaleFor = 10*time.Second, time.Minute
		c := open(t, memory(t), opts)
		var runs atomic.Int32
		want(t, 1)(cache.Fetch(ctx, c, "k", loader(&runs, 0, 1, nil)))
		want(t, true)(c.Touch(ctx, "k", time.Second))
		sleep(30 * time.Second)
		want(t, 1)(cache.Fetch(ctx, c, "k", loader(&runs, 0, 0, errLoad)))
	})
}

func TestVerbsLeaveNothingStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := steady()
		opts.Policy.StaleFor = time.Hour
		c := open(t, memory(t), opts)
		must(t, cache.Set(ctx, c, "k", "v", cache.TTL(time.Second)))
		sleep(2 * time.Second)
		var runs atomic.Int32
		wantErr[string](t, errLoad)(cache.Fetch(ctx, c, "k", loader(&runs, 0, "", errLoad)))
	})
}

func TestRemovedDuringALoadIsNotServedStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, memory(t), steady())
		var runs atomic.Int32
		want(t, 1)(cache.Fetch(ctx, c, "k", loader(&runs, 0, 1, nil), cache.TTL(time.Second)))
		sleep(1500 * time.Millisecond)
		go func() {
			sleep(100 * time.Millisecond)
			_, _ = c.Delete(ctx, "k")
		}()
		wantErr[int](t, errLoad)(cache.Fetch(ctx, c, "k", loader(&runs, 200*time.Millisecond, 0, errLoad)))
	})
}
