package redisstore_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/codec"
	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/redisstore"
)

// TestExpiryOnTheServer looks at the PTTL that each way of writing leaves.
func TestExpiryOnTheServer(t *testing.T) {
	s := newSpace(t, redisstore.Options{})
	writes := map[string]func(key string, times store.Times) error{
		"Set": func(key string, times store.Times) error {
			return s.Set(s.ctx, key, &store.Entry{Times: times})
		},
		"SetMany": func(key string, times store.Times) error {
			_, err := s.SetMany(s.ctx, []store.Item{{Key: key, Entry: &store.Entry{Times: times}}})
			return err
		},
		"Add": func(key string, times store.Times) error {
			_, err := s.Add(s.ctx, key, &store.Entry{Times: times})
			return err
		},
		"Touch": func(key string, times store.Times) error {
			e := entry("v")
			s.set(key, e)
			_, err := s.Touch(s.ctx, key, e, times)
			return err
		},
		"Set of a counter": func(key string, times store.Times) error {
			return s.Set(s.ctx, key, counter("1", times))
		},
		"Incr": func(key string, times store.Times) error {
			_, err := s.Incr(s.ctx, key, 1, counter("1", times))
			return err
		},
	}
	lives := []struct {
		name string
		life time.Duration // 0 for ever, negative for gone
	}{
		{"for ever", 0},
		{"gone", -time.Minute},
		{"below a second", 789 * time.Millisecond},
		{"no whole second", 61_234 * time.Millisecond},
		{"whole seconds", 61 * time.Second},
		{"a century", 100 * 365 * 24 * time.Hour},
	}
	for how, write := range writes {
		for _, l := range lives {
			t.Run(how+" "+l.name, func(t *testing.T) {
				// On a machine that stalls, what is left says nothing: then it is tried again.
				for range 20 {
					start := time.Now()
					var times store.Times
					if l.life != 0 {
						times.Gone = start.Add(l.life).UnixMilli()
						times.Fresh = times.Gone
					}
					key := how + l.name
					if err := write(key, times); err != nil {
						t.Fatal(err)
					}
					left, err := s.raw.PTTL(s.ctx, s.prefix+key).Result()
					took := time.Since(start) + 2*time.Millisecond
					switch {
					case err != nil:
						t.Fatal(err)
					case l.life == 0 && left == -1, l.life < 0 && left == -2:
						return
					case l.life <= 0:
						t.Fatalf("PTTL is %v", left)
					case took > l.life/2 || took > 200*time.Millisecond:
						continue
					case left > l.life+took || left < l.life-took:
						t.Fatalf("PTTL is %v after %v, want %v", left, took, l.life)
					}
					return
				}
				t.Fatal("the machine is too slow to measure")
			})
		}
	}
}

// TestGoneBeforeTheServerNoticed: an entry past Gone is a miss to every operation, even if the server
// keeps it for a moment.
func TestGoneBeforeTheServerNoticed(t *testing.T) {
	s := newSpace(t, redisstore.Options{})
	e := &store.Entry{Value: []byte("v"), Times: lifetime(-time.Second)}
	frame, err := codec.AppendFrame(nil, "k", e)
	if err != nil {
		t.Fatal(err)
	}
	s.plant("k", frame)
	if _, err := s.Get(s.ctx, "k"); !errors.Is(err, store.ErrMiss) {
		t.Errorf("Get: %v", err)
	}
	if got, err := s.GetMany(s.ctx, []string{"k"}); len(got) != 1 || got[0] != nil || err != nil {
		t.Errorf("GetMany = %v, %v", got, err)
	}
	if ok, err := s.Touch(s.ctx, "k", e, lifetime(time.Hour)); ok || err != nil {
		t.Errorf("Touch = %v, %v", ok, err)
	}
	if n, err := s.Delete(s.ctx, "k"); n != 0 || err != nil {
		t.Errorf("Delete = %d, %v", n, err)
	}
	s.plant("k", frame)
	if ok, err := s.Add(s.ctx, "k", entry("new")); !ok || err != nil {
		t.Errorf("Add = %v, %v", ok, err)
	}
}

