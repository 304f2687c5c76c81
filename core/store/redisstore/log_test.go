package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/redisstore"
)

func TestLog(t *testing.T) {
	t.Parallel()
	topologies(t, func(t *testing.T, open topology) {
		for name, run := range map[string]func(*testing.T, topology){
			"is not made without an Append":           logIsNotMade,
			"begins with an origin":                   logBeginsWithAnOrigin,
			"keeps every kind of item":                logKeepsItems,
			"deletes, records and stores":             logDeletesRecordsStores,
			"adds":                                    logAdds,
			"refuses what is too large":               logRefusesTooLarge,
			"behind its caller does nothing":          logBehindDoesNothing,
			"deleted is lost":                         logDeleted,
			"restored is lost":                        logRestored,
			"grows beyond the clock":                  logBeyondTheClock,
			"that lost its end's record grows beyond": logWithoutItsTail,
			"has a gap":                               logGap,
			"holds foreign records":                   logForeign,
			"takes many of everything":                logMany,
			"keeps its chain when it is cut":          logCut,
			"is waited for":                           logWaits,
			"of another type is an error":             logOfAnotherType,
		} {
			t.Run(name, func(t *testing.T) { run(t, open) })
		}
	})
}

func logIsNotMade(t *testing.T, open topology) {
	s := open(t, redisstore.Options{})
	s.set("k")
	s.lease("l", "token")
	if _, err := s.Delete(s.ctx, "k", "l"); err != nil {
		t.Fatal(err)
	}
	if records, err := s.ReadLog(s.ctx, store.Position{}, time.Millisecond); len(records) > 0 || err != nil {
		t.Errorf("ReadLog: %v, %v", records, err)
	}
	if first, last, err := s.LogEnds(s.ctx); !first.Position.IsZero() || !last.Position.IsZero() || err != nil {
		t.Errorf("LogEnds: %v, %v, %v", first, last, err)
	}
	a := s.append(store.Change{Delete: []string{"k"}, Set: []store.Item{{Key: "x", Entry: entry("v")}}}, store.Position{})
	if len(a.Records) > 0 || s.has("x") != "x" {
		t.Errorf("Append without items: %+v, %q", a, s.has("x"))
	}
	if s.exists("{log}") {
		t.Error("there is a log")
	}
}

func logBeginsWithAnOrigin(t *testing.T, open topology) {
	s := open(t, redisstore.Options{})
	a := s.append(invalidate("k"), store.Position{})
	if len(a.Records) != 2 || len(a.Records[0].Items) != 0 || len(a.Records[1].Items) != 1 || a.Gap {
		t.Fatalf("the first Append: %+v", a)
	}
	end := chained(t, store.Position{}, a.Records)
	b := s.append(invalidate("l"), end)
	if len(b.Records) != 1 {
		t.Fatalf("the second Append: %+v", b)
	}
	chained(t, end, b.Records)
	first, last, err := s.LogEnds(s.ctx)
	if err != nil || !reflect.DeepEqual(first, a.Records[0]) || !reflect.DeepEqual(last, b.Records[0]) {
		t.Errorf("LogEnds: %+v, %+v, %v", first, last, err)
	}
}

func logKeepsItems(t *testing.T, open topology) {
	s := open(t, redisstore.Options{})
	var items []store.Invalidation
	for kind := store.InvalidateKey; kind <= store.ReleaseTag; kind++ {
		items = append(items,
			store.Invalidation{Kind: kind, Name: "plain"},
			store.Invalidation{Kind: kind, Name: "\x00{%}\r\n\xff", Token: store.NewToken(), For: 1500 * time.Millisecond})
	}
	items = append(items, store.Invalidation{Kind: store.InvalidatePrefix})
	a := s.append(store.Change{Items: items}, store.Position{})
	if got := a.Records[1].Items; !reflect.DeepEqual(got, items) {
		t.Errorf("recorded were %+v, want %+v", got, items)
	}
	for _, wait := range []time.Duration{0, time.Minute} {
		read, err := s.ReadLog(s.ctx, store.Position{}, wait)
		if err != nil || !reflect.DeepEqual(read, a.Records) {
			t.Errorf("ReadLog with a wait of %v: %+v, %v, want %+v", wait, read, err, a.Records)
		}
	}
}

