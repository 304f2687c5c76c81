package memstore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/memstore"
)

// pass lets d pass in a synctest bubble.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestExpiryIsExact(t *testing.T) {
	for _, ttl := range []time.Duration{time.Millisecond, 7 * time.Millisecond, 50 * time.Millisecond,
		999 * time.Millisecond, time.Second, 1500 * time.Millisecond, time.Minute, 36 * time.Hour} {
		t.Run(ttl.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := open(t, memstore.Options{})
				set(t, s, "k", &store.Entry{Times: lifetime(ttl)})
				set(t, s, "later", &store.Entry{Times: lifetime(ttl + time.Hour)})
				set(t, s, "never", &store.Entry{})
				pass(ttl - time.Millisecond)
				if s.GetBorrowed([]byte("k")) == nil {
					t.Error("a miss 1 ms before Gone")
				}
				pass(time.Millisecond + 10*time.Millisecond)
				if s.GetBorrowed([]byte("k")) != nil {
					t.Error("still there 10 ms after Gone")
				}
				if s.GetBorrowed([]byte("later")) == nil || s.GetBorrowed([]byte("never")) == nil {
					t.Error("others have gone too")
				}
			})
		})
	}
}

// TestFirstUseAfterAPause: the clock has stopped meanwhile, and its last reading is old.
func TestFirstUseAfterAPause(t *testing.T) {
	uses := []struct {
		name string
		gone func(s *memstore.Store) bool
	}{
		{"GetBorrowed", func(s *memstore.Store) bool { return s.GetBorrowed([]byte("k")) == nil }},
		{"Get", func(s *memstore.Store) bool {
			_, err := s.Get(context.Background(), "k")
			return errors.Is(err, store.ErrMiss)
		}},
		{"Add", func(s *memstore.Store) bool {
			ok, err := s.Add(context.Background(), "k", entry("new", store.PriorityNormal))
			return ok && err == nil
		}},
		{"Delete", func(s *memstore.Store) bool {
			n, err := s.Delete(context.Background(), "k")
			return n == 0 && err == nil
		}},
		{"Scan", func(s *memstore.Store) bool {
			for range s.Scan(context.Background(), "") {
				return false
			}
			return true
		}},
	}
	for _, pause := range []time.Duration{1100 * time.Millisecond, 4 * time.Second, 17 * time.Second, time.Hour} {
		for _, use := range uses {
			for _, late := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s after %v, gone: %v", use.name, pause, late), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						s := open(t, memstore.Options{})
						set(t, s, "k", &store.Entry{Times: lifetime(pause)})
						if late {
							pass(pause)
						} else {
							pass(pause - time.Millisecond)
						}
						if got := use.gone(s); got != late {
							t.Errorf("taken as gone: %v, want %v", got, late)
						}
					})
				})
			}
		}
	}
}

func TestReplacedLifetimes(t *testing.T) {
	tests := []struct {
		name          string
		first, second time.Duration // 0: for ever
		hits, misses  time.Duration // after the second write; 0: not checked
	}{
		{"shorter", time.Hour, 100 * time.Millisecond, 99 * time.Millisecond, 110 * time.Millisecond},
		{"longer", 100 * time.Millisecond, time.Hour, time.Minute, time.Hour + 10*time.Millisecond},
		{"for ever", 100 * time.Millisecond, 0, 40 * time.Hour, 0},
		{"no longer for ever", 0, 100 * time.Millisecond, 99 * time.Millisecond, 110 * time.Millisecond},
	}
	times := func(d time.Duration) store.Times {
		if d == 0 {
			return store.Times{}
		}
		return lifetime(d)
	}
	for _, tt := range tests {
		for _, moved := range []store.Priority{store.PriorityNormal, store.PriorityCritical} {
			t.Run(fmt.Sprintf("%s, then %v", tt.name, moved), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := open(t, memstore.Options{})
					set(t, s, "k", &store.Entry{Times: times(tt.first)})
					set(t, s, "k", &store.Entry{Times: times(tt.second), Priority: moved})
					pass(tt.hits)
					if s.GetBorrowed([]byte("k")) == nil {
						t.Errorf("a miss after %v", tt.hits)
					}
					if tt.misses == 0 {
						return
					}
					pass(tt.misses - tt.hits)
					if s.GetBorrowed([]byte("k")) != nil {
						t.Errorf("still there after %v", tt.misses)
					}
				})
			})
		}
	}
}

func TestExpiredEntriesAreFreedWithoutCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, memstore.Options{})
		for i := range 1000 {
			set(t, s, fmt.Sprint(i), &store.Entry{Times: lifetime(2 * time.Second), Priority: store.Priority(i % 5)})
		}
		set(t, s, "stays", entry("v", store.PriorityNormal))
		if n, _ := s.Size(); n != 1001 {
			t.Fatalf("%d entries, want 1001", n)
		}
		pass(15 * time.Second)
		if n, size := s.Size(); n != 1 || size > 1000 {
			t.Errorf("%d entries of %d bytes are left, want 1", n, size)
		}
	})
}

func TestAddAndDeleteOverExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		s := open(t, memstore.Options{})
		now := time.Now().UnixMilli()
		set(t, s, "k", &store.Entry{Times: store.Times{Created: now, Fresh: now + 100, Gone: now + 200}})
		if ok, err := s.Add(ctx, "k", entry("second", store.PriorityLow)); ok || err != nil {
			t.Errorf("Add over a fresh entry = %v, %v", ok, err)
		}
		pass(110 * time.Millisecond)
		if n, err := s.Delete(ctx, "k"); n != 0 || err != nil {
			t.Errorf("Delete of a stale entry = %d, %v, want 0", n, err)
		}
		if s.GetBorrowed([]byte("k")) != nil {
			t.Error("the stale entry is still there")
		}
		set(t, s, "k", &store.Entry{Times: lifetime(100 * time.Millisecond)})
		pass(110 * time.Millisecond)
		if ok, err := s.Add(ctx, "k", entry("third", store.PriorityCritical)); !ok || err != nil {
			t.Errorf("Add over a gone entry = %v, %v", ok, err)
		}
	})
}
