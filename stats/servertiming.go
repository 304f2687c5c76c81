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
// Durations are in milliseconds, and left out where nothing was timed. It holds numbers only, no names
// and no keys. It is empty where no cache was asked.
func (s Summary) ServerTiming() string {
	b := make([]byte, 0, 96)
	b = metric(b, "cache", s.CacheTime, []count{
		{s.Hits, "hit", "hits"}, {s.Negative, "negative hit", "negative hits"}, {s.Stale, "stale hit", "stale hits"},
		{s.Misses, "miss", "misses"}, {s.Errors, "error", "errors"}, {s.Rejected, "rejected", "rejected"},
		{s.Writes, "write", "writes"}, {s.Bypassed, "bypass", "bypasses"}, {s.StoreErrors, "store error", "store errors"},
	})
	b = metric(b, "load", s.LoadTime, []count{
		{s.Loads, "load", "loads"}, {s.LoadErrors, "failed", "failed"}, {s.Coalesced, "shared", "shared"},
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