func logDeletesRecordsStores(t *testing.T, open topology) {
	s := open(t, redisstore.Options{})
	s.set("a", "b", "kept")
	if err := s.Set(s.ctx, "stale", &store.Entry{Times: store.Times{Fresh: 1}}); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"leased", "set", "other"} {
		s.lease(k, "token")
	}
	c := store.Change{
		Delete: []string{"a", "b", "stale", "missing", "leased", "both"},
		Items:  []store.Invalidation{{Kind: store.InvalidateTag, Name: "t"}},
		Set:    []store.Item{{Key: "set", Entry: entry("new")}, {Key: "both", Entry: entry("new")}, {Key: "kept", Entry: &store.Entry{Times: store.Times{Gone: 1}}}},
	}
	a := s.append(c, store.Position{})
	if a.Deleted != 2 || len(a.Failed) > 0 || a.Err != nil || len(a.Records) != 2 {
		t.Errorf("Append: %+v", a)
	}
	if have := s.has("a", "b", "stale", "set", "both", "kept"); have != "set both" {
		t.Errorf("afterwards there is %q", have)
	}
	for k, held := range map[string]bool{"leased": false, "set": false, "other": true} {
		if s.holds(k, "token") != held {
			t.Errorf("the lease on %q is held: %v", k, !held)
		}
	}
	if ttl := s.raw.PTTL(s.ctx, s.prefix+"set").Val(); ttl <= 0 || ttl > time.Hour {
		t.Errorf("what was set lives %v", ttl)
	}
}

func logAdds(t *testing.T, open topology) {
	s := open(t, redisstore.Options{})
	s.set("taken", "deleted")
	s.lease("free", "token")
	add := func(key string) store.Change {
		return store.Change{
			Delete: []string{"deleted"}, Add: &store.Item{Key: key, Entry: entry("added")},
			Items: []store.Invalidation{{Kind: store.InvalidateKey, Name: key}},
		}
	}
	if a := s.append(add("taken"), store.Position{}); a.Added || len(a.Records) > 0 || a.Deleted != 1 || !s.end().IsZero() {
		t.Errorf("Add over a fresh entry: %+v", a)
	}
	if a := s.append(add("free"), store.Position{}); !a.Added || len(a.Records) != 2 {
		t.Errorf("Add: %+v", a)
	}
	if s.has("free") == "" || s.holds("free", "token") {
		t.Error("the entry is not there, or the lease still is")
	}
	if err := s.Set(s.ctx, "stale", &store.Entry{Times: store.Times{Fresh: 1}}); err != nil {
		t.Fatal(err)
	}
	if a := s.append(add("stale"), s.end()); !a.Added || len(a.Records) != 1 {
		t.Errorf("Add over a stale entry: %+v", a)
	}
	for name, damage := range damages {
		s.set("damaged", "deleted")
		frame, err := s.raw.Get(s.ctx, s.prefix+"damaged").Result()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.raw.Set(s.ctx, s.prefix+"damaged", damage(frame), 0).Err(); err != nil {
			t.Fatal(err)
		}
		if a := s.append(add("damaged"), s.end()); !a.Added || len(a.Records) != 1 || a.Deleted != 1 {
			t.Errorf("Add over %s: %+v", name, a)
		}
		if s.has("damaged") == "" {
			t.Errorf("Add over %s: it is not there", name)
		}
	}
}

