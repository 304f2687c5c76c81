package tiered_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/memstore"
	"github.com/strata-cache/strata/core/store/tiered"
)

var ctx = context.Background()

func lifetime(fresh, gone time.Duration) store.Times {
	now := time.Now()
	return store.Times{Created: now.UnixMilli(), Fresh: now.Add(fresh).UnixMilli(), Gone: now.Add(gone).UnixMilli()}
}

func entry(value string) *store.Entry {
	return &store.Entry{Value: []byte(value), Times: lifetime(time.Hour, 2*time.Hour)}
}

func stale(value string, since time.Duration) *store.Entry {
	return &store.Entry{Value: []byte(value), Times: lifetime(-since, time.Hour)}
}

// in is the value that one tier has itself, "" for none.
func in(s store.Store, key string) string {
	e, err := s.Get(ctx, key)
	if err != nil {
		return ""
	}
	return string(e.Value)
}

// three is a store of three tiers, the lower two of which can fail.
type three struct {
	*tiered.Store
	l1     *memstore.Store
	l2, l3 *chaos
	errs   []string
}

func newThree(t *testing.T) *three {
	t.Helper()
	x := &three{l1: memory(t), l2: newChaos(t), l3: newChaos(t)}
	opts := tiers(x.l1, x.l2, x.l3)
	opts.OnError = func(tier int, op string, err error) {
		if !errors.Is(err, errChaos) {
			t.Errorf("tier %d: %s: %v", tier, op, err)
		}
		x.errs = append(x.errs, []string{"L1 ", "L2 ", "L3 "}[tier-1]+op)
	}
	x.Store = open(t, opts)
	return x
}

func (x *three) want(t *testing.T, key, l1, l2, l3 string) {
	t.Helper()
	got := []string{in(x.l1, key), in(x.l2.Store, key), in(x.l3.Store, key)}
	if want := []string{l1, l2, l3}; !slices.Equal(got, want) {
		t.Errorf("%q is %q in the tiers, want %q", key, got, want)
	}
}

// failing fails the named operations, all of them without a name.
func failing(ops ...string) func(string) fault {
	return func(op string) fault {
		if len(ops) == 0 || slices.Contains(ops, op) {
			return before
		}
		return fine
	}
}

func TestSetStopsWhereItFails(t *testing.T) {
	for _, tt := range []struct {
		name       string
		l2, l3     func(string) fault
		l1, b2, b3 string
		failed     bool
	}{
		{"nothing fails", nil, nil, "new", "new", "new", false},
		{"L2 fails", failing(), nil, "", "old", "new", true},
		{"L3 fails", nil, failing(), "", "old", "old", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for verb, set := range map[string]func(s *tiered.Store) error{
				"Set": func(s *tiered.Store) error { return s.Set(ctx, "k", entry("new")) },
				"SetMany": func(s *tiered.Store) error {
					failed, err := s.SetMany(ctx, []store.Item{{Key: "k", Entry: entry("new")}})
					if (err != nil) != slices.Equal(failed, []string{"k"}) {
						t.Errorf("failed: %q", failed)
					}
					return err
				},
			} {
				x := newThree(t)
				must(t, x.Set(ctx, "k", entry("old")))
				x.l2.decide, x.l3.decide = tt.l2, tt.l3
				if err := set(x.Store); errors.Is(err, errChaos) != tt.failed || err != nil && !strings.HasPrefix(err.Error(), "tiered: L") {
					t.Errorf("%s: %v", verb, err)
				}
				x.want(t, "k", tt.l1, tt.b2, tt.b3)
			}
		})
	}
}

func TestWhatATierRefusesForGoodIsNowhere(t *testing.T) {
	for _, at := range []int{1, 2} {
		stores := []store.Store{memory(t), memory(t), memory(t)}
		small, err := memstore.New(memstore.Options{MaxEntryBytes: 2000})
		must(t, err)
		stores[at] = small
		s := open(t, tiers(stores...))
		must(t, s.Set(ctx, "k", entry("old")))
		if err := s.Set(ctx, "k", entry(strings.Repeat("x", 3000))); !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("Set: %v", err)
		}
		for i, l := range stores {
			if v := in(l, "k"); v != "" {
				t.Errorf("refused by L%d: L%d has %q", at+1, i+1, v[:3])
			}
		}
	}
	t.Run("by the first one, it is only not there", func(t *testing.T) {
		small, err := memstore.New(memstore.Options{MaxEntryBytes: 2000})
		must(t, err)
		l2 := memory(t)
		s := open(t, tiers(small, l2))
		must(t, s.Set(ctx, "k", entry("old")))
		large := strings.Repeat("x", 3000)
		must(t, s.Set(ctx, "k", entry(large)))
		if in(small, "k") != "" || in(s, "k") != large {
			t.Errorf("%q in the first, %q", in(small, "k"), in(s, "k"))
		}
	})
}

