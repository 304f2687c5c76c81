package memstore

import (
	"context"
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
