package stats

import (
	"strconv"
	"time"
)

// ServerTiming returns the summary as the value of a Server-Timing header field (W3C Server Timing, §4),
// such as
//
//	cache;desc="3 hits, 1 miss";dur=1.2, load;desc="1 load";dur=20.1
//
// Durations are in milliseconds, and left out where nothing was timed. Hits from another tier than the first
// are told apart: "3 hits, 1 from L2" is three in all. It holds numbers only, no names
// and no keys. It is empty where no cache was asked.
func (s Summary) ServerTiming() string {
	b := make([]byte, 0, 96)
	b = metric(b, "cache", s.CacheTime, []count{
		{s.Hits, "hit", "hits"}, {s.L2Hits, "from L2", "from L2"}, {s.L3Hits, "from L3", "from L3"},
		{s.Negative, "negative hit", "negative hits"}, {s.Stale, "stale hit", "stale hits"},
		{s.Misses, "miss", "misses"}, {s.Errors, "error", "errors"}, {s.Rejected, "rejected", "rejected"},
		{s.Filtered, "filtered", "filtered"}, {s.Fallback, "fallback", "fallbacks"},
		{s.Writes, "write", "writes"}, {s.Bypassed, "bypass", "bypasses"}, {s.StoreErrors, "store error", "store errors"},
	})
	b = metric(b, "load", s.LoadTime, []count{
		{s.Loads, "load", "loads"}, {s.LoadErrors, "failed", "failed"}, {s.Coalesced, "shared", "shared"},
		{s.Overload, "refused", "refused"}, {s.Refreshes, "refresh", "refreshes"},
	})
	return string(b)
}

type count struct {
	n         int
	one, many string
}

// metric appends one metric, unless all of its counts are zero.
func metric(b []byte, name string, d time.Duration, counts []count) []byte {
	first := true
	for _, c := range counts {
		if c.n == 0 {
			continue
		}
		switch {
		case !first:
			b = append(b, ", "...)
		case len(b) > 0:
			b = append(b, ", "+name+`;desc="`...)
		default:
			b = append(b, name+`;desc="`...)
		}
		first = false
		b = strconv.AppendInt(b, int64(c.n), 10)
		b = append(b, ' ')
		if c.n == 1 {
			b = append(b, c.one...)
		} else {
			b = append(b, c.many...)
		}
	}
	if first {
		return b
	}
	b = append(b, '"')
	if us := d.Round(time.Microsecond).Microseconds(); us > 0 {
		b = append(b, ";dur="...)
		b = strconv.AppendFloat(b, float64(us)/1000, 'f', -1, 64)
	}
	return b
}