func TestDeleteTriesAllTiers(t *testing.T) {
	for _, tt := range []struct {
		name       string
		l2, l3     func(string) fault
		l1, b2, b3 string
	}{
		{"L2 fails", failing("delete", "clear"), nil, "", "v", ""},
		{"L3 fails", nil, failing("delete", "clear"), "", "", "v"},
		{"both fail", failing("delete", "clear"), failing("delete", "clear"), "", "v", "v"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for verb, remove := range map[string]func(s *tiered.Store) error{
				"Delete": func(s *tiered.Store) error { _, err := s.Delete(ctx, "k"); return err },
				"Clear":  func(s *tiered.Store) error { return s.Clear(ctx, "") },
			} {
				x := newThree(t)
				must(t, x.Set(ctx, "k", entry("v")))
				x.l2.decide, x.l3.decide = tt.l2, tt.l3
				if err := remove(x.Store); !errors.Is(err, errChaos) {
					t.Errorf("%s: %v", verb, err)
				}
				x.want(t, "k", tt.l1, tt.b2, tt.b3)
			}
		})
	}
}

// TestOrder: every write begins at the bottom, so that nothing old comes up behind it.
func TestOrder(t *testing.T) {
	x := newThree(t)
	var seen []string
	note := func(tier string) func(string, ...string) {
		return func(op string, _ ...string) { seen = append(seen, tier+" "+op) }
	}
	x.l2.ops, x.l3.ops = note("L2"), note("L3")
	must(t, x.Set(ctx, "k", entry("v")))
	_, err := x.Delete(ctx, "k")
	must(t, err)
	must(t, x.Clear(ctx, ""))
	_, err = x.SetMany(ctx, []store.Item{{Key: "k", Entry: entry("v")}})
	must(t, err)
	want := []string{"L3 set", "L2 set", "L3 delete", "L2 delete", "L3 clear", "L2 clear", "L3 set", "L2 set"}
	if !slices.Equal(seen, want) {
		t.Errorf("%q, want %q", seen, want)
	}
}

func TestReadsAreFilledUpwards(t *testing.T) {
	x := newThree(t)
	e := entry("v")
	must(t, x.l3.Store.Set(ctx, "k", e))
	got, tier, err := x.GetValid(ctx, "k", nil)
	must(t, err)
	x.want(t, "k", "v", "v", "v")
	if got != e || tier != 3 || x.Peek([]byte("k")) != e {
		t.Errorf("%p in tier %d, want %p", got, tier, e)
	}
	must(t, x.l3.Store.Set(ctx, "many", e))
	if got, err := x.GetMany(ctx, []string{"many", "nothing", "k"}); err != nil || got[0] != e || got[1] != nil || got[2] != e {
		t.Errorf("GetMany = %v, %v", got, err)
	}
	x.want(t, "many", "v", "v", "v")
}

func TestTheFreshestIsServed(t *testing.T) {
	for _, tt := range []struct {
		name       string
		l1, l2, l3 *store.Entry
		want       string
		tier       int
	}{
		{"fresh first", entry("1"), entry("2"), entry("3"), "1", 1},
		{"stale above fresh", stale("1", 2), entry("2"), entry("3"), "2", 2},
		{"stale above stale above fresh", stale("1", 2), stale("2", 1), entry("3"), "3", 3},
		{"the least stale", stale("1", time.Hour), stale("2", time.Minute), stale("3", 2*time.Hour), "2", 2},
		{"alike", stale("1", time.Hour), stale("2", time.Hour), nil, "1", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := newThree(t)
			for i, s := range []store.Store{x.l1, x.l2.Store, x.l3.Store} {
				if e := []*store.Entry{tt.l1, tt.l2, tt.l3}[i]; e != nil {
					must(t, s.Set(ctx, "k", e))
				}
			}
			for range 2 {
				e, tier, err := x.GetValid(ctx, "k", nil)
				must(t, err)
				if string(e.Value) != tt.want || tier > tt.tier {
					t.Errorf("%q in tier %d, want %q in tier %d", e.Value, tier, tt.want, tt.tier)
				}
			}
		})
	}
}

