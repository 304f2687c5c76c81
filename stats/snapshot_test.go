package stats_test

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/stats"
)

var update = flag.Bool("update", false, "write the golden files")

func TestSub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(t, stats.Options{})
		o, ctx := r.Observer(), context.Background()
		o.Call(ctx, hit("a"))
		o.Call(ctx, hit("idle"))
		o.Evict(event.Evict{Store: "m", Size: 10})
		o.Bypass(ctx, event.Bypass{Cache: "idle"})
		o.Log(event.Log{Cache: "default", State: event.LogSynced})
		o.Filter(event.Filter{Name: "ids", State: event.FilterReady})
		o.Breaker(event.Breaker{Cache: "default", Open: true})
		pass(time.Minute)
		prev := r.Snapshot()
		pass(10 * time.Second)
		o.Call(ctx, hit("a"))
		o.Call(ctx, event.Call{Cache: "default", Kind: "a", Outcome: event.OutcomeMiss, Took: time.Second})
		o.Call(ctx, hit("new"))
		o.Load(ctx, event.Load{Cache: "default", Kind: "a", Took: time.Second})
		o.Evict(event.Evict{Store: "m", Size: 5})
		now := r.Snapshot()
		d := now.Sub(prev)

		if prev.Window != time.Minute || d.Window != 10*time.Second || !d.Taken.Equal(now.Taken) {
			t.Errorf("windows %v and %v", prev.Window, d.Window)
		}
		want := []stats.Series{
			{Cache: "default", Kind: "a", Layer: "object", Counts: stats.Counts{
				Lookups: stats.Lookups{Hits: 1, Misses: 1, OtherTime: stats.Timing{Count: 1, Total: time.Second}},
				Loads:   stats.Loads{OK: 1, Time: time.Second},
			}},
			{Cache: "default", Kind: "new", Layer: "object", Counts: stats.Counts{Lookups: stats.Lookups{Hits: 1}}},
		}
		if !reflect.DeepEqual(d.Series, want) {
			t.Errorf("got\n%+v\nwant\n%+v", d.Series, want)
		}
		if want := []stats.Tally{{Event: "evict", Store: "m", Count: 1, Bytes: 5}}; !reflect.DeepEqual(d.Events, want) {
			t.Errorf("events %+v, want %+v", d.Events, want)
		}
		if !reflect.DeepEqual(d.Logs, now.Logs) || !reflect.DeepEqual(d.Filters, now.Filters) ||
			!reflect.DeepEqual(d.Breakers, now.Breakers) || len(d.Logs)+len(d.Filters)+len(d.Breakers) != 3 {
			t.Errorf("logs %+v, filters %+v, breakers %+v", d.Logs, d.Filters, d.Breakers)
		}
		if rate := d.Total().Lookups.HitRate(); rate != 2.0/3 {
			t.Errorf("hit rate of the window: %v", rate)
		}
		if d := now.Sub(now); len(d.Series) != 0 || len(d.Events) != 0 {
			t.Errorf("a snapshot less itself: %+v", d)
		}
		restarted := newRecorder(t, stats.Options{})
		restarted.Observer().Call(ctx, hit("a"))
		if d := restarted.Snapshot().Sub(now); d.Total().Lookups.Hits != 1 {
			t.Errorf("after a restart: %+v", d.Total())
		}
	})
}

func TestTotalAndSubReachEveryNumber(t *testing.T) {
	var one stats.Counts
	fill(reflect.ValueOf(&one).Elem(), 1)
	var two stats.Counts
	fill(reflect.ValueOf(&two).Elem(), 2)
	s := stats.Snapshot{Series: []stats.Series{{Kind: "a", Counts: one}, {Kind: "b", Counts: one}}}
	if got := s.Total(); got != two {
		t.Errorf("1 + 1 = %+v", got)
	}
	s = stats.Snapshot{Series: []stats.Series{{Kind: "a", Counts: two}}}
	if d := s.Sub(stats.Snapshot{Series: []stats.Series{{Kind: "a", Counts: one}}}); d.Total() != one {
		t.Errorf("2 - 1 = %+v", d)
	}
}

func fill(v reflect.Value, n int64) {
	for _, f := range v.Fields() {
		switch f.Kind() {
		case reflect.Struct:
			fill(f, n)
		case reflect.Uint64:
			f.SetUint(uint64(n))
		default:
			f.SetInt(n)
		}
	}
}

func TestSnapshotJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(t, stats.Options{})
		o, ctx := r.Observer(), context.Background()
		for range 3 {
			o.Call(ctx, hit("user"))
		}
		o.Call(ctx, event.Call{Cache: "default", Kind: "user", Outcome: event.OutcomeMiss, Took: 1500 * time.Microsecond})
		o.Load(ctx, event.Load{Cache: "default", Kind: "user", Took: time.Millisecond})
		o.Call(ctx, event.Call{Cache: "default", Op: event.OpSet})
		o.Call(ctx, event.Call{Cache: "default", Kind: "user", Outcome: event.OutcomeHit, Tier: 2})
		o.Call(ctx, event.Call{Cache: "default", Kind: "user", Outcome: event.OutcomeFiltered})
		o.Load(ctx, event.Load{Cache: "default", Kind: "user", Result: event.LoadOverload})
		o.Call(ctx, event.Call{Cache: "default", Op: event.OpInvalidate})
		pass(time.Minute)
		feedRareEvents(o)
		pass(time.Minute)
		s := r.Snapshot()
		for _, at := range []*time.Time{&s.Taken, &s.Logs[0].Since, &s.Filters[0].Since, &s.Breakers[0].Since} {
			*at = at.UTC()
		}
		got, err := json.MarshalIndent(s, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, '\n')
		golden := filepath.Join("testdata", "snapshot.json")
		if *update {
			if err := os.WriteFile(golden, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		var back stats.Snapshot
		if err := json.Unmarshal(got, &back); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(back, s) {
			t.Errorf("back from JSON: %+v", back)
		}
	})
}
