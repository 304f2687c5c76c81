package memstore_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/memstore"
)

// moment is the grain of the model's time. Lifetimes end in the middle between two moments, so that the
// coarse clock is never in doubt about them.
const moment = 100 * time.Millisecond

// model is a store and what it should hold.
type model struct {
	s       *memstore.Store
	bound   int64 // 0: the default, which is never reached
	entries map[string]*store.Entry
	seen    []*store.Entry // what readers may still have in hand
	// What the store has reported since the last check.
	evictions, evictedBytes atomic.Int64
}

func (m *model) live(key string) *store.Entry {
	if e := m.entries[key]; e != nil && !e.IsGone(time.Now().UnixMilli()) {
		return e
	}
	return nil
}

func drawKey(t *rapid.T) string {
	return rapid.SampledFrom([]string{"a", "ab", "abc", "b", "b:1", "b:2", "c", "\xff", "long" + strings.Repeat("k", 60)}).Draw(t, "key")
}

func drawTimes(t *rapid.T) store.Times {
	now := time.Now().UnixMilli()
	after := func(name string, least int) int64 {
		n := rapid.IntRange(least, 40).Draw(t, name)
		if n == 40 {
			return 0
		}
		return now + int64(n)*moment.Milliseconds() + moment.Milliseconds()/2
	}
	times := store.Times{Created: now, Fresh: after("fresh", -2), Gone: after("gone", -2)}
	if times.Gone != 0 && (times.Fresh == 0 || times.Fresh > times.Gone) {
		times.Fresh = times.Gone
	}
	return times
}

func drawEntry(t *rapid.T) *store.Entry {
	return &store.Entry{
		Value:    make([]byte, rapid.IntRange(0, 2000).Draw(t, "value")),
		Times:    drawTimes(t),
		Priority: store.Priority(rapid.IntRange(0, 6).Draw(t, "priority")), // 5 and 6 do not exist
		Tags:     rapid.SliceOfN(rapid.SampledFrom([]string{"t", "tag"}), 0, 3).Draw(t, "tags"),
		Deps:     rapid.SliceOfN(rapid.SampledFrom([]string{"d", "dep"}), 0, 3).Draw(t, "deps"),
		MemoSize: rapid.IntRange(-10, 500).Draw(t, "memo"),
	}
}