func TestFailuresBelow(t *testing.T) {
	t.Run("with a value from elsewhere they are reported", func(t *testing.T) {
		x := newThree(t)
		must(t, x.l3.Store.Set(ctx, "k", entry("v")))
		x.l2.decide = failing()
		if v := in(x, "k"); v != "v" {
			t.Errorf("%q", v)
		}
		if got, err := x.GetMany(ctx, []string{"k"}); err != nil || string(got[0].Value) != "v" {
			t.Errorf("GetMany = %v, %v", got, err)
		}
		x.want(t, "k", "v", "", "v") // it is not asked to store either
		if want := []string{"L2 get"}; !slices.Equal(x.errs, want) {
			t.Errorf("reported: %q, want %q", x.errs, want)
		}
	})
	t.Run("with a stale value they are reported", func(t *testing.T) {
		x := newThree(t)
		must(t, x.l1.Set(ctx, "k", stale("v", time.Minute)))
		x.l2.decide, x.l3.decide = failing(), failing()
		if v := in(x, "k"); v != "v" || !slices.Equal(x.errs, []string{"L2 get", "L3 get"}) {
			t.Errorf("%q, reported: %q", v, x.errs)
		}
	})
	t.Run("with nothing they are returned", func(t *testing.T) {
		x := newThree(t)
		x.l2.decide = failing()
		_, err := x.Get(ctx, "k")
		if !errors.Is(err, errChaos) || errors.Is(err, store.ErrMiss) || len(x.errs) != 0 {
			t.Errorf("%v, reported: %q", err, x.errs)
		}
		must(t, x.l1.Set(ctx, "j", entry("v")))
		got, err := x.GetMany(ctx, []string{"k", "j"})
		if !errors.Is(err, errChaos) || got[0] != nil || got[1] == nil {
			t.Errorf("GetMany = %v, %v", got, err)
		}
	})
	t.Run("of a copy upwards they are reported", func(t *testing.T) {
		x := newThree(t)
		must(t, x.l3.Store.Set(ctx, "k", entry("v")))
		x.l2.decide = failing("add", "set")
		if v := in(x, "k"); v != "v" || !slices.Equal(x.errs, []string{"L2 set"}) {
			t.Errorf("%q, reported: %q", v, x.errs)
		}
		x.want(t, "k", "v", "", "v")
	})
}

func TestCaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l1, l2 := memory(t), memory(t)
		s := open(t, tiered.Options{Tiers: []tiered.Tier{{Store: l1, MaxTTL: time.Minute}, {Store: l2}}})
		long, short := entry("long"), &store.Entry{Value: []byte("short"), Times: lifetime(time.Second, time.Minute)}
		forever := &store.Entry{Value: []byte("forever")}
		long.Refresh = long.Fresh - 1
		for k, e := range map[string]*store.Entry{"long": long, "short": short, "forever": forever} {
			must(t, s.Set(ctx, k, e))
			if got := in(l2, k); got != k {
				t.Errorf("L2 has %q under %q", got, k)
			}
		}
		if e := s.Peek([]byte("short")); e != short {
			t.Error("an entry that ends in time was copied")
		}
		end := time.Now().Add(time.Minute).UnixMilli()
		for _, tt := range []struct {
			name        string
			e           *store.Entry
			fresh, gone int64
		}{{"long", long, end, end}, {"forever", forever, 0, end}} {
			got, want := s.Peek([]byte(tt.name)), tt.e.Times
			want.Fresh, want.Gone = tt.fresh, tt.gone
			if got == tt.e || got.Times != want || got.Refresh != tt.e.Refresh {
				t.Errorf("%s: %v, want %v", tt.name, got.Times, want)
			}
		}
		<-time.After(61 * time.Second)
		if s.Peek([]byte("long")) != nil {
			t.Error("L1 keeps a copy beyond MaxTTL")
		}
		e, tier, err := s.GetValid(ctx, "long", nil)
		must(t, err)
		if again := s.Peek([]byte("long")); tier != 2 || again != e || again.Gone != time.Now().Add(time.Minute).UnixMilli() {
			t.Errorf("%v in tier %d, then %v", e.Times, tier, again)
		}
		toucher, _ := store.As[store.Toucher](s)
		times := long.Times
		times.Gone += 5000
		if ok, err := toucher.Touch(ctx, "long", e, times); !ok || err != nil {
			t.Errorf("Touch of a shortened copy = %v, %v", ok, err)
		}
		if got, _ := l2.Get(ctx, "long"); got.Times != times {
			t.Errorf("L2 has %v, want %v", got.Times, times)
		}
	})
}

func TestJitterOnlyShortens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, tiered.Options{Tiers: []tiered.Tier{
			{Store: memory(t), MaxTTL: 1000 * time.Second, Jitter: 0.25}, {Store: memory(t)},
		}})
		now, different := time.Now(), map[int64]bool{}
		for range 200 {
			must(t, s.Set(ctx, "k", entry("v")))
			e := s.Peek([]byte("k"))
			if left := time.UnixMilli(e.Gone).Sub(now); left > 1000*time.Second || left < 750*time.Second {
				t.Fatalf("it lives for %v", left)
			}
			different[e.Gone] = true
			if got, _ := s.Get(ctx, "k"); got != e {
				t.Fatal("a read made another copy")
			}
		}
		if len(different) < 100 {
			t.Errorf("%d different lives of 200", len(different))
		}
	})
}

