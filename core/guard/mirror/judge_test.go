package mirror

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/store"
)

func entry(stamp uint64) *store.Entry { return &store.Entry{Stamp: at(stamp), Value: []byte("v")} }

func tagged(stamp uint64, tags ...string) *store.Entry {
	return &store.Entry{Stamp: at(stamp), Tags: tags}
}

func built(stamp uint64, deps ...string) *store.Entry {
	return &store.Entry{Stamp: at(stamp), Deps: deps}
}

func TestJudge(t *testing.T) {
	stored := &store.Entry{Stamp: at(5), Value: []byte("new"), Times: store.Times{Created: 77}}
	tokened := store.Invalidation{Kind: store.InvalidateKey, Name: "s:1:k", Token: stored.Token()}
	const k = "s:1:k"
	for _, c := range []struct {
		name    string
		records [][]store.Invalidation // at 10, 20, 30, …
		key     string
		e       *store.Entry
		want    Verdict
	}{
		{"nothing is known", nil, k, entry(0), Valid},
		{"key, older", [][]store.Invalidation{{key(k)}}, k, entry(9), Invalid},
		{"key, at the record", [][]store.Invalidation{{key(k)}}, k, entry(10), Valid},
		{"key, another one", [][]store.Invalidation{{key("s:1:k2")}}, k, entry(9), Valid},
		{"key of another scope", [][]store.Invalidation{{key("x:1:k")}}, "x:1:k", entry(9), Valid},
		{"key, negative entry", [][]store.Invalidation{{key(k)}}, k, &store.Entry{Stamp: at(9), Flags: store.FlagNegative}, Invalid},
		{"key, counter", [][]store.Invalidation{{key(k)}}, k, &store.Entry{Flags: store.FlagCounter}, Valid},
		{"token, the entry that was stored", [][]store.Invalidation{{tokened}}, k, stored, Valid},
		{"token, other times", [][]store.Invalidation{{tokened}}, k, stored.WithTimes(store.Times{Created: 77, Fresh: 1}), Valid},
		{"token, another entry", [][]store.Invalidation{{tokened}}, k, entry(9), Invalid},
		{"token, then the key", [][]store.Invalidation{{tokened}, {key(k)}}, k, stored, Invalid},
		{"the key, then token", [][]store.Invalidation{{key(k)}, {tokened}}, k, stored, Valid},
		{"all, then token", [][]store.Invalidation{{of(store.InvalidatePrefix, "")}, {tokened}}, k, stored, Valid},
		{"token, then all", [][]store.Invalidation{{tokened}, {of(store.InvalidatePrefix, "")}}, k, stored, Invalid},
		{"prefix, then token", [][]store.Invalidation{{of(store.InvalidatePrefix, "s:1:")}, {tokened}}, k, stored, Valid},
		{"token, then prefix", [][]store.Invalidation{{tokened}, {of(store.InvalidatePrefix, "s:1:")}}, k, stored, Invalid},
		{"change, the key itself", [][]store.Invalidation{{of(store.ChangeKey, k)}}, k, entry(9), Valid},
		{"change, a dependent", [][]store.Invalidation{{of(store.ChangeKey, k)}}, "s:1:p", built(9, k), Invalid},
		{"change, a later dependent", [][]store.Invalidation{{of(store.ChangeKey, k)}}, "s:1:p", built(10, k), Valid},
		{"key, a dependent", [][]store.Invalidation{{key(k)}}, "s:1:p", built(9, "s:1:o", k), Invalid},
		{"token, a dependent", [][]store.Invalidation{{tokened}}, "s:1:p", built(9, k), Invalid},
		{"drop, the key itself", [][]store.Invalidation{{of(store.DropKey, k)}}, k, entry(0), Valid},
		{"drop, a dependent", [][]store.Invalidation{{of(store.DropKey, k)}}, "s:1:p", built(0, k), Valid},
		{"tag, older", [][]store.Invalidation{{tag("s:a")}}, k, tagged(9, "b", "a"), Invalid},
		{"tag, newer", [][]store.Invalidation{{tag("s:a")}}, k, tagged(10, "b", "a"), Valid},
		{"tag, another one", [][]store.Invalidation{{tag("s:a")}}, k, tagged(9, "b"), Valid},
		{"tag of another scope", [][]store.Invalidation{{tag("x:a")}}, k, tagged(9, "a"), Valid},
		{"expired tag", [][]store.Invalidation{{of(store.ExpireTag, "s:a")}}, k, tagged(9, "a"), Stale},
		{"expired tag, newer", [][]store.Invalidation{{of(store.ExpireTag, "s:a")}}, k, tagged(10, "a"), Valid},
		{"tag, then expired", [][]store.Invalidation{{tag("s:a")}, {of(store.ExpireTag, "s:a")}}, k, tagged(9, "a"), Invalid},
		{"tag, stored, expired", [][]store.Invalidation{{tag("s:a")}, {of(store.ExpireTag, "s:a")}}, k, tagged(10, "a"), Stale},
		{"one tag expired, another invalid", [][]store.Invalidation{{of(store.ExpireTag, "s:a"), tag("s:b")}}, k, tagged(9, "a", "b"), Invalid},
		{"prefix, older", [][]store.Invalidation{{of(store.InvalidatePrefix, "s:1:")}}, k, entry(9), Invalid},
		{"prefix, newer", [][]store.Invalidation{{of(store.InvalidatePrefix, "s:1:")}}, k, entry(10), Valid},
		{"prefix, another one", [][]store.Invalidation{{of(store.InvalidatePrefix, "s:2:")}}, k, entry(9), Valid},
		{"prefix twice", [][]store.Invalidation{{of(store.InvalidatePrefix, "s:1:")}, {of(store.InvalidatePrefix, "s:1:")}}, k, entry(19), Invalid},
		{"prefix, a dependent", [][]store.Invalidation{{of(store.InvalidatePrefix, "s:1:")}}, "s:2:p", built(9, k), Invalid},
		{"prefix within an area, a dependent of the area", [][]store.Invalidation{{of(store.InvalidatePrefix, "s:1:user:4")}}, "s:2:p", built(9, "s:1:user:"), Invalid},
		{"prefix within an area, of another area", [][]store.Invalidation{{of(store.InvalidatePrefix, "s:1:user:4")}}, "s:2:p", built(9, "s:1:team:"), Valid},
		{"all", [][]store.Invalidation{{of(store.InvalidatePrefix, "")}}, "anything", entry(9), Invalid},
		{"all, newer", [][]store.Invalidation{{of(store.InvalidatePrefix, "")}}, "anything", entry(10), Valid},
		{"all, a counter", [][]store.Invalidation{{of(store.InvalidatePrefix, "")}}, "anything", &store.Entry{Flags: store.FlagCounter}, Valid},
		{"all, then a prefix", [][]store.Invalidation{{of(store.InvalidatePrefix, "")}, {of(store.InvalidatePrefix, "s:1:")}}, k, entry(15), Invalid},
		{"a prefix, then all", [][]store.Invalidation{{of(store.InvalidatePrefix, "s:1:")}, {of(store.InvalidatePrefix, "")}}, k, entry(15), Invalid},
		{"area", [][]store.Invalidation{{key("s:1:user:4")}}, "s:1:p", built(9, "s:1:user:"), Invalid},
		{"area, newer", [][]store.Invalidation{{key("s:1:user:4")}}, "s:1:p", built(10, "s:1:user:"), Valid},
		{"area, another one", [][]store.Invalidation{{key("s:1:user:4")}}, "s:1:p", built(9, "s:1:team:"), Valid},
		{"area, changed", [][]store.Invalidation{{of(store.ChangeKey, "s:1:user:4")}}, "s:1:p", built(9, "s:1:user:"), Invalid},
		{"namespace", [][]store.Invalidation{{key("s:1:user:4")}}, "s:1:p", built(9, "s:1:"), Invalid},
		{"namespace, another one", [][]store.Invalidation{{key("s:1:user:4")}}, "s:1:p", built(9, "s:2:"), Valid},
		{"held key", [][]store.Invalidation{{of(store.HoldKey, k)}}, k, entry(9), Invalid},
		{"held key, a dependent", [][]store.Invalidation{{of(store.HoldKey, k)}}, "s:1:p", built(9, k), Invalid},
		{"held tag", [][]store.Invalidation{{of(store.HoldTag, "s:a")}}, k, tagged(9, "a"), Invalid},
		{"released key", [][]store.Invalidation{{of(store.ReleaseKey, k)}}, k, entry(9), Valid},
		{"released tag", [][]store.Invalidation{{of(store.ReleaseTag, "s:a")}}, k, tagged(9, "a"), Valid},
		{"a kind of a newer version", [][]store.Invalidation{{of(99, "?")}}, k, entry(9), Invalid},
		{"no kind at all", [][]store.Invalidation{{of(0, "")}}, k, entry(9), Invalid},
		{"the second item of a record", [][]store.Invalidation{{tag("s:x"), key(k)}}, k, entry(9), Invalid},
		{"an earlier record", [][]store.Invalidation{{key(k)}, {tag("s:x")}, {key("s:1:y")}}, k, entry(9), Invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := New(Options{Scope: "s:"})
			chain(t, m, c.records...)
			for range 2 { // the second time it may have been found valid before
				if got := m.Judge(c.key, c.e, true); got != c.want {
					t.Fatalf("judged %d, want %d", got, c.want)
				}
				if got := c.e.CheckedAt(m.Current()); got != (c.want == Valid && c.e.Flags&store.FlagCounter == 0) {
					t.Fatalf("checked: %v", got)
				}
			}
		})
	}
}

