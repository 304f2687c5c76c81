package cache

import (
	"time"
)

// CallOption changes one call. Options are plain values: making one allocates nothing.
type CallOption struct {
	kind     optionKind
	duration time.Duration
	tags     []string
}

type optionKind uint8

const (
	optionTTL optionKind = iota + 1
	optionRefresh
	optionTags
)

// TTL is how long the value of this call is fresh. 0: the policy's; negative: the value is not stored,
// and what was there is removed; Forever: it does not end.
func TTL(d time.Duration) CallOption { return CallOption{kind: optionTTL, duration: d} }

// RefreshAfter is when, after it was made, the value is due for renewal. It is recorded with the entry;
// 0 or negative, or not before the TTL: never.
func RefreshAfter(d time.Duration) CallOption { return CallOption{kind: optionRefresh, duration: d} }

// Tags are labels of the value, stored with it. The slice is kept.
func Tags(tags ...string) CallOption { return CallOption{kind: optionTags, tags: tags} }

// call is what the options of one call come to.
type call struct {
	ttl, refresh time.Duration
	tags         []string
	explicit     bool // a TTL was given
}

func (p *Policy) call(opts []CallOption) call {
	c := call{ttl: p.TTL}
	for _, o := range opts {
		switch o.kind {
		case optionTTL:
			if o.duration != 0 {
				c.ttl, c.explicit = o.duration, true
			}
		case optionRefresh:
			c.refresh = o.duration
		case optionTags:
			c.tags = o.tags
		}
	}
	return c
}
