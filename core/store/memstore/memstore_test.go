package memstore_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/memstore"
	"github.com/strata-cache/strata/core/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, opts memstore.Options) *memstore.Store {
	t.Helper()
	s, err := memstore.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// lifetime returns instants of an entry that lives for d from now on.
func lifetime(d time.Duration) store.Times {
	now := time.Now().UnixMilli()
	return store.Times{Created: now, Fresh: now + d.Milliseconds(), Gone: now + d.Milliseconds()}
}

func entry(value string, p store.Priority) *store.Entry {
	return &store.Entry{Value: []byte(value), Times: lifetime(time.Hour), Priority: p}
}

func set(t testing.TB, s *memstore.Store, key string, e *store.Entry) {
	t.Helper()
	if err := s.Set(context.Background(), key, e); err != nil {
		t.Fatalf("Set(%q): %v", key, err)
	}
}

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, memstore.Options{}) })
}

func TestContractWithoutBound(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, memstore.Options{MaxBytes: -1}) })
}

func TestNewValidates(t *testing.T) {
	tests := []struct {
		name string
		opts memstore.Options
		want string // of the error; empty for none
	}{
		{"zero value", memstore.Options{}, ""},
		{"small", memstore.Options{MaxBytes: 1}, ""},
		{"no bounds", memstore.Options{MaxBytes: -1, MaxEntryBytes: -1}, ""},
		{"largest", memstore.Options{MaxBytes: math.MaxInt64}, ""},
		{"entry as large as the store", memstore.Options{MaxBytes: 1000, MaxEntryBytes: 1000}, ""},
		{"entry larger than the store", memstore.Options{MaxBytes: 1000, MaxEntryBytes: 1001},
			"memstore: MaxEntryBytes 1001 is more than MaxBytes 1000"},
		{"entry larger than the default", memstore.Options{MaxEntryBytes: 65 << 20},
			"memstore: MaxEntryBytes 68157440 is more than MaxBytes 67108864"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := memstore.New(tt.opts)
			if err != nil {
				if err.Error() != tt.want {
					t.Fatalf("New: %v, want %q", err, tt.want)
				}
				return
			}
			defer s.Close()
			if tt.want != "" {
				t.Fatalf("New: no error, want %q", tt.want)
			}
		})
	}
}

func TestEntriesAreShared(t *testing.T) {
	s := open(t, memstore.Options{})
	e := entry("v", store.PriorityDefault)
	set(t, s, "k", e)
	if got, err := s.Get(context.Background(), "k"); got != e || err != nil {
		t.Errorf("Get = %p, %v, want %p", got, err, e)
	}
	if got := s.GetBorrowed([]byte("k")); got != e {
		t.Errorf("GetBorrowed = %p, want %p", got, e)
	}
	if got, err := s.GetMany(context.Background(), []string{"k"}); got[0] != e || err != nil {
		t.Errorf("GetMany = %p, %v, want %p", got[0], err, e)
	}
}

func TestHitsDoNotAllocate(t *testing.T) {
	for _, mixed := range []bool{false, true} {
		t.Run(fmt.Sprintf("several priorities: %v", mixed), func(t *testing.T) {
			s := open(t, memstore.Options{})
			set(t, s, "key", entry("v", store.PriorityNormal))
			if mixed {
				set(t, s, "low", entry("v", store.PriorityLow))
				set(t, s, "critical", entry("v", store.PriorityCritical))
			}
			ctx, key := context.Background(), []byte("key")
			if n := testing.AllocsPerRun(1000, func() {
				if e, err := s.Get(ctx, "key"); e == nil || err != nil {
					t.Error("miss")
				}
			}); n != 0 {
				t.Errorf("Get allocates %v times", n)
			}
			if n := testing.AllocsPerRun(1000, func() {
				if s.GetBorrowed(key) == nil {
					t.Error("miss")
				}
			}); n != 0 {
				t.Errorf("GetBorrowed allocates %v times", n)
			}
			if n := testing.AllocsPerRun(1000, func() { s.GetBorrowed(key[:2]) }); n != 0 {
				t.Errorf("a miss allocates %v times", n)
			}
		})
	}
}

