package memstore

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
)

func TestCloseReportsNoEvictions(t *testing.T) {
	const maxBytes = 1 << 20
	evictions := 0
	// The maintenance runs only when the test says so.
	s, err := newStore(Options{MaxBytes: maxBytes, Observer: &event.Observer{
		Evict: func(event.Evict) { evictions++ },
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 63 {
		e := &store.Entry{Value: make([]byte, 16<<10), Priority: store.PriorityLow}
		if err := s.Set(context.Background(), fmt.Sprint(i), e); err != nil {
			t.Fatal(err)
		}
	}
	before := evictions
	if _, size := s.Size(); size <= maxBytes {
		t.Fatalf("%d bytes: no eviction is due, the test does not test", size)
	}
	s.shut()
	s.cleanUp() // the maintenance may run until Close has stopped it
	close(s.stopped)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if evictions != before {
		t.Errorf("Close reports %d evictions", evictions-before)
	}
	if n, size := s.Size(); n != 0 || size != 0 {
		t.Errorf("%d entries of %d bytes are left", n, size)
	}
}

// TestHugeBoundsAreNoBounds: a bound that cannot be reached must not overflow, which would make every
// write compute the limits and run the maintenance.
func TestHugeBoundsAreNoBounds(t *testing.T) {
	for _, maxBytes := range []int64{-1, math.MaxInt64 / 2, math.MaxInt64 - 1, math.MaxInt64} {
		s, err := New(Options{MaxBytes: maxBytes})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			if err := s.Set(context.Background(), fmt.Sprint(i), &store.Entry{Priority: store.Priority(i % 5)}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range s.parts {
			if s.budget.outOfLine(s.parts[i].limit.Load(), s.quota(i)) {
				t.Errorf("MaxBytes %d: the limit of partition %d never settles", maxBytes, i)
			}
		}
		if s.used() > s.budget.total+s.budget.slack {
			t.Errorf("MaxBytes %d: each write waits for an eviction", maxBytes)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