// actions are the operations of the store, each with what the model says about it.
func (m *model) actions() map[string]func(*rapid.T) {
	ctx := context.Background()
	keep := func(key string, e *store.Entry) {
		if e.IsGone(time.Now().UnixMilli()) {
			delete(m.entries, key)
			return
		}
		m.entries[key] = e
		m.seen = append(m.seen, e)
	}
	return map[string]func(*rapid.T){
		"Set": func(t *rapid.T) {
			key, e := drawKey(t), drawEntry(t)
			if err := m.s.Set(ctx, key, e); err != nil {
				t.Fatalf("Set: %v", err)
			}
			keep(key, e)
		},
		"Set too large": func(t *rapid.T) {
			key, e := drawKey(t), drawEntry(t)
			e.MemoSize = memstore.DefaultMaxEntryBytes
			e.Gone = 0
			if err := m.s.Set(ctx, key, e); !errors.Is(err, store.ErrTooLarge) {
				t.Fatalf("Set: %v, want store.ErrTooLarge", err)
			}
			delete(m.entries, key)
		},
		"Add": func(t *rapid.T) {
			key, e := drawKey(t), drawEntry(t)
			old := m.live(key)
			want := old == nil || !old.IsFresh(time.Now().UnixMilli())
			if ok, err := m.s.Add(ctx, key, e); ok != want || err != nil {
				t.Fatalf("Add = %v, %v, want %v", ok, err, want)
			}
			if want {
				keep(key, e)
			}
		},
		"Touch": func(t *rapid.T) {
			key, times := drawKey(t), drawTimes(t)
			seen := m.live(key)
			if seen == nil || rapid.IntRange(0, 3).Draw(t, "another") == 0 {
				if len(m.seen) == 0 {
					t.Skip("nobody has read anything")
				}
				seen = rapid.SampledFrom(m.seen).Draw(t, "seen")
			}
			want := m.live(key) == seen
			if ok, err := m.s.Touch(ctx, key, seen, times); ok != want || err != nil {
				t.Fatalf("Touch = %v, %v, want %v", ok, err, want)
			}
			if !want {
				return
			}
			if now := time.Now().UnixMilli(); times.Gone != 0 && now >= times.Gone {
				delete(m.entries, key)
				return
			}
			e := m.s.GetBorrowed([]byte(key))
			if e == nil || e == seen || e.Times != times || e.Priority != seen.Priority || e.Weight(key) != seen.Weight(key) {
				t.Fatalf("touched with %v: %+v", times, e)
			}
			keep(key, e)
		},
		"Incr": func(t *rapid.T) {
			key := drawKey(t)
			old := m.live(key)
			if old != nil && old.Flags&store.FlagCounter == 0 {
				if _, err := m.s.Incr(ctx, key, 1, nil); !errors.Is(err, store.ErrNotInteger) {
					t.Fatalf("Incr: %v, want store.ErrNotInteger", err)
				}
				return
			}
			create := &store.Entry{Value: []byte("7"), Flags: store.FlagCounter,
				Priority: store.Priority(rapid.IntRange(0, 4).Draw(t, "priority"))}
			want := int64(8)
			if old != nil {
				n, err := strconv.ParseInt(string(old.Value), 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				want = n + 1
			}
			if n, err := m.s.Incr(ctx, key, 1, create); n != want || err != nil {
				t.Fatalf("Incr = %d, %v, want %d", n, err, want)
			}
			// The counter that was made is the store's own. Under a tight bound it may be gone already.
			if e := m.s.GetBorrowed([]byte(key)); e != nil {
				keep(key, e)
			} else {
				e := create.WithTimes(create.Times)
				e.Value = strconv.AppendInt(nil, want, 10)
				if old != nil {
					e.Priority = old.Priority
				}
				keep(key, e)
			}
		},
		"Delete": func(t *rapid.T) {
			key := drawKey(t)
			want := 0
			if e := m.live(key); e != nil && e.IsFresh(time.Now().UnixMilli()) {
				want = 1
			}
			if n, err := m.s.Delete(ctx, key); n != want || err != nil {
				t.Fatalf("Delete = %d, %v, want %d", n, err, want)
			}
			delete(m.entries, key)
		},
		"Clear": func(t *rapid.T) {
			prefix := rapid.SampledFrom([]string{"", "a", "b", "b:", "none"}).Draw(t, "prefix")
			if err := m.s.Clear(ctx, prefix); err != nil {
				t.Fatalf("Clear: %v", err)
			}
			for k := range m.entries {
				if strings.HasPrefix(k, prefix) {
					delete(m.entries, k)
				}
			}
		},
		"wait": func(t *rapid.T) {
			pass(time.Duration(rapid.IntRange(1, 20).Draw(t, "moments")) * moment)
		},
		"": m.check,
	}
}

// check runs after each action.
func (m *model) check(t *rapid.T) {
	if err := m.s.Audit(); err != nil {
		t.Fatal(err)
	}
	var count, missing int
	var size, missingBytes int64
	for key, e := range m.entries {
		switch got := m.s.GetBorrowed([]byte(key)); {
		case m.live(key) == nil:
			if got != nil {
				t.Fatalf("%q is there %d ms after it went", key, time.Now().UnixMilli()-e.Gone)
			}
			delete(m.entries, key)
		case got == e:
			count++
			size += int64(e.Weight(key))
		case got == nil && m.bound > 0:
			missing++
			missingBytes += int64(e.Weight(key))
			m.checkRoom(t, e, key)
			delete(m.entries, key)
		default:
			t.Fatalf("%q: %p, want %p", key, got, e)
		}
	}
	if n, bytes := m.evictions.Swap(0), m.evictedBytes.Swap(0); n != int64(missing) || bytes != missingBytes {
		t.Fatalf("%d entries of %d bytes are missing, %d of %d are reported as evicted", missing, missingBytes, n, bytes)
	}
	// What has expired is counted until it is freed.
	if n, bytes := m.s.Size(); n < count || bytes < size {
		t.Fatalf("Size = %d entries of %d bytes, want at least %d of %d", n, bytes, count, size)
	}
}

// checkRoom checks that no entry of a lower priority has stayed in place of e, which was evicted: those
// below hold less than it, and the grain of the limits.
func (m *model) checkRoom(t *rapid.T, e *store.Entry, key string) {
	if below, most := m.s.Below(e.Priority), int64(e.Weight(key))+2*m.bound/128; below > most {
		t.Fatalf("%v is evicted, while %d bytes are of lower priorities, want at most %d", e.Priority, below, most)
	}
}

func TestModel(t *testing.T) {
	for _, bound := range []int64{0, 5000} {
		t.Run(fmt.Sprint("bound of ", bound), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				rapid.SyncTest(t, func(t *rapid.T) { runModel(t, bound) })
			})
		})
	}
}

func runModel(t *rapid.T, bound int64) {
	m := &model{bound: bound, entries: map[string]*store.Entry{}}
	s, err := memstore.New(memstore.Options{MaxBytes: bound, Observer: &event.Observer{Evict: func(e event.Evict) {
		m.evictions.Add(1)
		m.evictedBytes.Add(int64(e.Size))
	}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	m.s = s
	t.Repeat(m.actions())
	pass(10 * time.Second) // by then what expires within them has been freed
	m.check(t)
	var size int64
	for key, e := range m.entries {
		size += int64(e.Weight(key))
	}
	if n, bytes := s.Size(); n != len(m.entries) || bytes != size {
		t.Fatalf("in the end Size = %d entries of %d bytes, want %d of %d", n, bytes, len(m.entries), size)
	}
}
