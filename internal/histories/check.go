package histories

import (
	"fmt"
	"time"
)

// Report is what Check has found.
type Report struct {
	// Violations are the reads that broke a promise, each with the barrier that it overtook.
	Violations []string
	// Lags are, for each invalidation and each other process that read its key afterwards, how long after
	// its end that process still began reads that did not heed it.
	Lags []time.Duration
}

// Check compares the reads of h with the contract:
//
//   - A process whose invalidation has returned reads nothing older than what the database held before the
//     invalidation, from the next read on. Neither does another process once Lag has passed.
//   - What was put into the cache may be read although the database has gone on, but not past the next
//     invalidation.
//   - Nobody reads what the database has not held.
//
// It demands nothing else. In particular two reads of one process may go back in time between invalidations:
// an answer that was under way, or one that stands in for a load that failed.
func Check(h History) Report {
	c := checker{h: h, keys: make(map[int]*register)}
	for i := range h.Barriers {
		b := &h.Barriers[i]
		k := c.key(b.Key)
		k.barriers = append(k.barriers, b)
	}
	for i := range h.Reads {
		r := &h.Reads[i]
		k := c.key(r.Key)
		k.reads = append(k.reads, r)
	}
	for _, k := range c.keys {
		for _, r := range k.reads {
			c.read(k, r)
		}
		c.lags(k)
	}
	return c.out
}

type checker struct {
	h    History
	keys map[int]*register
	out  Report
}

// register is what happened to one key.
type register struct {
	reads    []*Read
	barriers []*Barrier
}

func (c *checker) key(id int) *register {
	k := c.keys[id]
	if k == nil {
		k = new(register)
		c.keys[id] = k
	}
	return k
}

func (c *checker) read(k *register, r *Read) {
	if !r.Missing && r.Version > r.Newest {
		c.violationf("%s: the database is at %d", r, r.Newest)
		return
	}
	var worst *Barrier
	for _, b := range k.barriers {
		if c.counts(b, r) && c.overtaken(k, r, b) && (worst == nil || b.Version > worst.Version) {
			worst = b
		}
	}
	if worst != nil {
		c.violationf("%s after %s, by %v", r, worst, r.Begin.Time-worst.End.Time)
	}
}

func (c *checker) violationf(format string, args ...any) {
	c.out.Violations = append(c.out.Violations, fmt.Sprintf(format, args...))
}

// counts reports whether r has to heed b.
func (c *checker) counts(b *Barrier, r *Read) bool {
	switch {
	case b.Lost:
		return false
	case b.Process == r.Process:
		return b.End.Seq < r.Begin.Seq
	default:
		return b.End.Time+c.h.Lag < r.Begin.Time
	}
}

// overtaken reports whether r, which begins after b, got what b has ended.
func (c *checker) overtaken(k *register, r *Read, b *Barrier) bool {
	if r.Missing {
		for v := b.Version; v <= r.Newest; v++ {
			if c.h.Absent != nil && c.h.Absent(v) {
				return false
			}
		}
		return true
	}
	if r.Version >= b.Version {
		return false
	}
	for _, p := range k.barriers {
		// A put that ended before b began is ended by it.
		if p.Put && p.Version == r.Version && p.Begin.Seq < r.End.Seq && (p.Lost || p.End.Seq > b.Begin.Seq) {
			return false
		}
	}
	return true
}

func (c *checker) lags(k *register) {
	for _, b := range k.barriers {
		if b.Lost {
			continue
		}
		lag := make(map[int]time.Duration)
		for _, r := range k.reads {
			after := r.Begin.Time - b.End.Time
			if r.Process == b.Process || after < 0 {
				continue
			}
			if !c.overtaken(k, r, b) {
				after = 0
			}
			lag[r.Process] = max(lag[r.Process], after)
		}
		for _, d := range lag {
			c.out.Lags = append(c.out.Lags, d)
		}
	}
}

// String describes r in a violation.
func (r *Read) String() string {
	what := fmt.Sprint("version ", r.Version)
	if r.Missing {
		what = "nothing"
	}
	return fmt.Sprintf("key %d: client %d.%d got %s by %s [%d-%d]",
		r.Key, r.Process, r.Client, what, r.Via, r.Begin.Seq, r.End.Seq)
}

// String describes b in a violation.
func (b *Barrier) String() string {
	return fmt.Sprintf("%s of version %d by client %d.%d [%d-%d]",
		b.Via, b.Version, b.Process, b.Client, b.Begin.Seq, b.End.Seq)
}
