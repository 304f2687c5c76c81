package stats_test

import (
	"fmt"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/stats"
)

func TestLogsHoldTheLastState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(t, stats.Options{})
		o, began := r.Observer(), time.Now()
		o.Log(event.Log{Cache: "b", State: event.LogSynced})
		o.Log(event.Log{Cache: "a", State: event.LogSynced})
		pass(time.Second)
		o.Log(event.Log{Cache: "a", State: event.LogBlind})
		want := []stats.Log{
			{Cache: "a", State: "blind", Since: began.Add(time.Second)},
			{Cache: "b", State: "synced", Since: began},
		}
		before := r.Snapshot()
		if !reflect.DeepEqual(before.Logs, want) {
			t.Errorf("got\n%+v\nwant\n%+v", before.Logs, want)
		}
		o.Log(event.Log{Cache: "a", State: event.LogFlushed})
		if before.Logs[0].State != "blind" {
			t.Error("a snapshot has changed")
		}
	})
}

func TestFiltersHoldTheLastState(t *testing.T) {
	at := func(s int) time.Duration { return time.Duration(s) * time.Second }
	for _, tc := range []struct {
		name   string
		events []event.Filter // one second apart
		want   stats.Filter
		since  time.Duration
	}{
		{
			"one change", []event.Filter{{State: event.FilterOpen, Capacity: 10}},
			stats.Filter{State: "open", Capacity: 10}, 0,
		},
		{
			"a self-check is no change of state",
			[]event.Filter{
				{State: event.FilterReady, Keys: 1, Capacity: 10},
				{State: event.FilterChecked, Keys: 2, Capacity: 10, FalsePositives: 0.01, FalseNegatives: 0.001},
			},
			stats.Filter{State: "ready", Keys: 2, Capacity: 10, FalsePositives: 0.01, FalseNegatives: 0.001}, 0,
		},
		{
			"a change does not undo what was measured",
			[]event.Filter{
				{State: event.FilterChecked, Keys: 2, Capacity: 10, FalsePositives: 0.01},
				{State: event.FilterBuilding, Keys: 0, Capacity: 20},
			},
			stats.Filter{State: "building", Capacity: 20, FalsePositives: 0.01}, at(1),
		},
		{
			"a change that was measured",
			[]event.Filter{
				{State: event.FilterReady},
				{State: event.FilterSaturated, FalsePositives: 0.5},
			},
			stats.Filter{State: "saturated", FalsePositives: 0.5}, at(1),
		},
		{
			"a later self-check finds no faults",
			[]event.Filter{
				{State: event.FilterReady},
				{State: event.FilterChecked, FalseNegatives: 0.5},
				{State: event.FilterChecked},
			},
			stats.Filter{State: "ready"}, 0,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, began := newRecorder(t, stats.Options{}), time.Now()
				for _, e := range tc.events {
					e.Name = "ids"
					r.Observer().Filter(e)
					pass(time.Second)
				}
				tc.want.Name, tc.want.Since = "ids", began.Add(tc.since)
				if got := r.Snapshot().Filters; !reflect.DeepEqual(got, []stats.Filter{tc.want}) {
					t.Errorf("got\n%+v\nwant\n%+v", got, tc.want)
				}
			})
		})
	}
}

func TestBreakersHoldTheLastState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(t, stats.Options{})
		o, began := r.Observer(), time.Now()
		o.Breaker(event.Breaker{Cache: "b", Open: true})
		o.Breaker(event.Breaker{Cache: "a", Open: true})
		pass(time.Second)
		o.Breaker(event.Breaker{Cache: "b"})
		want := []stats.Breaker{
			{Cache: "a", Open: true, Since: began},
			{Cache: "b", Since: began.Add(time.Second)},
		}
		before := r.Snapshot()
		if !reflect.DeepEqual(before.Breakers, want) {
			t.Errorf("got\n%+v\nwant\n%+v", before.Breakers, want)
		}
		o.Breaker(event.Breaker{Cache: "a"})
		if !before.Breakers[0].Open {
			t.Error("a snapshot has changed")
		}
		tallies := []stats.Tally{
			{Event: "breaker", Cache: "a", State: "closed", Count: 1},
			{Event: "breaker", Cache: "a", State: "open", Count: 1},
			{Event: "breaker", Cache: "b", State: "closed", Count: 1},
			{Event: "breaker", Cache: "b", State: "open", Count: 1},
		}
		if got := r.Snapshot().Events; !reflect.DeepEqual(got, tallies) {
			t.Errorf("got\n%+v\nwant\n%+v", got, tallies)
		}
	})
}

func TestStatusesAreBounded(t *testing.T) {
	for _, tc := range []struct {
		name      string
		max, kept int
	}{
		{"default", 0, stats.DefaultMaxSeries},
		{"two", 2, 2},
		{"none", -1, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRecorder(t, stats.Options{MaxSeries: tc.max})
			const n = stats.DefaultMaxSeries + 10
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(func() {
					for i := range n {
						r.Observer().Log(event.Log{Cache: fmt.Sprint("log", i), State: event.LogBlind})
						r.Observer().Filter(event.Filter{Name: fmt.Sprint("filter", i)})
						r.Observer().Breaker(event.Breaker{Cache: fmt.Sprint("breaker", i), Open: true})
					}
				})
			}
			wg.Wait()
			s := r.Snapshot()
			if len(s.Logs) != tc.kept || len(s.Filters) != tc.kept || len(s.Breakers) != tc.kept {
				t.Errorf("%d logs, %d filters and %d breakers, want %d", len(s.Logs), len(s.Filters), len(s.Breakers), tc.kept)
			}
			for _, name := range []string{stats.EventLog, stats.EventFilter, stats.EventBreaker} {
				if counted := s.Count(name); counted != 2*n {
					t.Errorf("%d events %s counted, want %d", counted, name, 2*n)
				}
			}
		})
	}
}
