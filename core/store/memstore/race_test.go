package memstore_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/memstore"
)

// TestReadersNeverGoBack has one writer per key that counts up, while readers check that what they see
// never gets older, and is never missing where the writer never deletes.
func TestReadersNeverGoBack(t *testing.T) {
	tests := []struct {
		name     string
		priority func(version int) store.Priority
		deletes  bool
	}{
		{"in one priority", func(int) store.Priority { return store.PriorityNormal }, false},
		{"moving up and down", func(v int) store.Priority { return store.Priority(1 + v%4) }, false},
		{"moving between neighbours", func(v int) store.Priority { return store.Priority(2 + v%2) }, false},
		{"moving, with deletions", func(v int) store.Priority { return store.Priority(1 + v%4) }, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			const versions, keys, readers = 4000, 2, 3
			s := open(t, memstore.Options{})
			ctx := context.Background()
			for k := range keys {
				set(t, s, fmt.Sprint("key", k), entry("0", tt.priority(0)))
			}
			var done atomic.Int32
			var wg sync.WaitGroup
			for k := range keys {
				key := fmt.Sprint("key", k)
				wg.Go(func() {
					defer done.Add(1)
					for v := 1; v <= versions; v++ {
						if tt.deletes && v%3 == 0 {
							if _, err := s.Delete(ctx, key); err != nil {
								t.Errorf("Delete: %v", err)
							}
						}
						if err := s.Set(ctx, key, entry(strconv.Itoa(v), tt.priority(v))); err != nil {
							t.Errorf("Set: %v", err)
						}
					}
				})
				for range readers {
					wg.Go(func() {
						newest := 0
						for buf := []byte(key); done.Load() < keys; {
							e := s.GetBorrowed(buf)
							if e == nil {
								if !tt.deletes {
									t.Errorf("%s is missing after version %d", key, newest)
									return
								}
								continue
							}
							v, err := strconv.Atoi(string(e.Value))
							if err != nil || v < newest {
								t.Errorf("%s: version %d (%v) after version %d", key, v, err, newest)
								return
							}
							newest = v
						}
					})
				}
			}
			wg.Wait()
			if n, _ := s.Size(); n != keys {
				t.Errorf("%d entries under %d keys", n, keys)
			}
		})
	}
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
