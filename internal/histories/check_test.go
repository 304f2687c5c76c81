package histories_test

import (
	"slices"
	"testing"
	"time"

	"github.com/strata-cache/strata/internal/histories"
)

// at is an instant: the n-th, at n milliseconds.
func at(n uint64) histories.Stamp {
	return histories.Stamp{Seq: n, Time: time.Duration(n) * time.Millisecond}
}

func read(process int, begin, end, version uint64) histories.Read {
	return histories.Read{Process: process, Begin: at(begin), End: at(end), Via: "Get", Version: version, Newest: 9}
}

func nothing(process int, begin, end uint64) histories.Read {
	r := read(process, begin, end, 0)
	r.Missing = true
	return r
}

func ended(process int, begin, end, version uint64) histories.Barrier {
	return histories.Barrier{Process: process, Begin: at(begin), End: at(end), Via: "Delete", Version: version}
}

func put(process int, begin, end, version uint64) histories.Barrier {
	b := ended(process, begin, end, version)
	b.Via, b.Put = "Set", true
	return b
}

func lost(b histories.Barrier) histories.Barrier {
	b.Lost = true
	return b
}

func TestCheck(t *testing.T) {
	type reads = []histories.Read
	type barriers = []histories.Barrier
	other := read(1, 30, 31, 1)
	other.Key = 1
	for name, c := range map[string]struct {
		reads    reads
		barriers barriers
		lag      uint64
		bad      int
		lags     []uint64
	}{
		"nothing happened":                    {},
		"older, before any invalidation":      {reads: reads{read(1, 1, 2, 3), read(1, 3, 4, 1)}},
		"from the future":                     {reads: reads{read(1, 1, 2, 10)}, bad: 1},
		"older, own invalidation":             {reads: reads{read(1, 21, 22, 4)}, barriers: barriers{ended(1, 10, 20, 5)}, bad: 1},
		"as old, own invalidation":            {reads: reads{read(1, 21, 22, 5)}, barriers: barriers{ended(1, 10, 20, 5)}},
		"older, begun before the end":         {reads: reads{read(1, 19, 30, 4)}, barriers: barriers{ended(1, 10, 20, 5)}},
		"older, the invalidation had failed":  {reads: reads{read(1, 21, 22, 4)}, barriers: barriers{lost(ended(1, 10, 20, 5))}},
		"older, of another key":               {reads: reads{other}, barriers: barriers{ended(1, 10, 20, 5)}},
		"older elsewhere, within the lag":     {reads: reads{read(2, 25, 26, 4)}, barriers: barriers{ended(1, 10, 20, 5)}, lag: 5, lags: []uint64{5}},
		"older elsewhere, beyond the lag":     {reads: reads{read(2, 26, 27, 4)}, barriers: barriers{ended(1, 10, 20, 5)}, lag: 5, bad: 1, lags: []uint64{6}},
		"heeded elsewhere":                    {reads: reads{read(2, 21, 22, 5)}, barriers: barriers{ended(1, 10, 20, 5)}, lags: []uint64{0}},
		"the longest lag counts":              {reads: reads{read(2, 22, 23, 4), read(2, 24, 25, 6), read(2, 23, 24, 4)}, barriers: barriers{ended(1, 10, 20, 5)}, lag: 5, lags: []uint64{3}},
		"two read too late":                   {reads: reads{read(1, 21, 22, 4), read(2, 40, 41, 4)}, barriers: barriers{ended(1, 10, 20, 5)}, lag: 5, bad: 2, lags: []uint64{20}},
		"put and read":                        {reads: reads{read(1, 21, 22, 5)}, barriers: barriers{put(1, 10, 20, 5)}},
		"older than what was put":             {reads: reads{read(1, 21, 22, 4)}, barriers: barriers{put(1, 10, 20, 5)}, bad: 1},
		"put after a newer invalidation":      {reads: reads{read(1, 41, 42, 3)}, barriers: barriers{ended(1, 10, 20, 5), put(2, 30, 40, 3)}, lags: []uint64{0}},
		"put during a newer invalidation":     {reads: reads{read(1, 41, 42, 3)}, barriers: barriers{ended(1, 10, 20, 5), put(2, 5, 15, 3)}, lags: []uint64{0}},
		"put before a newer invalidation":     {reads: reads{read(1, 41, 42, 3)}, barriers: barriers{ended(1, 10, 20, 5), put(2, 5, 9, 3)}, bad: 1, lags: []uint64{0}},
		"put before a newer put":              {reads: reads{read(1, 41, 42, 3)}, barriers: barriers{put(1, 10, 20, 5), put(2, 5, 9, 3)}, bad: 1, lags: []uint64{0}},
		"put, another version":                {reads: reads{read(1, 41, 42, 4)}, barriers: barriers{ended(1, 10, 20, 5), put(2, 30, 40, 3)}, bad: 1, lags: []uint64{0}},
		"put later than it was read":          {reads: reads{read(1, 41, 42, 3)}, barriers: barriers{ended(1, 10, 20, 5), put(2, 43, 44, 3)}, bad: 1},
		"put, and perhaps done later":         {reads: reads{read(1, 41, 42, 3)}, barriers: barriers{ended(1, 10, 20, 5), lost(put(2, 5, 9, 3))}},
		"nothing, and absent since":           {reads: reads{nothing(1, 21, 22)}, barriers: barriers{ended(1, 10, 20, 5)}},
		"nothing, and present since":          {reads: reads{nothing(1, 21, 22)}, barriers: barriers{ended(1, 10, 20, 8)}, bad: 1},
		"nothing, before the invalidation":    {reads: reads{nothing(1, 19, 22)}, barriers: barriers{ended(1, 10, 20, 8)}},
		"nothing elsewhere, within the lag":   {reads: reads{nothing(2, 25, 26)}, barriers: barriers{ended(1, 10, 20, 8)}, lag: 5, lags: []uint64{5}},
		"nothing elsewhere, beyond the lag":   {reads: reads{nothing(2, 26, 27)}, barriers: barriers{ended(1, 10, 20, 8)}, lag: 5, bad: 1, lags: []uint64{6}},
		"a lost one asks for nothing":         {reads: reads{read(2, 90, 91, 1)}, barriers: barriers{lost(ended(1, 10, 20, 5))}},
		"an older one after a newer one":      {reads: reads{read(1, 41, 42, 4)}, barriers: barriers{ended(1, 10, 20, 5), ended(1, 30, 40, 2)}, bad: 1},
		"only what came before it must count": {reads: reads{read(1, 25, 26, 4)}, barriers: barriers{ended(1, 10, 20, 3), ended(1, 24, 40, 5)}},
	} {
		t.Run(name, func(t *testing.T) {
			got := histories.Check(histories.History{
				Reads: c.reads, Barriers: c.barriers, Lag: at(c.lag).Time,
				Absent: func(v uint64) bool { return v == 6 },
			})
			if len(got.Violations) != c.bad {
				t.Errorf("%d violations, not %d: %q", len(got.Violations), c.bad, got.Violations)
			}
			var lags []time.Duration
			for _, ms := range c.lags {
				lags = append(lags, at(ms).Time)
			}
			if !slices.Equal(got.Lags, lags) {
				t.Errorf("lags %v, not %v", got.Lags, lags)
			}
		})
	}
}

// TestCheckWithoutAbsence: where every version is a value, nothing is as old as old can be.
func TestCheckWithoutAbsence(t *testing.T) {
	got := histories.Check(histories.History{
		Reads:    []histories.Read{nothing(1, 21, 22)},
		Barriers: []histories.Barrier{ended(1, 10, 20, 5)},
	})
	if len(got.Violations) != 1 {
		t.Errorf("%q", got.Violations)
	}
}
