package stats

import (
	"encoding/json"
	"time"
)

// Counts are how the calls and loads of a series ended.
type Counts struct {
	Lookups Lookups `json:"lookups"`
	Writes  Writes  `json:"writes"`
	Loads   Loads   `json:"loads"`
}

// Lookups count keys looked up. A look-up of many keys counts each of its keys as a hit or a miss.
type Lookups struct {
	Hits     uint64 `json:"hits"`     // fresh values
	Negative uint64 `json:"negative"` // stored "does not exist"
	Stale    uint64 `json:"stale"`    // values past their TTL, served all the same
	Misses   uint64 `json:"misses"`   // nothing to serve; a loader may have run
	Errors   uint64 `json:"errors"`   // the store or the loader failed, and nothing stale was there
	Rejected uint64 `json:"rejected"` // keys that the key rule refused
	Filtered uint64 `json:"filtered"` // keys that a filter knows not to exist
	Fallback uint64 `json:"fallback"` // simplified data served, while the value was being loaded
	Unknown  uint64 `json:"unknown"`  // outcomes that this version does not know

	// Tiers are the hits by the tier in which they were found.
	Tiers Tiers `json:"tiers"`
	// Coalesced are those of the above that waited for a load of another caller.
	Coalesced uint64 `json:"coalesced"`
	// HitTime is of hits and negative hits that did not wait for a load, OtherTime of all other
	// look-ups, loads that they waited for included. Look-ups of many keys are in neither.
	HitTime   Timing `json:"hit_time"`
	OtherTime Timing `json:"other_time"`
}

// Tiers count hits by tier. Those of which the tier is not known are in none.
type Tiers struct {
	L1 uint64 `json:"l1"`
	L2 uint64 `json:"l2"`
	L3 uint64 `json:"l3"` // and any tier behind it
}

// Served is how many look-ups the cache answered: hits, negative and stale hits.
func (l Lookups) Served() uint64 { return l.Hits + l.Negative + l.Stale }

// Total is how many keys were looked up. Rejected and filtered keys are not among them: the cache was not
// asked, and a flood of them says nothing about it.
func (l Lookups) Total() uint64 { return l.Served() + l.Misses + l.Errors + l.Fallback + l.Unknown }

// HitRate is Served divided by Total, from 0 to 1; 0 where nothing was looked up.
func (l Lookups) HitRate() float64 {
	if l.Total() == 0 {
		return 0
	}
	return float64(l.Served()) / float64(l.Total())
}

// MarshalJSON adds hit_rate to the fields.
func (l Lookups) MarshalJSON() ([]byte, error) {
	type fields Lookups
	return json.Marshal(struct {
		fields
		HitRate float64 `json:"hit_rate"`
	}{fields(l), l.HitRate()})
}

// Timing is what some calls took. They are a sample: of look-ups in process only one in event.TimedHits
// is timed, so Count is no number of look-ups and Total is not what all of them took. Mean is fair.
type Timing struct {
	Count uint64        `json:"count"`
	Total time.Duration `json:"total_ns"`
}

// Mean is what one of the timed calls took on average; 0 where there was none.
func (t Timing) Mean() time.Duration {
	if t.Count == 0 {
		return 0
	}
	return t.Total / time.Duration(t.Count)
}

// Writes count keys written or removed, and calls of Clear, Scan, Update, Lock and of those that invalidate
// tags.
type Writes struct {
	Set        Write `json:"set"`
	Add        Write `json:"add"`
	Delete     Write `json:"delete"`
	Touch      Write `json:"touch"`
	Incr       Write `json:"incr"`
	Clear      Write `json:"clear"`
	Scan       Write `json:"scan"`
	Invalidate Write `json:"invalidate"`
	Update     Write `json:"update"`
	Lock       Write `json:"lock"`
	Unknown    Write `json:"unknown"` // operations that this version does not know
}

// Write is how writes of one operation ended.
type Write struct {
	Done   uint64 `json:"done"`
	NoOp   uint64 `json:"noop"` // a value to Add or a Lock was there already, or none to Delete, Touch or Incr
	Failed uint64 `json:"failed"`
}

// Loads count finished runs of loaders, however many keys one loads and callers wait for it.
type Loads struct {
	OK       uint64 `json:"ok"`
	NotFound uint64 `json:"not_found"`
	Error    uint64 `json:"error"`
	Panic    uint64 `json:"panic"`
	Timeout  uint64 `json:"timeout"`
	Canceled uint64 `json:"canceled"` // the last waiter had left
	Unknown  uint64 `json:"unknown"`  // results that this version does not know
	// Overload is how many loads were refused, because too many were running. They were not begun, and are
	// in no sum.
	Overload uint64 `json:"overload"`
	// Time is the sum of what all the others took.
	Time time.Duration `json:"time_ns"`
}

// Total is how many loads ended.
func (l Loads) Total() uint64 {
	return l.OK + l.NotFound + l.Error + l.Panic + l.Timeout + l.Canceled + l.Unknown
}

// Mean is what a load took on average; 0 where there was none.
func (l Loads) Mean() time.Duration {
	if l.Total() == 0 {
		return 0
	}
	return l.Time / time.Duration(l.Total())
}

// fields returns the place of every number, in one order.
func (c *Counts) fields() (counts []*uint64, times []*time.Duration) {
	l, w, d := &c.Lookups, &c.Writes, &c.Loads
	counts = []*uint64{
		&l.Hits, &l.Negative, &l.Stale, &l.Misses, &l.Errors, &l.Rejected, &l.Unknown, &l.Coalesced,
		&l.Filtered, &l.Fallback, &l.Tiers.L1, &l.Tiers.L2, &l.Tiers.L3,
		&l.HitTime.Count, &l.OtherTime.Count,
		&d.OK, &d.NotFound, &d.Error, &d.Panic, &d.Timeout, &d.Canceled, &d.Unknown, &d.Overload,
	}
	for _, op := range []*Write{
		&w.Set, &w.Add, &w.Delete, &w.Touch, &w.Incr, &w.Clear, &w.Scan, &w.Invalidate, &w.Update, &w.Lock,
		&w.Unknown,
	} {
		counts = append(counts, &op.Done, &op.NoOp, &op.Failed)
	}
	return counts, []*time.Duration{&l.HitTime.Total, &l.OtherTime.Total, &d.Time}
}

// add adds the numbers of d to those of c.
func (c *Counts) add(d Counts) {
	counts, times := c.fields()
	addCounts, addTimes := d.fields()
	for i, n := range addCounts {
		*counts[i] += *n
	}
	for i, t := range addTimes {
		*times[i] += *t
	}
}

// sub takes the numbers of prev from those of c. A number that was larger belongs to a recorder that has
// been replaced since, so that the present one is the difference.
func (c *Counts) sub(prev Counts) {
	counts, times := c.fields()
	prevCounts, prevTimes := prev.fields()
	for i, n := range prevCounts {
		*counts[i] = since(*counts[i], *n)
	}
	for i, t := range prevTimes {
		*times[i] = since(*times[i], *t)
	}
}

func since[N uint64 | time.Duration](now, then N) N {
	if now < then {
		return now
	}
	return now - then
}