func TestWhatWasCheckedIsJudgedAgainAfterEveryRecord(t *testing.T) {
	m := New(Options{})
	e := entry(0)
	for i, change := range []func(){
		func() { chain(t, m, items(key("other"))) },
		func() { m.Local(key("other")) },
		func() { m.Doubt(key("other")) },
		func() { m.Reset(m.Applied(), store.Position{}, store.Position{}) },
		func() { m.SetBlind(true); m.SetBlind(false) },
	} {
		if m.Judge("k", e, true) != Valid || !e.CheckedAt(m.Current()) {
			t.Fatalf("%d: not valid before", i)
		}
		change()
		if e.CheckedAt(m.Current()) {
			t.Errorf("%d: still counts as checked", i)
		}
	}
}

func TestFloors(t *testing.T) {
	for _, c := range []struct {
		name         string
		hard, labels uint64
		e            *store.Entry
		want         Verdict
	}{
		{"hard, older", 50, 0, entry(49), Invalid},
		{"hard, at it", 50, 0, entry(50), Valid},
		{"hard, negative", 50, 0, &store.Entry{Stamp: at(49), Flags: store.FlagNegative}, Invalid},
		{"hard, without a stamp", 50, 0, entry(0), Invalid},
		{"labels, a plain entry", 0, 50, entry(0), Valid},
		{"labels, with a tag", 0, 50, tagged(49, "a"), Invalid},
		{"labels, with a tag, at it", 0, 50, tagged(50, "a"), Valid},
		{"labels, with a dep", 0, 50, built(49, "d"), Invalid},
		{"labels, with an area", 0, 50, built(49, "a:1:k:"), Invalid},
		{"labels, with a dep, at it", 0, 50, built(50, "d"), Valid},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := New(Options{})
			m.Reset(at(60), at(c.hard), at(c.labels))
			if got := m.Judge("k", c.e, true); got != c.want {
				t.Errorf("judged %d, want %d", got, c.want)
			}
			m.Reset(at(60), store.Position{}, store.Position{})
			if got := m.Judge("k", c.e, true); got != c.want {
				t.Errorf("after a Reset without floors judged %d, want %d: floors never sink", got, c.want)
			}
		})
	}
}

