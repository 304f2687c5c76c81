package mirror

import (
	"slices"
	"strings"
	"time"

	"github.com/strata-cache/strata/core/store"
)

// Apply applies records, which must follow on what is applied already; what is applied is passed over. At
// the first that does not follow it stops, with ErrGap; those before it count.
func (m *Mirror) Apply(records ...store.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var done []store.Invalidation
	at := m.state.Load().applied
	c := m.begin()
	var err error
	for i := range records {
		r := &records[i]
		if r.Position.Compare(at) <= 0 {
			continue
		}
		if r.Prev != at {
			err = ErrGap
			break
		}
		at = r.Position
		c.take(r)
		done = append(done, r.Items...)
	}
	if at != c.next.applied {
		c.publish(at)
		m.tell(done)
	}
	return err
}

// Local applies items at a position of the mirror's own making, which it returns. It is for a mirror without
// a log.
func (m *Mirror) Local(items ...store.Invalidation) store.Position {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.state.Load().applied
	at.Seq++
	c := m.begin()
	c.record(items, at)
	c.publish(at)
	m.tell(items)
	return at
}

// Doubt makes the items count although the log could not take them: whatever was loaded up to the position
// that is applied is older than they are. It is for the process whose invalidation has failed. A Follower
// records some of them once the log can be reached: what is loaded after that record counts again.
func (m *Mirror) Doubt(items ...store.Invalidation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	applied := m.state.Load().applied
	at := applied
	at.Seq++
	c := m.begin()
	c.record(items, at)
	c.publish(applied)
	if room := maxDoubts - len(m.doubted); m.recent.limit > 0 && room > 0 {
		m.doubted = append(m.doubted, items[:min(room, len(items))]...)
	}
	m.tell(items)
}

// Reset puts the mirror where a Follower begins to read: at is applied; what is older than hard is not known
// to be valid, and neither are entries with tags or deps that are older than labels.
func (m *Mirror) Reset(at, hard, labels store.Position) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reset(at, hard, labels)
}

func (m *Mirror) reset(at, hard, labels store.Position) {
	m.recent.cut(0)
	m.publish(func(next *state) {
		next.applied = at
		next.hard = later(next.hard, hard)
		next.keys, next.tags = later(next.keys, labels), later(next.tags, labels)
	})
}

func later(p, q store.Position) store.Position {
	if before(p, q) {
		return q
	}
	return p
}

func (m *Mirror) tell(items []store.Invalidation) {
	if m.opts.Applied != nil && len(items) > 0 {
		m.opts.Applied(items)
	}
}

// change collects what a few records do to the state. The mirror's lock is held for as long as it lives.
type change struct {
	m    *Mirror
	next state
}

func (m *Mirror) begin() *change {
	old := m.state.Load()
	return &change{m: m, next: state{
		applied: old.applied, hard: old.hard, keys: old.keys, tags: old.tags,
		prefixes: old.prefixes, blind: old.blind,
	}}
}

func (c *change) publish(applied store.Position) {
	c.m.publish(func(next *state) {
		next.applied, next.hard, next.keys, next.tags = applied, c.next.hard, c.next.keys, c.next.tags
		next.prefixes = c.next.prefixes
	})
}

// take carries out a record of the log and remembers it.
func (c *change) take(r *store.Record) {
	c.m.recent.add(*r)
	if r.Prev.IsZero() {
		c.next.hard = later(c.next.hard, r.Position) // an origin
	}
	c.record(r.Items, r.Position)
}

func (c *change) record(items []store.Invalidation, at store.Position) {
	for _, it := range items {
		c.item(it, at)
	}
}

func (c *change) item(it store.Invalidation, at store.Position) {
	m := c.m
	tag := ""
	if ofName(it.Kind) {
		var ours bool
		if tag, ours = strings.CutPrefix(it.Name, m.opts.Scope); !ours {
			return
		}
	}
	switch it.Kind {
	case store.InvalidateKey:
		c.key(it.Name, mark{hard: at, soft: at, token: it.Token})
	case store.ChangeKey:
		c.key(it.Name, mark{soft: at})
	case store.DropKey: // nothing that a stamp could tell
	case store.InvalidateTag:
		c.tag(tag, mark{hard: at})
	case store.ExpireTag:
		c.tag(tag, mark{soft: at})
	case store.InvalidatePrefix:
		c.prefix(it.Name, at)
	case store.HoldKey:
		for _, name := range withAreas(it.Name) {
			c.hold(holdOf{name, false}, it)
		}
		c.key(it.Name, mark{hard: at, soft: at})
	case store.HoldTag:
		c.hold(holdOf{tag, true}, it)
		c.tag(tag, mark{hard: at})
	case store.ReleaseKey:
		for _, name := range withAreas(it.Name) {
			m.holds.release(holdOf{name, false}, it.Token)
		}
	case store.ReleaseTag:
		m.holds.release(holdOf{tag, true}, it.Token)
	default:
		c.prefix("", at) // a newer version's record: the safest reading
	}
}

// ofName reports whether an item of this kind names a key or a tag.
func ofName(k store.InvalidationKind) bool {
	return k >= store.InvalidateKey && k <= store.ReleaseTag && k != store.InvalidatePrefix
}

// maxHold bounds what a record can ask for: a damaged one must not keep a key from being cached for ever.
const maxHold = 10 * time.Minute

// withAreas returns what a Dep on the key may be called.
func withAreas(key string) [3]string { return [...]string{key, Area(key), Namespace(key)} }

func (c *change) hold(of holdOf, it store.Invalidation) {
	now := c.m.opts.Now()
	c.m.holds.hold(of, it.Token, now, now.Add(min(max(it.For, 0), maxHold)))
}

func (c *change) key(name string, k mark) {
	c.dep(c.m.keys, name, k)
	for _, area := range [...]string{Area(name), Namespace(name)} {
		if area != "" {
			c.dep(c.m.areas, area, mark{soft: k.soft})
		}
	}
}

// dep marks what entries may have as a Dep.
func (c *change) dep(in *table, name string, k mark) {
	if at := in.forgets(name); before(c.next.keys, at) {
		c.next.keys = at
		c.m.publish(func(next *state) { next.keys = at })
	}
	in.set(name, k)
}

func (c *change) tag(name string, k mark) {
	if at := c.m.tags.forgets(name); before(c.next.tags, at) {
		c.next.tags = at
		c.m.publish(func(next *state) { next.tags = at })
	}
	c.m.tags.set(name, k)
}

func (c *change) prefix(name string, at store.Position) {
	if name == "" {
		c.next.hard = later(c.next.hard, at)
		c.next.prefixes = slices.DeleteFunc(slices.Clone(c.next.prefixes), func(p prefixMark) bool {
			return !before(at, p.at) // it says nothing new
		})
		return
	}
	marks := slices.DeleteFunc(slices.Clone(c.next.prefixes), func(p prefixMark) bool {
		if p.name == name {
			at = later(at, p.at)
		}
		return p.name == name
	})
	if len(marks) >= maxPrefixes {
		// The oldest goes, and everything that is older than it with it.
		c.next.hard = later(c.next.hard, marks[0].at)
		marks = marks[1:]
	}
	marks = append(marks, prefixMark{name, at})
	c.next.prefixes = marks
}
