package negative_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-cache/strata/core/guard/negative"
	"github.com/strata-cache/strata/core/store"
)

func open(t testing.TB, opts negative.Options) *negative.Set {
	t.Helper()
	s, err := negative.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// null is a null that is fresh until then; 0: for ever.
func null(until int64, tags ...string) *store.Entry {
	return &store.Entry{Times: store.Times{Fresh: until, Gone: until}, Flags: store.FlagNegative, Tags: tags}
}

func TestOptions(t *testing.T) {
	for _, tc := range []struct {
		name string
		opts negative.Options
		err  string // empty: none
		keys int    // how many of 20,000 it holds
	}{
		{"zero", negative.Options{}, "", negative.DefaultMaxKeys},
		{"few", negative.Options{MaxKeys: 3}, "", 3},
		{"one", negative.Options{MaxKeys: 1}, "", 1},
		{"off", negative.Options{MaxKeys: -1}, "", 0},
		{"bounded by bytes", negative.Options{MaxKeys: 100, MaxBytes: 10 * null(0).Weight("00000")}, "", 10},
		{"too many", negative.Options{MaxKeys: negative.LimitMaxKeys + 1}, "negative: MaxKeys", 0},
		{"negative bytes", negative.Options{MaxBytes: -1}, "negative: MaxBytes", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := negative.New(tc.opts)
			if tc.err != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tc.err) {
					t.Errorf("error %v, want %s…", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for i := range 20_000 {
				s.Set(fmt.Sprintf("%05d", i), null(0))
			}
			// The rest of a division by the number of shards is not used.
			if n := s.Len(); n > tc.keys || n < tc.keys-16 {
				t.Errorf("%d keys, want %d", n, tc.keys)
			}
			if last := s.Get("19999") != nil; last != (tc.keys > 0) {
				t.Errorf("the last one is there: %v", last)
			}
			if was := s.Delete("19999"); was != (tc.keys > 0) {
				t.Errorf("the last one was there: %v", was)
			}
			if s.Get("19999") != nil || s.GetBorrowed([]byte("19999")) != nil {
				t.Error("the last one is there still")
			}
			s.Clear("")
			if n := s.Len(); n != 0 {
				t.Errorf("%d keys after Clear", n)
			}
		})
	}
}

func TestANullHasItsTime(t *testing.T) {
	var now int64 = 1000
	s := open(t, negative.Options{Now: func() int64 { return now }})
	s.Set("short", null(1010))
	s.Set("ever", null(0))
	s.Set("stale", &store.Entry{Times: store.Times{Fresh: 1010, Gone: 2000}})
	s.Set("gone", &store.Entry{Times: store.Times{Gone: 1010}})
	for now = 1009; now <= 1010; now++ {
		for _, key := range []string{"short", "stale", "gone"} {
			if there := s.Get(key) != nil; there != (now < 1010) {
				t.Errorf("%s at %d: %v", key, now, there)
			}
		}
		if s.Get("ever") == nil {
			t.Errorf("the one without an end is gone at %d", now)
		}
	}
	if s.Delete("short", "stale", "gone") {
		t.Error("keys past their time were live")
	}
	if !s.Delete("missing", "ever", "missing") {
		t.Error("the one without an end was not live")
	}
	s.Set("late", null(1020))
	s.Set("late", null(1000)) // over already: the one before must not outlive it
	if s.Get("late") != nil || s.Len() != 0 {
		t.Errorf("a null that was replaced is there still, of %d", s.Len())
	}
}

func TestTheTimeIsTheSystemsByDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, negative.Options{})
		s.Set("k", null(time.Now().Add(time.Second).UnixMilli()))
		<-time.After(time.Second - time.Millisecond)
		if s.Get("k") == nil {
			t.Error("gone too early")
		}
		<-time.After(time.Millisecond)
		if s.Get("k") != nil {
			t.Error("there still")
		}
	})
}

func TestGetReturnsWhatWasSet(t *testing.T) {
	s := open(t, negative.Options{})
	one, two := null(0, "team:7"), null(0)
	one.Stamp = store.Position{Time: 1, Seq: 2}
	s.Set("k", one)
	if got := s.Get("k"); got != one {
		t.Errorf("got %+v", got)
	}
	s.Set("k", two)
	if got := s.GetBorrowed([]byte("k")); got != two || s.Len() != 1 {
		t.Errorf("got %+v of %d", got, s.Len())
	}
	if s.Get("") != nil || s.Get("kk") != nil || s.GetBorrowed(nil) != nil {
		t.Error("a null for another key")
	}
}