func TestEntriesBeyondTheLimit(t *testing.T) {
	const limit = 10_000
	ctx := context.Background()
	largest := &store.Entry{}
	largest.Value = make([]byte, limit-largest.Weight("k"))
	over := &store.Entry{Value: make([]byte, len(largest.Value)+1)}
	tests := []struct {
		name  string
		write func(s *memstore.Store, e *store.Entry) error
	}{
		{"Set", func(s *memstore.Store, e *store.Entry) error { return s.Set(ctx, "k", e) }},
		{"Add", func(s *memstore.Store, e *store.Entry) error {
			if _, err := s.Delete(ctx, "k"); err != nil {
				return err
			}
			_, err := s.Add(ctx, "k", e)
			return err
		}},
		{"SetMany", func(s *memstore.Store, e *store.Entry) error {
			_, err := s.SetMany(ctx, []store.Item{{Key: "k", Entry: e}})
			return err
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t, memstore.Options{MaxEntryBytes: limit})
			if err := tt.write(s, largest); err != nil {
				t.Errorf("an entry of exactly the limit: %v", err)
			}
			if s.GetBorrowed([]byte("k")) == nil {
				t.Error("the largest entry is not there")
			}
			err := tt.write(s, over)
			if !errors.Is(err, store.ErrTooLarge) || !strings.HasPrefix(err.Error(), "memstore: ") {
				t.Errorf("one byte more: %v, want store.ErrTooLarge", err)
			}
			if s.GetBorrowed([]byte("k")) != nil {
				t.Error("the older entry outlives the refused write")
			}
		})
	}
}

// TestUnknownPrioritiesAreNormal: they come from a newer version's bytes.
func TestUnknownPrioritiesAreNormal(t *testing.T) {
	var mu sync.Mutex
	evicted := map[string]int{}
	s := open(t, memstore.Options{MaxBytes: 100_000, Observer: &event.Observer{Evict: func(e event.Evict) {
		mu.Lock()
		defer mu.Unlock()
		evicted[e.Priority]++
	}}})
	for i := range 400 {
		set(t, s, fmt.Sprint(i), entry("v", store.Priority(5+i%251)))
	}
	if err := s.Audit(); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if evicted["normal"] == 0 || len(evicted) != 1 {
		t.Errorf("evicted by priority: %v, want normal ones only", evicted)
	}
}

func TestSizeFollowsEveryChange(t *testing.T) {
	ctx := context.Background()
	s := open(t, memstore.Options{})
	want := func(step string, entries int, bytes int) {
		t.Helper()
		if n, size := s.Size(); n != entries || size != int64(bytes) {
			t.Errorf("%s: %d entries of %d bytes, want %d of %d", step, n, size, entries, bytes)
		}
	}
	short, long := entry("v", store.PriorityNormal), entry(strings.Repeat("v", 1000), store.PriorityNormal)
	moved := entry("moved", store.PriorityCritical)
	set(t, s, "k", short)
	want("set", 1, short.Weight("k"))
	set(t, s, "k", long)
	want("replaced by a longer one", 1, long.Weight("k"))
	set(t, s, "k", short)
	want("replaced by a shorter one", 1, short.Weight("k"))
	set(t, s, "k", moved)
	want("moved", 1, moved.Weight("k"))
	if ok, err := s.Touch(ctx, "k", moved, lifetime(time.Minute)); !ok || err != nil {
		t.Fatalf("Touch = %v, %v", ok, err)
	}
	want("touched", 1, moved.Weight("k"))
	set(t, s, "other", short)
	want("two", 2, moved.Weight("k")+short.Weight("other"))
	if _, err := s.Delete(ctx, "k"); err != nil {
		t.Fatal(err)
	}
	want("deleted", 1, short.Weight("other"))
	set(t, s, "other", &store.Entry{Times: store.Times{Gone: 1}})
	want("set gone", 0, 0)
	set(t, s, "a", short)
	set(t, s, "b", moved)
	if err := s.Clear(ctx, ""); err != nil {
		t.Fatal(err)
	}
	want("cleared", 0, 0)
}

func TestCloseFreesAndEndsReaders(t *testing.T) {
	s := open(t, memstore.Options{})
	for i := range 1000 {
		set(t, s, fmt.Sprint(i), entry("v", store.Priority(i%5)))
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				if _, err := s.Get(context.Background(), fmt.Sprint(i%1000)); errors.Is(err, store.ErrClosed) {
					return
				}
			}
		})
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if n, size := s.Size(); n != 0 || size != 0 {
		t.Errorf("a closed store holds %d entries of %d bytes", n, size)
	}
}