func TestFarthestInstants(t *testing.T) {
	s := newSpace(t, redisstore.Options{})
	for _, end := range []int64{math.MaxInt64, math.MaxInt64 - 1, 1 << 53, time.Now().UnixMilli() + 1<<42} {
		e := &store.Entry{Value: []byte("v"), Times: store.Times{Fresh: end, Gone: end}}
		s.set("k", e)
		if got, err := s.Get(s.ctx, "k"); err != nil || got.Times != e.Times {
			t.Errorf("Gone %d: Get = %+v, %v", end, got, err)
		}
		if ok, err := s.Add(s.ctx, "k", entry("other")); ok || err != nil {
			t.Errorf("Gone %d: Add = %v, %v, want false", end, ok, err)
		}
		if n, err := s.Delete(s.ctx, "k"); n != 1 || err != nil {
			t.Errorf("Gone %d: Delete = %d, %v, want 1", end, n, err)
		}
		if _, err := s.Incr(s.ctx, "n", 1, counter("0", e.Times)); err != nil {
			t.Errorf("Gone %d: Incr: %v", end, err)
		}
	}
	past := &store.Entry{Times: store.Times{Fresh: math.MinInt64}}
	s.set("k", past)
	if ok, err := s.Add(s.ctx, "k", entry("other")); !ok || err != nil {
		t.Errorf("Add over an entry that has always been stale = %v, %v", ok, err)
	}
}

func TestEntriesBeyondTheLimit(t *testing.T) {
	const limit = 2000
	s := newSpace(t, redisstore.Options{MaxEntryBytes: limit})
	largest := entry("")
	largest.Value = make([]byte, limit-codec.FrameSize("k", largest))
	over := entry(string(largest.Value) + "v")
	labels := entry("v")
	labels.Tags = make([]string, codec.MaxLabels+1)
	writes := map[string]func(e *store.Entry) error{
		"Set": func(e *store.Entry) error { return s.Set(s.ctx, "k", e) },
		"SetMany": func(e *store.Entry) error {
			failed, err := s.SetMany(s.ctx, []store.Item{{Key: "a", Entry: entry("a")}, {Key: "k", Entry: e}, {Key: "b", Entry: entry("b")}})
			if err != nil && (len(failed) != 1 || failed[0] != "k") {
				t.Errorf("failed is %q, want k", failed)
			}
			s.want("a", "a")
			s.want("b", "b")
			return err
		},
		"Add": func(e *store.Entry) error {
			old := entry("stale")
			old.Fresh = 1
			s.set("k", old)
			_, err := s.Add(s.ctx, "k", e)
			return err
		},
	}
	for name, write := range writes {
		t.Run(name, func(t *testing.T) {
			if err := write(largest); err != nil {
				t.Errorf("an entry of exactly the limit: %v", err)
			}
			s.want("k", string(largest.Value))
			if err := write(over); !errors.Is(err, store.ErrTooLarge) || !strings.HasPrefix(err.Error(), "redisstore: ") {
				t.Errorf("one byte more: %v, want store.ErrTooLarge", err)
			}
			if _, err := s.Get(s.ctx, "k"); !errors.Is(err, store.ErrMiss) {
				t.Errorf("the older entry outlives the refused write: %v", err)
			}
			s.set("k", entry("v"))
			if err := s.Set(s.ctx, "k", labels); err == nil {
				t.Error("an entry with too many tags was stored")
			}
			if _, err := s.Get(s.ctx, "k"); !errors.Is(err, store.ErrMiss) {
				t.Errorf("the older entry outlives the refused write: %v", err)
			}
		})
	}
	closed := newSpace(t, redisstore.Options{MaxEntryBytes: limit})
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	if err := closed.Set(s.ctx, "k", over); !errors.Is(err, store.ErrTooLarge) || !errors.Is(err, store.ErrClosed) {
		t.Errorf("a refused Set that cannot remove the older entry: %v, want both reasons", err)
	}

	s.set("fresh", entry("v"))
	if ok, err := s.Add(s.ctx, "fresh", over); ok || err != nil {
		t.Errorf("Add of a large entry over a fresh one = %v, %v: it would not have been stored anyway", ok, err)
	}
	s.want("fresh", "v")

	tenMiB := entry(strings.Repeat("v", 10<<20))
	if err := newSpace(t, redisstore.Options{}).Set(s.ctx, "k", tenMiB); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("10 MiB with the default limit: %v", err)
	}
	free := newSpace(t, redisstore.Options{MaxEntryBytes: -1})
	free.set("k", tenMiB)
	free.want("k", string(tenMiB.Value))
}
