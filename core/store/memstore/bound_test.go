package memstore_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/memstore"
)

// heap returns the live heap in bytes.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one's finalizers and pools held
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestFloodStaysWithinTheBound(t *testing.T) {
	before := heap()
	s := open(t, memstore.Options{})
	hot := entry("hot", store.PriorityNormal)
	set(t, s, "hot", hot)
	for i := range 7_000 {
		e := entry("", store.PriorityNormal)
		e.Value = make([]byte, 16<<10)
		set(t, s, fmt.Sprint("flood:", i), e)
		if i%10 == 0 && s.GetBorrowed([]byte("hot")) != hot {
			t.Fatalf("the hot key is gone after %d writes", i)
		}
		if _, size := s.Size(); size > memstore.DefaultMaxBytes*110/100 {
			t.Fatalf("%d bytes after %d writes", size, i)
		}
	}
	grown := heap() - before
	n, size := s.Size()
	t.Logf("heap %d MiB, %d entries of %d MiB", grown>>20, n, size>>20)
	if grown > 70<<20 {
		t.Errorf("the heap has grown by %d MiB, want at most 70", grown>>20)
	}
	if size < memstore.DefaultMaxBytes*90/100 {
		t.Errorf("only %d MiB are in use after a flood", size>>20)
	}
	runtime.KeepAlive(s)
}

func TestConcurrentFloodOfAllPriorities(t *testing.T) {
	const maxBytes = 4 << 20
	s := open(t, memstore.Options{MaxBytes: maxBytes})
	value := make([]byte, 4<<10)
	var peak atomic.Int64
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 2000 {
				// One key in three is also written by the others, with other priorities.
				key := fmt.Sprint(g, ":", i)
				if i%3 == 0 {
					key = fmt.Sprint("shared:", i%999)
				}
				e := entry("", store.Priority(1+(g+i)%4))
				e.Value = value
				if err := s.Set(context.Background(), key, e); err != nil {
					t.Errorf("Set: %v", err)
				}
				_, size := s.Size()
				for p := peak.Load(); size > p && !peak.CompareAndSwap(p, size); p = peak.Load() {
				}
			}
		})
	}
	wg.Wait()
	if err := s.Audit(); err != nil {
		t.Error(err)
	}
	_, size := s.Size()
	t.Logf("peak %d %%, end %d %%", peak.Load()*100/maxBytes, size*100/maxBytes)
	if size > maxBytes || peak.Load() > maxBytes*110/100 {
		t.Errorf("peak %d bytes, %d at the end, want at most 110 %% and 100 %% of %d", peak.Load(), size, maxBytes)
	}
}

func TestOnePriorityMayUseAll(t *testing.T) {
	const maxBytes = 1 << 20
	for p := store.PriorityDefault; p.Valid(); p++ {
		t.Run(fmt.Sprint(uint8(p), " ", p), func(t *testing.T) {
			s := open(t, memstore.Options{MaxBytes: maxBytes})
			e := entry("", p)
			e.Value = make([]byte, 1000)
			n := maxBytes*95/100/e.Weight("key:000") - 1
			for i := range n {
				set(t, s, fmt.Sprintf("key:%03d", i), e.WithTimes(e.Times))
			}
			for i := range n {
				if s.GetBorrowed(fmt.Appendf(nil, "key:%03d", i)) == nil {
					t.Fatalf("key %d of %d is not there, though all take 95 %% of the bound", i, n)
				}
			}
		})
	}
}

func TestWithoutBoundNothingIsEvicted(t *testing.T) {
	s := open(t, memstore.Options{MaxBytes: -1})
	shared := make([]byte, 7<<20)
	for i := range 300 { // 2 GiB by weight
		e := entry("", store.Priority(i%5))
		e.Value = shared
		set(t, s, fmt.Sprint(i), e)
	}
	for i := range 300 {
		if s.GetBorrowed([]byte(fmt.Sprint(i))) == nil {
			t.Fatalf("entry %d is not there", i)
		}
	}
}

