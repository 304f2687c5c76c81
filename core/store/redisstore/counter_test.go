package redisstore_test

import (
	"errors"
	"math"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/redisstore"
)

func TestCountersAreDecimal(t *testing.T) {
	s := newSpace(t, redisstore.Options{})
	s.set("k", counter("41", lifetime(time.Hour)))
	if n, err := s.raw.Incr(s.ctx, s.prefix+"k").Result(); n != 42 || err != nil {
		t.Errorf("another client's INCR = %d, %v, want 42", n, err)
	}
	if n, err := s.Incr(s.ctx, "k", 1, nil); n != 43 || err != nil {
		t.Errorf("Incr = %d, %v, want 43", n, err)
	}
	// Digits that the store would not write become those that it does.
	s.set("padded", counter("+007", store.Times{}))
	s.want("padded", "7")
	if err := s.Set(s.ctx, "k", counter("many", store.Times{})); !errors.Is(err, store.ErrNotInteger) {
		t.Errorf("Set of a counter that is no number: %v", err)
	}
	if _, err := s.Get(s.ctx, "k"); !errors.Is(err, store.ErrMiss) {
		t.Errorf("the older counter outlives it: %v", err)
	}
}

func TestCountersKeepTheirLifetime(t *testing.T) {
	s := newSpace(t, redisstore.Options{})
	const life = 90 * time.Second
	pttl := func(key string) time.Duration {
		t.Helper()
		d, err := s.raw.PTTL(s.ctx, s.prefix+key).Result()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	near := func(step string, d time.Duration) {
		t.Helper()
		if d > life || d < life-20*time.Second {
			t.Errorf("%s: %v left, want about %v", step, d, life)
		}
	}
	if n, err := s.Incr(s.ctx, "k", 2, counter("40", lifetime(life))); n != 42 || err != nil {
		t.Fatalf("Incr = %d, %v", n, err)
	}
	near("created", pttl("k"))
	if _, err := s.Incr(s.ctx, "k", 1, counter("0", lifetime(time.Hour))); err != nil {
		t.Fatal(err)
	}
	near("counted", pttl("k"))
	before := time.Now()
	e, err := s.Get(s.ctx, "k")
	if err != nil || e.Fresh != e.Gone {
		t.Fatalf("Get = %+v, %v", e, err)
	}
	near("read", time.UnixMilli(e.Gone).Sub(before))
	if ok, err := s.Touch(s.ctx, "k", e, store.Times{}); !ok || err != nil {
		t.Errorf("Touch = %v, %v", ok, err)
	}
	if d := pttl("k"); d != -1 {
		t.Errorf("%v left of a counter that was touched to live for ever", d)
	}
	if e, err := s.Get(s.ctx, "k"); err != nil || e.Gone != 0 || e.Fresh != 0 {
		t.Errorf("Get = %+v, %v", e, err)
	}
}

func TestTwoStoresCountTogether(t *testing.T) {
	a := newSpace(t, redisstore.Options{})
	b := open(t, shared.Redis(t).URL(), redisstore.Options{Prefix: a.prefix, OpTimeout: patient})
	const each = 200
	var wg sync.WaitGroup
	for _, s := range []*redisstore.Store{a.Store, b} {
		for range 2 {
			wg.Go(func() {
				for range each {
					if _, err := s.Incr(a.ctx, "k", 1, counter("0", lifetime(time.Hour))); err != nil {
						t.Errorf("Incr: %v", err)
					}
				}
			})
		}
	}
	wg.Wait()
	a.want("k", strconv.Itoa(4*each))
}

func TestIncrOfWhatCannotBeCreated(t *testing.T) {
	s := newSpace(t, redisstore.Options{})
	tests := []struct {
		name   string
		create *store.Entry
		delta  int64
		want   int64
		err    error
	}{
		{"no counter", entry("1"), 1, 0, store.ErrNotInteger},
		{"no number", counter("one", store.Times{}), 1, 0, store.ErrNotInteger},
		{"overflow", counter("1", store.Times{}), math.MaxInt64, 0, store.ErrOverflow},
		{"underflow", counter("-2", store.Times{}), math.MinInt64 + 1, 0, store.ErrOverflow},
		{"gone already", counter("1", store.Times{Gone: 1, Fresh: 1}), 4, 5, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if n, err := s.Incr(s.ctx, "k", tt.delta, tt.create); n != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("Incr = %d, %v, want %d, %v", n, err, tt.want, tt.err)
			}
			if e, err := s.Get(s.ctx, "k"); !errors.Is(err, store.ErrMiss) {
				t.Errorf("stored nevertheless: %+v, %v", e, err)
			}
			// One that exists does not care.
			s.set("there", counter("10", store.Times{}))
			if n, err := s.Incr(s.ctx, "there", 1, tt.create); n != 11 || err != nil {
				t.Errorf("Incr of an existing one = %d, %v", n, err)
			}
		})
	}
}
