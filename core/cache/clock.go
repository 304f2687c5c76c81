package cache

import (
	"time"

	"github.com/strata-cache/strata/internal/coarse"
)

// clock is the time by which values expire: the coarse one on hits, an exact one elsewhere.
type clock struct {
	coarse *coarse.Clock
	now    func() time.Time // the user's; nil: the system's
}

func newClock(now func() time.Time) *clock { return &clock{coarse: coarse.New(), now: now} }

// Now returns Unix milliseconds, a little late.
func (c *clock) Now() int64 {
	if c.now != nil {
		return c.now().UnixMilli()
	}
	return c.coarse.Now()
}

func (c *clock) exact() time.Time {
	if c.now != nil {
		return c.now()
	}
	return time.Now()
}

// milli returns Unix milliseconds, exactly.
func (c *clock) milli() int64 { return c.exact().UnixMilli() }

func (c *clock) Close() { c.coarse.Close() }