func TestAnOriginIsAFloor(t *testing.T) {
	m := New(Options{})
	if err := m.Apply(store.Record{Position: at(10)}, store.Record{Position: at(20), Prev: at(10)}); err != nil {
		t.Fatal(err)
	}
	if m.Judge("k", entry(9), true) != Invalid || m.Judge("k", entry(10), true) != Valid {
		t.Error("what is older than the origin is not known to be valid, the rest is")
	}
}

func TestForgettingRaisesTheFloors(t *testing.T) {
	const names = 128
	m := New(Options{Names: names})
	var records [][]store.Invalidation
	for i := range 20 * names {
		records = append(records, items(tag(fmt.Sprint("t", i)), of(store.ChangeKey, fmt.Sprint("k", i))))
	}
	chain(t, m, records...)
	for i := range records {
		stamp := uint64(10*i + 9) // before record i
		if m.Judge("x", tagged(stamp, fmt.Sprint("t", i)), true) != Invalid {
			t.Fatalf("an entry with the tag of record %d is judged valid", i)
		}
		if m.Judge("x", built(stamp, fmt.Sprint("k", i)), true) != Invalid {
			t.Fatalf("a dependent of the key of record %d is judged valid", i)
		}
	}
	now := m.Applied().Time
	if m.Judge("x", tagged(now, "t0"), true) != Valid || m.Judge("x", built(now, "k0"), true) != Valid {
		t.Error("a new entry is judged invalid")
	}
	if m.Judge("x", entry(0), true) != Valid {
		t.Error("an entry without tags and deps is judged by what was forgotten about tags and deps")
	}
}

