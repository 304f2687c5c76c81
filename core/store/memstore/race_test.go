package memstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/memstore"
)

// register is one key and what its only writer has done to it. The writer counts its operations; number n
// stores n or, where deletes says so, removes the key.
type register struct {
	key          string
	deletes      func(n int) bool
	begun, ended atomic.Int64
}

// check reads the key once, and fails unless what it saw was there at some moment of the call.
func (r *register) check(t *testing.T, s *memstore.Store, buf []byte) (ok bool) {
	first := int(r.ended.Load())
	e := s.GetBorrowed(buf)
	last := int(r.begun.Load())
	if e == nil {
		for n := first; n <= last; n++ {
			if r.deletes(n) {
				return true
			}
		}
		t.Errorf("%s is missing between operations %d and %d", r.key, first, last)
		return false
	}
	n, err := strconv.Atoi(string(e.Value))
	if err != nil || n < first || n > last {
		t.Errorf("%s: version %d (%v) between operations %d and %d", r.key, n, err, first, last)
		return false
	}
	return true
}

// TestLookUpsAreLinearizable has one writer per key, and readers that know what they may see.
func TestLookUpsAreLinearizable(t *testing.T) {
	never := func(int) bool { return false }
	tests := []struct {
		name     string
		priority func(n int) store.Priority
		deletes  func(n int) bool
	}{
		{"in one priority", func(int) store.Priority { return store.PriorityNormal }, never},
		{"moving up and down", func(n int) store.Priority { return store.Priority(1 + n%4) }, never},
		{"moving between neighbours", func(n int) store.Priority { return store.Priority(2 + n%2) }, never},
		{"in one priority, with deletions", func(int) store.Priority { return store.PriorityLow }, func(n int) bool { return n%3 == 2 }},
		{"moving, with deletions", func(n int) store.Priority { return store.Priority(1 + n%4) }, func(n int) bool { return n%3 == 2 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			const operations, keys, readers = 1000, 2, 2
			s := open(t, memstore.Options{})
			ctx := context.Background()
			var stop atomic.Bool
			var writers, all sync.WaitGroup
			for k := range keys {
				r := &register{key: fmt.Sprint("key", k), deletes: tt.deletes}
				set(t, s, r.key, entry("0", tt.priority(0)))
				writers.Go(func() {
					for n := 1; n <= operations && !stop.Load(); n++ {
						r.begun.Store(int64(n))
						if tt.deletes(n) {
							if _, err := s.Delete(ctx, r.key); err != nil {
								t.Errorf("Delete: %v", err)
							}
						} else if err := s.Set(ctx, r.key, entry(strconv.Itoa(n), tt.priority(n))); err != nil {
							t.Errorf("Set: %v", err)
						}
						r.ended.Store(int64(n))
					}
				})
				for range readers {
					all.Go(func() {
						for buf := []byte(r.key); !stop.Load(); {
							if !r.check(t, s, buf) {
								stop.Store(true)
							}
						}
					})
				}
			}
			writers.Wait()
			stop.Store(true)
			all.Wait()
			if err := s.Audit(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestCountsSurviveConcurrency: whatever collides, the counts are those of the tables in the end.
func TestCountsSurviveConcurrency(t *testing.T) {
	for _, maxBytes := range []int64{-1, 20_000} {
		t.Run(fmt.Sprint("MaxBytes ", maxBytes), func(t *testing.T) {
			s := open(t, memstore.Options{MaxBytes: maxBytes})
			ctx := context.Background()
			var wg sync.WaitGroup
			for g := range 4 {
				wg.Go(func() {
					rnd := rand.New(rand.NewPCG(uint64(g), 1))
					for range 1000 {
						key := fmt.Sprint("key", rnd.IntN(20))
						e := entry(strings.Repeat("v", rnd.IntN(1000)), store.Priority(rnd.IntN(5)))
						var err error
						switch rnd.IntN(8) {
						case 0, 1, 2:
							if rnd.IntN(4) == 0 {
								e.Gone = time.Now().UnixMilli() + int64(rnd.IntN(10))
							}
							err = s.Set(ctx, key, e)
						case 3:
							_, err = s.Add(ctx, key, e)
						case 4:
							if seen := s.GetBorrowed([]byte(key)); seen != nil {
								_, err = s.Touch(ctx, key, seen, lifetime(time.Minute))
							}
						case 5:
							_, err = s.Delete(ctx, key)
						case 6:
							counter := &store.Entry{Value: []byte("0"), Flags: store.FlagCounter, Priority: e.Priority}
							if _, err = s.Incr(ctx, key, 1, counter); errors.Is(err, store.ErrNotInteger) {
								err = nil
							}
						case 7:
							if rnd.IntN(10) == 0 {
								err = s.Clear(ctx, "key1")
							}
						}
						if err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			if err := s.Audit(); err != nil {
				t.Error(err)
			}
			if err := s.Clear(ctx, ""); err != nil {
				t.Error(err)
			}
			for k := range s.Scan(ctx, "") { // Size would count what has expired a moment ago
				t.Errorf("%q is left after Clear", k)
			}
			if err := s.Audit(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestClearMissesNothing: what is there when Clear begins is gone when it has ended, however much is
// written, touched and moved beside it.
func TestClearMissesNothing(t *testing.T) {
	s := open(t, memstore.Options{})
	ctx := context.Background()
	var stop atomic.Bool
	var wg sync.WaitGroup
	for g := range 2 {
		wg.Go(func() {
			for i := 0; !stop.Load(); i++ {
				// The table grows and shrinks, other keys move.
				set(t, s, fmt.Sprint("other:", g, i%2000), entry("v", store.Priority(1+i%4)))
				if i%100 == 0 {
					if _, err := s.Delete(ctx, fmt.Sprint("other:", g, i%1000)); err != nil {
						t.Errorf("Delete: %v", err)
					}
				}
				key := fmt.Sprint("mine:", i%200)
				if seen := s.GetBorrowed([]byte(key)); seen != nil {
					if _, err := s.Touch(ctx, key, seen, lifetime(time.Minute)); err != nil {
						t.Errorf("Touch: %v", err)
					}
				}
			}
		})
	}
	for round := range 6 {
		for i := range 200 {
			set(t, s, fmt.Sprint("mine:", i), entry("v", store.Priority(1+i%4)))
		}
		if err := s.Clear(ctx, "mine:"); err != nil {
			t.Fatal(err)
		}
		for i := range 200 {
			if s.GetBorrowed(fmt.Append(nil, "mine:", i)) != nil {
				t.Errorf("round %d: mine:%d has survived", round, i)
			}
		}
	}
	stop.Store(true)
	wg.Wait()
}

// TestNobodyWritesOverAnAdd: between an Add that won and the Delete that follows no other Add wins,
// whatever the priorities.
func TestNobodyWritesOverAnAdd(t *testing.T) {
	s := open(t, memstore.Options{})
	ctx := context.Background()
	var held, wins atomic.Int32
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 3000 {
				ok, err := s.Add(ctx, "lock", entry("v", store.Priority((g+i)%5)))
				if err != nil {
					t.Errorf("Add: %v", err)
				}
				if !ok {
					continue
				}
				wins.Add(1)
				if held.Add(1) != 1 {
					t.Error("two hold the key")
				}
				held.Add(-1)
				if n, err := s.Delete(ctx, "lock"); n != 1 || err != nil {
					t.Errorf("Delete = %d, %v, want 1", n, err)
				}
			}
		})
	}
	wg.Wait()
	if wins.Load() == 0 {
		t.Error("no Add has won")
	}
}