// TestLowPrioritiesGoFirst fills a store with a quarter of each priority and lets one priority grow. Of
// each other priority as much has to stay as those above it leave, down to the grain of the limits.
func TestLowPrioritiesGoFirst(t *testing.T) {
	const maxBytes = 1 << 20
	all := []store.Priority{store.PriorityLow, store.PriorityNormal, store.PriorityImportant, store.PriorityCritical}
	tests := []struct {
		name    string
		grows   store.Priority
		percent int       // of what was there, written on top
		part    [4]string // of the first entries of each priority that stays
	}{
		{"nothing grows", store.PriorityLow, 0, [4]string{"all", "all", "all", "all"}},
		{"critical takes from low", store.PriorityCritical, 15, [4]string{"some", "all", "all", "all"}},
		{"critical takes low, then from normal", store.PriorityCritical, 40, [4]string{"none", "some", "all", "all"}},
		{"critical takes low, normal, then from important", store.PriorityCritical, 65, [4]string{"none", "none", "some", "all"}},
		{"important takes from low", store.PriorityImportant, 15, [4]string{"some", "all", "all", "all"}},
		{"normal takes low", store.PriorityNormal, 23, [4]string{"some", "all", "all", "all"}},
		{"low takes only from itself", store.PriorityLow, 300, [4]string{"any", "all", "all", "all"}},
		{"normal takes low, then only from itself", store.PriorityNormal, 300, [4]string{"none", "any", "all", "all"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t, memstore.Options{MaxBytes: maxBytes})
			filler := entry("", store.PriorityLow)
			filler.Value = make([]byte, 2000)
			largest := filler.Weight("important:000")
			quarter := maxBytes * 97 / 100 / 4 / largest
			written := map[store.Priority]int{}
			add := func(p store.Priority, name string, n int) {
				for i := range n {
					e := filler.WithTimes(filler.Times)
					e.Priority = p
					k := fmt.Sprintf("%s:%03d", name, i)
					set(t, s, k, e)
					written[p] += e.Weight(k)
				}
			}
			for _, p := range all {
				add(p, p.String(), quarter)
			}
			add(tt.grows, "more", quarter*4*tt.percent/100)
			if err := s.Audit(); err != nil {
				t.Error(err)
			}
			for i, p := range all {
				stay, bytes := 0, 0
				for j := range quarter {
					k := fmt.Sprintf("%s:%03d", p, j)
					if e := s.GetBorrowed([]byte(k)); e != nil {
						stay++
						bytes += e.Weight(k)
					}
				}
				room := maxBytes
				for _, above := range all[i+1:] {
					room -= written[above]
				}
				ok := false
				switch tt.part[i] {
				case "all":
					ok = stay == quarter
				case "some":
					ok = bytes <= room && bytes > room-maxBytes/128-largest
				case "none":
					ok = stay == 0
				case "any":
					ok = true
				}
				if !ok {
					t.Errorf("%d of %d entries of %v stay (%d bytes), want %s; there is room for %d bytes",
						stay, quarter, p, bytes, tt.part[i], room)
				}
			}
			if _, size := s.Size(); size > maxBytes {
				t.Errorf("%d bytes, the bound is %d", size, maxBytes)
			}
		})
	}
}

