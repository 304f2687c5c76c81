package mirror

import (
	"slices"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/store"
)

func TestRecentIsBounded(t *testing.T) {
	for _, c := range []struct {
		name        string
		limit, each int
		want        int // records that are left of 100
	}{
		{"nothing", 0, 1, 0},
		{"records", 10, 1, 10},
		{"items", 10, 40, 4},
		{"a record of more than all", 10, 1000, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := recent{limit: c.limit}
			for i := range uint64(100) {
				h.add(store.Record{Position: at(i + 1), Prev: at(i), Items: make([]store.Invalidation, c.each)})
			}
			if len(h.records) != c.want || h.items != c.want*c.each {
				t.Fatalf("%d records with %d items, want %d", len(h.records), h.items, c.want)
			}
			if c.want > 0 && h.records[c.want-1].Position != at(100) {
				t.Error("the newest is gone")
			}
			h.cut(0)
			if len(h.records) != 0 || h.items != 0 {
				t.Error("not empty")
			}
		})
	}
}

func TestSameRecords(t *testing.T) {
	r := store.Record{Position: at(2), Prev: at(1), Items: items(store.Invalidation{Kind: store.HoldKey, Name: "k", Token: store.Token{1}, For: time.Second})}
	for _, c := range []struct {
		name   string
		change func(r *store.Record)
		want   bool
	}{
		{"equal", func(*store.Record) {}, true},
		{"rounded", func(r *store.Record) { r.Items[0].For++ }, true},
		{"position", func(r *store.Record) { r.Position.Seq++ }, false},
		{"prev", func(r *store.Record) { r.Prev.Seq++ }, false},
		{"kind", func(r *store.Record) { r.Items[0].Kind++ }, false},
		{"name", func(r *store.Record) { r.Items[0].Name = "l" }, false},
		{"token", func(r *store.Record) { r.Items[0].Token[0]++ }, false},
		{"number", func(r *store.Record) { r.Items = nil }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			other := r
			other.Items = append([]store.Invalidation(nil), r.Items...)
			c.change(&other)
			if same(r, other) != c.want {
				t.Errorf("same: %v", !c.want)
			}
		})
	}
}

func TestFollowOptions(t *testing.T) {
	for _, c := range []struct {
		name        string
		in          FollowOptions
		beat, blind time.Duration
	}{
		{"none", FollowOptions{}, time.Second, 3 * time.Second},
		{"negative", FollowOptions{Heartbeat: -1, Blind: -1, Buffer: -1}, time.Second, 3 * time.Second},
		{"heartbeat", FollowOptions{Heartbeat: 100 * time.Millisecond}, 100 * time.Millisecond, 300 * time.Millisecond},
		{"blind sooner than a heartbeat comes", FollowOptions{Blind: time.Millisecond}, time.Second, 2 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := c.in.withDefaults()
			if o.Heartbeat != c.beat || o.Blind != c.blind || o.Buffer != DefaultBuffer || o.Logger == nil {
				t.Errorf("%+v", o)
			}
		})
	}
}

func TestRestate(t *testing.T) {
	one := store.Token{1}
	hold := store.Invalidation{Kind: store.HoldTag, Name: "t", Token: one, For: time.Second}
	release := store.Invalidation{Kind: store.ReleaseTag, Name: "t", Token: one}
	stored := store.Invalidation{Kind: store.InvalidateKey, Name: "k", Token: one}
	rec := func(n uint64, list ...store.Invalidation) store.Record {
		return store.Record{Position: at(n), Items: list}
	}
	for _, c := range []struct {
		name         string
		ours, theirs []store.Record
		want         []store.Invalidation // applied was 100
	}{
		{"what is lost", []store.Record{rec(90, key("k"))}, nil, items(key("k"))},
		{"once", []store.Record{rec(90, key("k")), rec(91, key("k"))}, []store.Record{rec(80, key("k"))}, items(key("k"))},
		{"what they say behind us", []store.Record{rec(90, key("k"))}, []store.Record{rec(101, key("k"))}, nil},
		{"what they say before us", []store.Record{rec(90, key("k"))}, []store.Record{rec(80, tag("t"))}, items(key("k"), tag("t"))},
		{"what they say at our place", nil, []store.Record{rec(100, tag("t"))}, items(tag("t"))},
		{"without exceptions", []store.Record{rec(90, stored)}, nil, items(key("k"))},
		{"what they say with an exception", []store.Record{rec(90, key("k"))}, []store.Record{rec(101, stored)}, items(key("k"))},
		{"a hold", []store.Record{rec(90, hold)}, nil, items(hold)},
		{"a hold that they have released", []store.Record{rec(90, hold)}, []store.Record{rec(101, release)}, items(tag("t"))},
	} {
		t.Run(c.name, func(t *testing.T) {
			if p := restate(c.ours, c.theirs, at(100)); !slices.Equal(p.items, c.want) {
				t.Errorf("%v, want %v", p.items, c.want)
			}
		})
	}
}