func TestManyPrefixesAndAreas(t *testing.T) {
	m := New(Options{})
	var records [][]store.Invalidation
	for i := range maxPrefixes + 10 {
		records = append(records, items(of(store.InvalidatePrefix, fmt.Sprintf("p%d:", i))))
	}
	chain(t, m, records...)
	for i := range records {
		if m.Judge(fmt.Sprintf("p%d:x", i), entry(uint64(10*i+9)), true) != Invalid {
			t.Fatalf("the %dth prefix is forgotten", i)
		}
	}
	if m.Judge("p0:x", entry(m.Applied().Time), true) != Valid {
		t.Error("a new entry is judged invalid")
	}
	records = nil
	first := m.Applied().Time
	for i := range maxAreas {
		records = append(records, items(key(fmt.Sprintf("a:%d:k:x", i))))
	}
	chain(t, m, records...)
	for i := range records {
		if m.Judge("x", built(first+uint64(10*i+9), fmt.Sprintf("a:%d:", i)), true) != Invalid {
			t.Fatalf("the %dth area is forgotten", i)
		}
	}
}

func TestDoubt(t *testing.T) {
	m := New(Options{})
	chain(t, m, items(tag("x")), items(tag("x"))) // 20
	m.Doubt(key("k"), tag("a"), of(store.InvalidatePrefix, "p:"))
	if m.Applied() != at(20) {
		t.Error("a doubt is no place in the log")
	}
	for _, c := range []struct {
		key string
		e   *store.Entry
	}{{"k", entry(20)}, {"x", tagged(20, "a")}, {"p:x", entry(20)}, {"y", built(20, "k")}} {
		if m.Judge(c.key, c.e, true) != Invalid {
			t.Errorf("%s is judged valid", c.key)
		}
	}
	chain(t, m, items(tag("x")))
	if m.Judge("k", entry(30), true) != Valid {
		t.Error("what was loaded after the next record is judged invalid")
	}
	if m.Judge("k", entry(20), true) != Invalid {
		t.Error("the doubt has gone")
	}
}

func TestBlind(t *testing.T) {
	c := &clock{milli: 1000}
	m := New(Options{Degraded: 5 * time.Second, Now: c.now})
	old := entry(0)
	old.Created = 500
	m.Confirm() // at 1000
	if m.Judge("k", old, false) != Valid {
		t.Fatal("not valid while it sees")
	}
	m.SetBlind(true)
	if !m.Blind() || old.CheckedAt(m.Current()) {
		t.Fatal("an entry is valid by having been checked")
	}
	young := entry(0)
	young.Created = 4000
	for _, s := range []struct {
		milli int64
		e     *store.Entry
		front bool
		want  Verdict
	}{
		{5999, old, true, Valid}, {5999, old, false, Valid},
		{6000, old, true, Invalid}, {6000, old, false, Invalid},
		{8999, young, true, Valid}, {8999, young, false, Invalid},
		{9000, young, true, Invalid},
	} {
		c.milli = s.milli
		if got := m.Judge("k", s.e, s.front); got != s.want {
			t.Errorf("at %d, created %d, front %v: %d, want %d", s.milli, s.e.Created, s.front, got, s.want)
		}
		if s.e.CheckedAt(m.Current()) {
			t.Error("checked while blind")
		}
	}
	m.SetBlind(false)
	if m.Judge("k", old, false) != Valid {
		t.Error("not valid when it sees again")
	}
}