// TestRoomComesBack: what a higher priority gives up, a lower one can use.
func TestRoomComesBack(t *testing.T) {
	const maxBytes = 1 << 20
	s := open(t, memstore.Options{MaxBytes: maxBytes, Observer: &event.Observer{}}) // without any callback
	fill := func(p store.Priority) (live int) {
		e := entry("", p)
		e.Value = make([]byte, 1000)
		n := maxBytes * 95 / 100 / e.Weight("critical:000")
		for i := range n {
			set(t, s, fmt.Sprintf("%s:%03d", p, i), e.WithTimes(e.Times))
		}
		s.Quiesce()
		for i := range n {
			if s.GetBorrowed(fmt.Appendf(nil, "%s:%03d", p, i)) != nil {
				live++
			}
		}
		return live * 100 / n
	}
	if got := fill(store.PriorityCritical); got != 100 {
		t.Fatalf("critical has %d %%", got)
	}
	if got := fill(store.PriorityLow); got > 10 {
		t.Errorf("low has %d %% beside a store full of critical", got)
	}
	if err := s.Clear(context.Background(), "critical:"); err != nil {
		t.Fatal(err)
	}
	if got := fill(store.PriorityLow); got != 100 {
		t.Errorf("low has %d %% after critical has left", got)
	}
}

func TestNewCountersGetTheRoomThereIs(t *testing.T) {
	ctx := context.Background()
	s := open(t, memstore.Options{MaxBytes: 100_000})
	for i := range 300 {
		set(t, s, fmt.Sprint("critical:", i), entry("v", store.PriorityCritical))
	}
	set(t, s, "low", entry("v", store.PriorityLow)) // which leaves low without any room
	if err := s.Clear(ctx, "critical:"); err != nil {
		t.Fatal(err)
	}
	zero := &store.Entry{Value: []byte("0"), Flags: store.FlagCounter, Priority: store.PriorityLow}
	if n, err := s.Incr(ctx, "counter", 1, zero); n != 1 || err != nil {
		t.Errorf("Incr = %d, %v, want 1", n, err)
	}
	s.Quiesce()
	if s.GetBorrowed([]byte("counter")) == nil {
		t.Error("the counter is evicted from a store that is empty otherwise")
	}
}

func TestEvictEvents(t *testing.T) {
	const maxBytes = 1 << 20
	var mu sync.Mutex
	count := map[string]int{}
	bytes := map[string]int{}
	s := open(t, memstore.Options{MaxBytes: maxBytes, Name: "l1", Observer: &event.Observer{Evict: func(e event.Evict) {
		mu.Lock()
		defer mu.Unlock()
		if e.Store != "l1" {
			t.Errorf("Store is %q", e.Store)
		}
		count[e.Priority]++
		bytes[e.Priority] += e.Size
	}}})
	ctx := context.Background()
	total := func() int {
		mu.Lock()
		defer mu.Unlock()
		n := 0
		for _, c := range count {
			n += c
		}
		return n
	}

	e := entry("", store.PriorityLow)
	e.Value = make([]byte, 1000)
	for i := range 100 { // replaced, deleted, moved, touched, cleared: none is an eviction
		k := fmt.Sprint(i)
		set(t, s, k, e.WithTimes(e.Times))
		set(t, s, k, e.WithTimes(e.Times))
		set(t, s, k, entry("moved", store.PriorityCritical))
		set(t, s, k, &store.Entry{Times: store.Times{Gone: 1}})
		set(t, s, k, e.WithTimes(e.Times))
		if _, err := s.Delete(ctx, k); err != nil {
			t.Fatal(err)
		}
		set(t, s, k, e.WithTimes(e.Times))
	}
	if err := s.Clear(ctx, ""); err != nil {
		t.Fatal(err)
	}
	s.Quiesce()
	if n := total(); n != 0 {
		t.Errorf("%d evictions in a store that was never full", n)
	}

	const written = 3000
	for i := range written {
		set(t, s, fmt.Sprint(i), e.WithTimes(e.Times))
	}
	s.Quiesce()
	left, _ := s.Size()
	if n := total(); n != written-left {
		t.Errorf("%d evictions, want %d", n, written-left)
	}
	mu.Lock()
	if count["low"] == 0 || len(count) != 1 || bytes["low"] < count["low"]*1000 {
		t.Errorf("evictions by priority: %v, bytes %v", count, bytes)
	}
	mu.Unlock()
}