func TestClear(t *testing.T) {
	s := open(t, negative.Options{})
	for i := range 1000 {
		s.Set(fmt.Sprint("a:", i), null(0))
		s.Set(fmt.Sprint("b:", i), null(0))
	}
	s.Clear("a:")
	for i := range 1000 {
		if s.Get(fmt.Sprint("a:", i)) != nil || s.Get(fmt.Sprint("b:", i)) == nil {
			t.Fatalf("key %d", i)
		}
	}
	if s.Clear("b:1"); s.Len() != 1000-111 {
		t.Errorf("%d keys", s.Len())
	}
}

func TestDeleteFunc(t *testing.T) {
	var now int64 = 1
	s := open(t, negative.Options{Now: func() int64 { return now }})
	for i := range 1000 {
		s.Set(fmt.Sprint(i), null(int64(i%2)*2)) // every other one is over at 2
	}
	now = 2
	if n := s.DeleteFunc(func(key string) bool { return strings.HasPrefix(key, "1") }); n != 55 {
		t.Errorf("%d fresh keys deleted, want 55 of 111", n)
	}
	if n := s.Len(); n != 1000-111 || s.Get("10") != nil || s.Get("20") == nil {
		t.Errorf("%d keys left", n)
	}
}

func TestHeavyNulls(t *testing.T) {
	s := open(t, negative.Options{MaxKeys: 100, MaxBytes: 64 << 10})
	for _, tc := range []struct {
		name string
		key  string
		e    *store.Entry
		kept bool
	}{
		{"common", "common", null(0, "team:7"), true},
		{"long key", strings.Repeat("k", 15<<10), null(0), true},
		{"key over the limit", strings.Repeat("k", 16<<10), null(0), false},
		{"tag over the limit", "tag", null(0, strings.Repeat("t", 16<<10)), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s.Set(tc.key, tc.e)
			if kept := s.Get(tc.key) != nil; kept != tc.kept {
				t.Errorf("kept: %v", kept)
			}
		})
	}
	s.Set("common", null(0, strings.Repeat("t", 16<<10)))
	if s.Get("common") != nil {
		t.Error("the lighter null outlives the heavier one that replaced it")
	}
	small := open(t, negative.Options{MaxKeys: 10, MaxBytes: 1000})
	small.Set("k", null(0, strings.Repeat("t", 1000)))
	if small.Len() != 0 {
		t.Error("heavier than all that there is room for, and kept")
	}
}

// TestBytesAreBounded fills a set with keys as long as are kept.
func TestBytesAreBounded(t *testing.T) {
	const maxBytes = 1 << 20
	s := open(t, negative.Options{MaxKeys: 1000, MaxBytes: maxBytes})
	long := strings.Repeat("k", 12<<10)
	var keys []string
	for i := range 1000 {
		keys = append(keys, fmt.Sprint(long, i))
		s.Set(keys[i], null(0))
		s.Set(keys[i], null(0, long[:i])) // heavier than before
	}
	held := 0
	for _, key := range keys {
		if e := s.Get(key); e != nil {
			held += e.Weight(key)
		}
	}
	if held > maxBytes || held < maxBytes/2 {
		t.Errorf("%d bytes of %d", held, maxBytes)
	}
	few := open(t, negative.Options{MaxKeys: 100, MaxBytes: 1500})
	for i := range 4 {
		few.Set(keys[i][len(long):], null(0))
	}
	few.Set("3", null(0, long[:1000])) // there is no room for the others any more
	if few.Len() != 1 || few.Get("3") == nil {
		t.Errorf("%d keys", few.Len())
	}
}

func TestAllocs(t *testing.T) {
	s := open(t, negative.Options{})
	s.Set("there", null(0))
	there, missing := []byte("there"), []byte("missing")
	for name, f := range map[string]func(){
		"hit":              func() { s.Get("there") },
		"miss":             func() { s.Get("missing") },
		"borrowed hit":     func() { s.GetBorrowed(there) },
		"borrowed miss":    func() { s.GetBorrowed(missing) },
		"delete of nobody": func() { s.Delete("missing") },
	} {
		if n := testing.AllocsPerRun(1000, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