func TestBlindKnowsInvalidations(t *testing.T) {
	m := New(Options{})
	m.Confirm()
	m.SetBlind(true)
	chain(t, m, items(key("k"), of(store.ExpireTag, "a")))
	if m.Judge("k", entry(9), true) != Invalid || m.Judge("x", tagged(9, "a"), true) != Stale {
		t.Error("a blind mirror forgets")
	}
}

func TestConfirmationsDoNotGoBack(t *testing.T) {
	c := &clock{milli: 1000}
	m := New(Options{Degraded: time.Second, Now: c.now})
	m.confirmAt(3000)
	m.confirmAt(2000)
	m.SetBlind(true)
	c.milli = 3500
	if m.Judge("k", entry(0), false) != Valid {
		t.Error("an older confirmation has taken the place of a newer one")
	}
}

func TestHolds(t *testing.T) {
	c := &clock{milli: 1000}
	one, two := store.NewToken(), store.NewToken()
	hold := func(kind store.InvalidationKind, name string, token store.Token, d time.Duration) store.Invalidation {
		return store.Invalidation{Kind: kind, Name: name, Token: token, For: d}
	}
	m := New(Options{Scope: "s:", Now: c.now})
	held := func(want bool, what string) {
		t.Helper()
		if m.Held("s:k", nil) != want {
			t.Error(what)
		}
	}
	held(false, "held from the start")
	chain(t, m, items(hold(store.HoldKey, "s:k", one, time.Second)))
	held(true, "not held")
	if m.Held("s:other", []string{"k", "s:k"}) {
		t.Error("another key is held")
	}
	chain(t, m, items(hold(store.HoldKey, "s:k", two, 2*time.Second)), items(hold(store.ReleaseKey, "s:k", one, 0)))
	held(true, "the release of one hold has ended another")
	chain(t, m, items(hold(store.ReleaseKey, "s:k", one, 0)))
	held(true, "a second release has ended another")
	c.milli = 3000
	held(false, "a hold does not end by itself")
	if m.holds.any.Load() {
		t.Error("ended holds are looked up")
	}
	chain(t, m, items(hold(store.HoldKey, "s:k", one, time.Second)))
	c.milli += 900
	chain(t, m, items(hold(store.HoldKey, "s:k", one, time.Second)))
	c.milli += 900
	held(true, "a hold cannot be renewed")
	chain(t, m, items(hold(store.ReleaseKey, "s:k", one, 0)))
	held(false, "held after its release")

	chain(t, m, items(hold(store.HoldTag, "s:a", one, time.Second)))
	if !m.Held("s:k", []string{"b", "a"}) || m.Held("s:k", []string{"b"}) {
		t.Error("holds of tags")
	}
	chain(t, m, items(hold(store.ReleaseTag, "s:a", one, 0)))
	if m.Held("s:k", []string{"a"}) {
		t.Error("held after its release")
	}
	chain(t, m, items(hold(store.HoldKey, "x:k", one, time.Second)))
	if m.Held("x:k", nil) {
		t.Error("a hold of another scope counts")
	}
	chain(t, m, items(hold(store.HoldKey, "s:k", one, 1000*time.Hour)))
	c.milli += maxHold.Milliseconds()
	held(false, "a hold lasts for longer than any may")
}

func TestTooManyHolds(t *testing.T) {
	c := &clock{milli: 1000}
	m := New(Options{Now: c.now})
	list := make([]store.Invalidation, maxHolds+1)
	for i := range list {
		list[i] = store.Invalidation{Kind: store.HoldKey, Name: fmt.Sprint(i), Token: store.NewToken(), For: time.Second}
	}
	list[maxHolds].For = 2 * time.Second
	chain(t, m, list)
	if !m.Held("whatever", nil) {
		t.Error("a hold that found no room holds nothing")
	}
	c.milli += 2000
	if m.Held("whatever", nil) {
		t.Error("held for ever")
	}
	chain(t, m, items(store.Invalidation{Kind: store.HoldKey, Name: "k", For: time.Second}))
	if m.holds.n > 2 {
		t.Errorf("%d holds are kept that have ended", m.holds.n)
	}
}