func logRefusesTooLarge(t *testing.T, open topology) {
	s := open(t, redisstore.Options{MaxEntryBytes: 300})
	s.set("old", "small")
	large := entry(strings.Repeat("x", 300))
	c := invalidate("old")
	c.Set = []store.Item{{Key: "old", Entry: large}, {Key: "small", Entry: entry("new")}}
	a := s.append(c, store.Position{})
	if !reflect.DeepEqual(a.Failed, []string{"old"}) || !errors.Is(a.Err, store.ErrTooLarge) || len(a.Records) != 2 {
		t.Errorf("Append: %+v", a)
	}
	if have := s.has("old", "small"); have != "small" {
		t.Errorf("afterwards there is %q", have)
	}
	end := s.end()
	c = invalidate("k")
	c.Add = &store.Item{Key: "k", Entry: large}
	if a, err := s.Append(s.ctx, c, end); a.Added || !errors.Is(err, store.ErrTooLarge) || s.end() != end {
		t.Errorf("Append of an Add: %+v, %v", a, err)
	}
	if _, err := s.Append(s.ctx, store.Change{Delete: []string{"small"}, Items: []store.Invalidation{{Name: "x"}}}, end); err == nil || s.has("small") == "" {
		t.Errorf("Append of an unknown kind: %v", err)
	}
}

func logGap(t *testing.T, open topology) {
	s := open(t, redisstore.Options{})
	s.append(invalidate("k"), store.Position{})
	begin := s.end()
	end := begin
	for range 199 {
		end = s.append(invalidate("k"), end).Records[0].Position
	}
	if a := s.append(invalidate("k"), begin); a.Gap || len(a.Records) != 200 {
		t.Errorf("200 records: gap %v, %d", a.Gap, len(a.Records))
	}
	before := s.end()
	a := s.append(invalidate("k"), begin)
	if !a.Gap || len(a.Records) != 1 || a.Records[0].Prev != before {
		t.Errorf("201 records: gap %v, %d", a.Gap, len(a.Records))
	}
}

func logForeign(t *testing.T, open topology) {
	s := open(t, redisstore.Options{})
	s.append(invalidate("k"), store.Position{})
	end := s.end()
	if err := s.raw.XAdd(s.ctx, &redis.XAddArgs{Stream: s.prefix + "{log}", Values: []any{"hello", "world"}}).Err(); err != nil {
		t.Fatal(err)
	}
	a := s.append(invalidate("k"), end)
	everything := []store.Invalidation{{Kind: store.InvalidatePrefix}}
	if len(a.Records) != 2 || !reflect.DeepEqual(a.Records[0].Items, everything) || a.Records[1].Prev != a.Records[0].Position {
		t.Errorf("Append after a foreign record: %+v", a)
	}
	read, err := s.ReadLog(s.ctx, end, time.Minute)
	if err != nil || !reflect.DeepEqual(read, a.Records) {
		t.Errorf("ReadLog: %+v, %v", read, err)
	}
}

func logMany(t *testing.T, open topology) {
	s := open(t, redisstore.Options{})
	const n = 2500
	var c store.Change
	var old []store.Item
	for i := range n {
		k := fmt.Sprint("k", i)
		old = append(old, store.Item{Key: k, Entry: entry("old")})
		c.Delete = append(c.Delete, k)
		c.Items = append(c.Items, store.Invalidation{Kind: store.HoldKey, Name: k, Token: store.NewToken(), For: time.Second})
		c.Set = append(c.Set, store.Item{Key: "new" + k, Entry: entry(strings.Repeat("x", 4000))})
	}
	if _, err := s.SetMany(s.ctx, old); err != nil {
		t.Fatal(err)
	}
	a := s.append(c, store.Position{})
	var items []store.Invalidation
	for _, r := range a.Records {
		items = append(items, r.Items...)
	}
	if a.Deleted != n || len(a.Failed) > 0 || !reflect.DeepEqual(items, c.Items) {
		t.Errorf("Append: deleted %d, failed %d, %d items in %d records, %v", a.Deleted, len(a.Failed), len(items), len(a.Records), a.Err)
	}
	chained(t, store.Position{}, a.Records)
	if have := s.has("k0", "k2499", "newk0", "newk2499"); have != "newk0 newk2499" {
		t.Errorf("afterwards there is %q", have)
	}
}

