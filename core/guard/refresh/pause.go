package refresh

import (
	"container/list"
	"time"
)

// pauses are the keys that are left alone for a while. The table is bounded: beyond its size the key whose
// pause is the oldest is forgotten, which costs a load too early, and nothing else.
type pauses struct {
	base, max time.Duration
	size      int
	keys      map[string]*list.Element // of *pause
	order     *list.List               // the most recent first
}

type pause struct {
	key    string
	until  time.Time
	failed int  // failures in a row
	handed bool // to the fleet, since the last failure
}

func newPauses(base, longest time.Duration, size int) *pauses {
	return &pauses{base: base, max: longest, size: size, keys: make(map[string]*list.Element), order: list.New()}
}

// of returns the pause of key that has not ended at now, or nil.
func (p *pauses) of(key string, now time.Time) *pause {
	if e := p.keys[key]; e != nil {
		if at := e.Value.(*pause); now.Before(at.until) {
			return at
		}
	}
	return nil
}

// fail begins the next pause of key. Failures count as being in a row when less than the longest pause lies
// between the end of one's pause and the next.
func (p *pauses) fail(key string, now time.Time) {
	if p.base <= 0 {
		return
	}
	at := p.at(key)
	if now.Sub(at.until) >= p.max {
		at.failed = 0
	}
	d := p.max
	if at.failed < 62 && p.base <= p.max>>at.failed {
		d = p.base << at.failed
	}
	at.failed++
	at.until, at.handed = now.Add(d), false
}

// hand begins the pause of a key that was given to the fleet.
func (p *pauses) hand(key string, now time.Time, d time.Duration) {
	at := p.at(key)
	at.until, at.handed, at.failed = now.Add(d), true, 0
}

// at returns the pause of key, a new one if there is none, as the most recent.
func (p *pauses) at(key string) *pause {
	if e := p.keys[key]; e != nil {
		p.order.MoveToFront(e)
		return e.Value.(*pause)
	}
	if len(p.keys) >= p.size {
		p.forget(p.order.Back().Value.(*pause).key)
	}
	at := &pause{key: key}
	p.keys[key] = p.order.PushFront(at)
	return at
}

func (p *pauses) forget(key string) {
	if e := p.keys[key]; e != nil {
		p.order.Remove(e)
		delete(p.keys, key)
	}
}
