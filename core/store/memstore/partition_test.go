package memstore

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-cache/strata/core/store"
)

func TestLookUpsSkipEmptyPartitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		s, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		shown := func(step string, want uint32) {
			t.Helper()
			if got := s.state.Load(); got != want {
				t.Errorf("%s: look-ups ask the partitions %04b, want %04b", step, got, want)
			}
		}
		shown("empty", 0)
		if err := s.Set(ctx, "k", &store.Entry{}); err != nil {
			t.Fatal(err)
		}
		shown("one normal", 1<<normal)
		if err := s.Set(ctx, "l", &store.Entry{Priority: store.PriorityLow}); err != nil {
			t.Fatal(err)
		}
		shown("one normal, one low", 1<<normal|1<<low)
		if err := s.Set(ctx, "k", &store.Entry{Priority: store.PriorityCritical}); err != nil {
			t.Fatal(err)
		}
		if s.parts[normal].count.Load() != 0 || s.parts[critical].count.Load() != 1 {
			t.Error("a moved key is in its old partition, or not in its new one")
		}
		<-time.After(2 * freeEvery)
		synctest.Wait()
		shown("none normal any more", 1<<critical|1<<low)
		if _, err := s.Get(ctx, "k"); err != nil {
			t.Errorf("Get: %v", err)
		}
	})
}

func TestExpiredEntriesDoNotOutliveWrites(t *testing.T) {
	// A wall clock that is set back must not bring back what was deleted or moved while it was expired.
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		s, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		end := time.Now().UnixMilli() + 50
		for _, k := range []string{"deleted", "moved"} {
			if err := s.Set(ctx, k, &store.Entry{Times: store.Times{Fresh: end, Gone: end}}); err != nil {
				t.Fatal(err)
			}
		}
		<-time.After(60 * time.Millisecond)
		if _, err := s.Delete(ctx, "deleted"); err != nil {
			t.Fatal(err)
		}
		if err := s.Set(ctx, "moved", &store.Entry{Priority: store.PriorityLow}); err != nil {
			t.Fatal(err)
		}
		if n := s.parts[normal].count.Load(); n != 0 {
			t.Errorf("%d expired entries are still in their partition", n)
		}
	})
}

// TestLookUpsWaitForMoves stops a key halfway between two partitions and looks it up: it was there all the
// time, so that a miss would be wrong.
func TestLookUpsWaitForMoves(t *testing.T) {
	for _, to := range []store.Priority{store.PriorityLow, store.PriorityCritical} {
		t.Run(fmt.Sprint("from normal to ", to), func(t *testing.T) {
			ctx := context.Background()
			s, err := New(Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := s.Set(ctx, "k", &store.Entry{}); err != nil {
				t.Fatal(err)
			}
			l := s.lock("k")
			arrived := s.leave(1<<normal, "k")
			if s.parts[normal].count.Load() != 0 {
				t.Fatal("the key has not left")
			}
			const readers = 4
			started, found := make(chan struct{}), make(chan *store.Entry, readers)
			for range readers {
				go func() {
					started <- struct{}{}
					found <- s.GetBorrowed([]byte("k"))
				}()
			}
			for range readers {
				<-started
			}
			for i := 0; i < 1000 && len(found) < readers; i++ {
				runtime.Gosched() // a reader that does not wait has its miss by now
			}
			moved := &store.Entry{Priority: to}
			if err := s.put("k", moved); err != nil {
				t.Fatal(err)
			}
			arrived()
			l.Unlock()
			for range readers {
				if e := <-found; e != moved {
					t.Errorf("a look-up during the move returns %p, want %p", e, moved)
				}
			}
			// A move that is over costs nothing.
			if begun, done := s.begun.Load(), s.done.Load(); begun != 1 || done != 1 {
				t.Errorf("%d moves begun, %d done, want 1 of each", begun, done)
			}
		})
	}
}

// TestUnusedStoreSleeps: a store that holds something and is not used does not keep the clock awake.
func TestUnusedStoreSleeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		end := time.Now().UnixMilli() + 12_000
		if err := s.Set(context.Background(), "k", &store.Entry{Times: store.Times{Fresh: end, Gone: end}}); err != nil {
			t.Fatal(err)
		}
		if !s.clock.Running() {
			t.Error("a store in use has no running clock")
		}
		for range 20 {
			<-time.After(2 * time.Second)
			synctest.Wait()
			if s.clock.Running() {
				t.Fatalf("the clock is awake %d ms after the entry went", time.Now().UnixMilli()-end)
			}
		}
		if n, _ := s.Size(); n != 0 {
			t.Error("what has expired is not freed")
		}
	})
}