func TestApplyKeepsToTheChain(t *testing.T) {
	var told []store.Invalidation
	m := New(Options{Applied: func(list []store.Invalidation) { told = append(told, list...) }})
	m.Reset(at(1), store.Position{}, store.Position{})
	a := store.Record{Position: at(10), Prev: at(1), Items: items(key("a"))}
	b := store.Record{Position: at(20), Prev: at(10), Items: items(key("b"))}
	d := store.Record{Position: at(40), Prev: at(30), Items: items(key("d"))}
	if err := m.Apply(a, b, d); err != ErrGap {
		t.Errorf("a gap: %v", err)
	}
	if m.Applied() != at(20) || m.Judge("b", entry(19), true) != Invalid || m.Judge("d", entry(39), true) != Valid {
		t.Error("those before the gap count, and no other")
	}
	if err := m.Apply(a, b); err != nil || m.Applied() != at(20) {
		t.Errorf("applied again: %v, at %v", err, m.Applied())
	}
	if err := m.Apply(); err != nil {
		t.Error(err)
	}
	if !slices.Equal(told, items(key("a"), key("b"))) {
		t.Errorf("told %v", told)
	}
}

func TestReplayDoesNotTakeBack(t *testing.T) {
	m := New(Options{})
	records := []store.Record{
		{Position: at(10), Prev: at(1), Items: items(key("a:b:c:d"), tag("t"), of(store.InvalidatePrefix, "p:"))},
		{Position: at(20), Prev: at(10), Items: items(key("a:b:c:d"), tag("t"), of(store.InvalidatePrefix, "p:"))},
	}
	m.Reset(at(1), store.Position{}, store.Position{})
	if err := m.Apply(records...); err != nil {
		t.Fatal(err)
	}
	m.Reset(at(1), store.Position{}, store.Position{})
	if err := m.Apply(records[0]); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		key string
		e   *store.Entry
	}{
		{"a:b:c:d", entry(15)}, {"x", tagged(15, "t")}, {"p:x", entry(15)}, {"x", built(15, "a:b:c:")}, {"x", built(15, "a:b:c:d")},
	} {
		if m.Judge(c.key, c.e, true) != Invalid {
			t.Errorf("%s: what was known is not any more", c.key)
		}
	}
}

func TestLocal(t *testing.T) {
	told := 0
	m := New(Options{Applied: func([]store.Invalidation) { told++ }})
	was := m.Applied()
	e := &store.Entry{Stamp: was}
	if m.Judge("k", e, true) != Valid {
		t.Fatal("not valid")
	}
	now := m.Local(key("k"))
	if !before(was, now) || m.Applied() != now || told != 1 {
		t.Errorf("from %v to %v, at %v, told %d times", was, now, m.Applied(), told)
	}
	if m.Judge("k", e, true) != Invalid || m.Judge("k", &store.Entry{Stamp: now}, true) != Valid {
		t.Error("a local record does not count")
	}
}

func TestAreas(t *testing.T) {
	for _, c := range []struct {
		name            string
		area, namespace string
		isArea          bool
	}{
		{"p:1:user:42", "p:1:user:", "p:1:", false},
		{"p:1:user:", "p:1:user:", "p:1:", true},
		{"p:1:", "", "p:1:", true},
		{"p:1:user:4:", "p:1:user:", "p:1:", false},
		{"p:", "", "", false},
		{"p", "", "", false},
		{"", "", "", false},
		{":::", ":::", "::", true},
	} {
		if Area(c.name) != c.area || Namespace(c.name) != c.namespace || IsArea(c.name) != c.isArea {
			t.Errorf("%q: %q, %q, %v", c.name, Area(c.name), Namespace(c.name), IsArea(c.name))
		}
	}
}