func logCut(t *testing.T, open topology) {
	s := open(t, redisstore.Options{LogLength: 150})
	var end store.Position
	for range 600 {
		a := s.append(invalidate("k"), end)
		end = chained(t, end, a.Records)
	}
	first, last, err := s.LogEnds(s.ctx)
	if err != nil || first.Prev.IsZero() || last.Position != end {
		t.Fatalf("LogEnds: %+v, %+v, %v", first, last, err)
	}
	at, n := first.Prev, 0
	for {
		records, err := s.ReadLog(s.ctx, at, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(records) == 0 {
			break
		}
		at, n = chained(t, at, records), n+len(records)
	}
	if at != end || n < 150 || n > 400 {
		t.Errorf("%d records up to %v, want about 150 up to %v", n, at, end)
	}
	// Who was away for longer sees it by the first record's Prev.
	if records, err := s.ReadLog(s.ctx, store.Position{Time: 5}, time.Minute); err != nil || records[0].Prev.Compare(store.Position{Time: 5}) <= 0 {
		t.Errorf("ReadLog: %+v, %v", records[:1], err)
	}
	uncut := open(t, redisstore.Options{LogLength: -1})
	for range 300 {
		uncut.append(invalidate("k"), store.Position{})
	}
	if n, err := uncut.raw.XLen(uncut.ctx, uncut.prefix+"{log}").Result(); n != 301 || err != nil {
		t.Errorf("a log that is not cut has %d records, %v", n, err)
	}
}

func logWaits(t *testing.T, open topology) {
	s := open(t, redisstore.Options{})
	end := chained(t, store.Position{}, s.append(invalidate("k"), store.Position{}).Records)
	start := time.Now()
	records, err := s.ReadLog(s.ctx, end, 30*time.Millisecond)
	if took := time.Since(start); len(records) > 0 || err != nil || took < 30*time.Millisecond {
		t.Errorf("ReadLog of nothing: %v, %v after %v", records, err, took)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	other := s.sibling(open)
	for i := range 3 {
		got := make(chan []store.Record, 2)
		for range 2 { // at the same time
			wg.Go(func() {
				records, err := s.ReadLog(s.ctx, end, patient)
				if err != nil {
					t.Errorf("ReadLog: %v", err)
				}
				got <- records
			})
		}
		a := other.append(invalidate(fmt.Sprint(i)), end)
		for range 2 {
			if records := <-got; !reflect.DeepEqual(records, a.Records) {
				t.Errorf("ReadLog: %+v, want %+v", records, a.Records)
			}
		}
		end = a.Records[0].Position
	}
	ctx, cancel := context.WithCancel(s.ctx)
	timer := time.AfterFunc(20*time.Millisecond, cancel)
	defer timer.Stop()
	start = time.Now()
	if _, err := s.ReadLog(ctx, end, patient); !errors.Is(err, context.Canceled) {
		t.Errorf("ReadLog that was cancelled: %v", err)
	}
	if took := time.Since(start); took > generous {
		t.Errorf("ReadLog that was cancelled took %v", took)
	}
	if _, err := s.ReadLog(ctx, end, patient); !errors.Is(err, context.Canceled) {
		t.Errorf("ReadLog with a cancelled context: %v", err)
	}
	a := s.append(invalidate("k"), end)
	if records, err := s.ReadLog(s.ctx, end, patient); err != nil || !reflect.DeepEqual(records, a.Records) {
		t.Errorf("ReadLog after one that was cancelled: %+v, %v", records, err)
	}
}

func logOfAnotherType(t *testing.T, open topology) {
	s := open(t, redisstore.Options{})
	if err := s.raw.Set(s.ctx, s.prefix+"{log}", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	s.set("k")
	c := invalidate("k")
	c.Delete = []string{"k"}
	if _, err := s.Append(s.ctx, c, store.Position{}); !errors.Is(err, store.ErrCorrupt) || s.has("k") == "" {
		t.Errorf("Append: %v", err)
	}
	for _, wait := range []time.Duration{0, time.Minute} {
		if _, err := s.ReadLog(s.ctx, store.Position{}, wait); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("ReadLog: %v", err)
		}
	}
	if _, _, err := s.LogEnds(s.ctx); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("LogEnds: %v", err)
	}
}
