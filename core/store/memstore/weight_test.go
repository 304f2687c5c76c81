package memstore_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/memstore"
)

// TestWeightsMatchTheHeap holds store.Entry.Weight to what a full store really takes.
func TestWeightsMatchTheHeap(t *testing.T) {
	const maxBytes = 3 << 20
	tests := []struct{ key, value int }{
		{32, 64}, // both fill a size class of the allocator
		{33, 65}, // both just miss one
		{63, 1000},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("key of %d, value of %d bytes", tt.key, tt.value), func(t *testing.T) {
			before := heap()
			s := open(t, memstore.Options{MaxBytes: maxBytes})
			times := lifetime(1000 * time.Hour)
			for i := range maxBytes * 5 / 4 / (tt.key + tt.value + 320) {
				set(t, s, fmt.Sprintf("%0*d", tt.key, i), &store.Entry{Value: make([]byte, tt.value), Times: times})
			}
			s.Quiesce()
			grown := heap() - before
			n, size := s.Size()
			runtime.KeepAlive(s)
			t.Logf("%d entries, %d bytes of overhead each, heap/weight %.2f",
				n, grown/int64(n)-int64(tt.key+tt.value), float64(grown)/float64(size))
			if grown < size*85/100 || grown > size*105/100 {
				t.Errorf("%d bytes by weight take %d bytes of heap, want 85 to 105 %%", size, grown)
			}
		})
	}
}

func TestReservedMemoCounts(t *testing.T) {
	s := open(t, memstore.Options{MaxBytes: 1 << 20})
	e := entry("v", store.PriorityNormal)
	e.MemoSize = 1000
	set(t, s, "k", e)
	e.SetMemo("decoded")
	if _, size := s.Size(); size != int64(e.Weight("k")) || size < 1000 {
		t.Errorf("%d bytes, want %d", size, e.Weight("k"))
	}
	for i := range 2000 {
		e := entry("v", store.PriorityNormal)
		e.MemoSize = 1000
		set(t, s, fmt.Sprint(i), e)
	}
	s.Quiesce()
	if n, size := s.Size(); n > 1<<20/1000 || size > 1<<20 {
		t.Errorf("%d entries with a memo of 1000 bytes are in 1 MiB (%d bytes)", n, size)
	}
}

// TestGiantEntries uses the memo's size, which needs no memory, to reach weights beyond 32 bits.
func TestGiantEntries(t *testing.T) {
	largest := math.MaxUint32 - (&store.Entry{}).Weight("k")
	tests := []struct {
		name  string
		opts  memstore.Options
		memo  int
		taken bool
	}{
		{"4 GiB less one byte, no bounds", memstore.Options{MaxBytes: -1, MaxEntryBytes: -1}, largest, true},
		{"4 GiB, no bounds", memstore.Options{MaxBytes: -1, MaxEntryBytes: -1}, largest + 1, false},
		{"4 GiB and a little, no bounds", memstore.Options{MaxBytes: -1, MaxEntryBytes: -1}, 1<<32 + 1, false},
		{"5 GiB in 64 GiB", memstore.Options{MaxBytes: 64 << 30, MaxEntryBytes: 32 << 30}, 5 << 30, false},
		{"the largest number there is", memstore.Options{MaxBytes: math.MaxInt64, MaxEntryBytes: math.MaxInt64}, math.MaxInt, false},
		{"a negative size is none", memstore.Options{MaxBytes: 1 << 20}, math.MinInt, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t, tt.opts)
			set(t, s, "k", entry("before", store.PriorityLow))
			err := s.Set(context.Background(), "k", &store.Entry{MemoSize: tt.memo})
			if tt.taken && err != nil || !tt.taken && !errors.Is(err, store.ErrTooLarge) {
				t.Errorf("Set: %v", err)
			}
			s.Quiesce()
			n, size := s.Size()
			if tt.taken && (n != 1 || size != int64((&store.Entry{MemoSize: tt.memo}).Weight("k"))) || !tt.taken && (n != 0 || size != 0) {
				t.Errorf("%d entries of %d bytes", n, size)
			}
		})
	}
}