func TestCountersLiveInOneTier(t *testing.T) {
	x := newThree(t)
	n := func(v string) *store.Entry {
		return &store.Entry{Value: []byte(v), Flags: store.FlagCounter}
	}
	must(t, x.Set(ctx, "k", entry("v")))
	must(t, x.Set(ctx, "k", n("5")))
	x.want(t, "k", "", "5", "")
	if got, err := x.Incr(ctx, "k", 2, nil); got != 7 || err != nil {
		t.Errorf("Incr = %d, %v", got, err)
	}
	must(t, x.l1.Set(ctx, "k", n("1"))) // leftovers
	must(t, x.l3.Store.Set(ctx, "k", n("1")))
	if v := in(x, "k"); v != "7" {
		t.Errorf("Get = %q", v)
	}
	if _, err := x.l2.Store.Delete(ctx, "k"); err != nil {
		t.Fatal(err)
	}
	if v := in(x, "k"); v != "" {
		t.Errorf("Get = %q of a leftover", v)
	}
	must(t, x.l3.Store.Set(ctx, "entry", entry("v")))
	if _, err := x.Incr(ctx, "entry", 1, n("0")); !errors.Is(err, store.ErrNotInteger) {
		t.Errorf("Incr of an entry below: %v", err)
	}
	if ok, err := x.Add(ctx, "added", n("1")); !ok || err != nil {
		t.Errorf("Add = %v, %v", ok, err)
	}
	x.want(t, "added", "", "1", "")
}

func TestAddSeesWhatIsBelow(t *testing.T) {
	x := newThree(t)
	must(t, x.l3.Store.Set(ctx, "k", entry("below")))
	if ok, err := x.Add(ctx, "k", entry("v")); ok || err != nil {
		t.Errorf("Add = %v, %v", ok, err)
	}
	must(t, x.l3.Store.Set(ctx, "stale", stale("below", time.Minute)))
	if ok, err := x.Add(ctx, "stale", entry("v")); !ok || err != nil {
		t.Errorf("Add = %v, %v", ok, err)
	}
	x.want(t, "stale", "v", "v", "v")
	x.l3.decide = failing("set")
	if ok, err := x.Add(ctx, "half", entry("v")); ok || !errors.Is(err, errChaos) {
		t.Errorf("Add = %v, %v", ok, err)
	}
	x.want(t, "half", "", "", "")
}

func TestTouchReachesAllTiers(t *testing.T) {
	x := newThree(t)
	e := entry("v")
	must(t, x.Set(ctx, "k", e))
	soon := lifetime(time.Minute, time.Minute)
	if ok, err := x.Touch(ctx, "k", e, soon); !ok || err != nil {
		t.Errorf("Touch = %v, %v", ok, err)
	}
	for i, s := range []store.Store{x.l2.Store, x.l3.Store} {
		if got, err := s.Get(ctx, "k"); err != nil || got.Times != soon {
			t.Errorf("L%d: %+v, %v", i+2, got, err)
		}
	}
	must(t, x.Set(ctx, "k", e))
	x.l3.decide = failing("touch")
	if ok, err := x.Touch(ctx, "k", e, soon); !ok || err != nil {
		t.Errorf("Touch = %v, %v", ok, err)
	}
	x.want(t, "k", "", "v", "") // what does not follow is removed
}

func TestClose(t *testing.T) {
	l1, l2 := memory(t), memory(t)
	opts := tiers(l1, l2)
	opts.Keep = true
	s := open(t, opts)
	must(t, s.Set(ctx, "k", entry("v")))
	must(t, s.Close())
	if s.Peek([]byte("k")) != nil || in(l1, "k") != "v" || in(l2, "k") != "v" {
		t.Error("Keep does not keep, or the closed store answers")
	}
	s = open(t, tiers(l1, l2))
	must(t, s.Close())
	for i, l := range []store.Store{l1, l2} {
		if _, err := l.Get(ctx, "k"); !errors.Is(err, store.ErrClosed) {
			t.Errorf("L%d is open: %v", i+1, err)
		}
	}
}

func TestHitsDoNotAllocate(t *testing.T) {
	s := open(t, tiers(memory(t), memory(t)))
	must(t, s.Set(ctx, "key", entry("v")))
	key := []byte("key")
	for name, f := range map[string]func(){
		"Peek":       func() { s.Peek(key) },
		"Peek, miss": func() { s.Peek(key[:2]) },
		"Get":        func() { _, _ = s.Get(ctx, "key") },
	} {
		if n := testing.AllocsPerRun(1000, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}
