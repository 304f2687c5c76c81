package mirror

import (
	"strings"

	"github.com/strata-cache/strata/core/store"
)

// Verdict is what the mirror knows about an entry.
type Verdict uint8

// The verdicts.
const (
	// Valid: nothing is known against it.
	Valid Verdict = iota
	// Stale: it was expired by a tag. It may be served where an entry past its TTL may.
	Stale
	// Invalid: it was invalidated, or cannot be known not to have been.
	Invalid
)

// Judge tells whether e may be served under key. front says that e lies in this process; what was read from
// a shared store is not served at all once the log has been silent for too long.
func (m *Mirror) Judge(key string, e *store.Entry, front bool) Verdict {
	if e.Flags&store.FlagCounter != 0 {
		return Valid // it has no stamp: who invalidates counters removes them
	}
	return m.judgeFrom(m.state.Load(), key, e, front)
}

// judgeFrom begins with the state st, which may have been left behind.
func (m *Mirror) judgeFrom(st *state, key string, e *store.Entry, front bool) Verdict {
	v := m.judge(st, key, e)
	for v != Invalid {
		// A mark that was not found may have been forgotten since st was loaded. The floor that stands for it
		// was published before.
		now := m.state.Load()
		if now.keys == st.keys && now.tags == st.tags {
			break
		}
		st = now
		v = m.judge(st, key, e)
	}
	switch {
	case v == Invalid:
	case st.blind:
		if !m.trusted(e, front) {
			return Invalid
		}
	case v == Valid:
		e.SetChecked(st.check)
	}
	return v
}

// trusted reports whether e may be served while the log is silent.
func (m *Mirror) trusted(e *store.Entry, front bool) bool {
	now := m.opts.Now().UnixMilli()
	from := m.confirmed.Load()
	if front && e.Created <= now {
		from = max(from, e.Created)
	}
	// What lies ahead of the clock was noted before it was set back, or by another one: it says nothing.
	return from <= now && now < from+m.opts.Degraded.Milliseconds()
}

func (m *Mirror) judge(st *state, key string, e *store.Entry) Verdict {
	stamp := e.Stamp
	if k, ok := m.keys.get(key); ok && before(stamp, k.hard) {
		if k.token.IsZero() || k.token != e.Token() {
			return Invalid
		}
		stamp = k.hard // it was stored with that record
	}
	if before(stamp, st.hard) || st.prefixed(key, stamp) {
		return Invalid
	}
	if len(e.Deps) > 0 && m.outdated(st, e.Deps, stamp) {
		return Invalid
	}
	if len(e.Tags) == 0 {
		return Valid
	}
	if before(stamp, st.tags) {
		return Invalid
	}
	v := Valid
	for _, t := range e.Tags {
		switch k, _ := m.tags.get(t); {
		case before(stamp, k.hard):
			return Invalid
		case before(stamp, k.soft):
			v = Stale
		}
	}
	return v
}

// outdated reports whether one of the deps has changed since stamp.
func (m *Mirror) outdated(st *state, deps []string, stamp store.Position) bool {
	if before(stamp, st.keys) {
		return true
	}
	for _, d := range deps {
		if IsArea(d) {
			if k, _ := m.areas.get(d); before(stamp, k.soft) || st.prefixedWithin(d, stamp) {
				return true
			}
		} else if k, _ := m.keys.get(d); before(stamp, k.soft) {
			return true
		}
		if st.prefixed(d, stamp) {
			return true
		}
	}
	return false
}

// prefixed reports whether a prefix of key was invalidated after stamp.
func (st *state) prefixed(key string, stamp store.Position) bool {
	for i := range st.prefixes {
		if p := &st.prefixes[i]; before(stamp, p.at) && strings.HasPrefix(key, p.name) {
			return true
		}
	}
	return false
}

// prefixedWithin reports whether a prefix of some keys of the area was invalidated after stamp.
func (st *state) prefixedWithin(area string, stamp store.Position) bool {
	for i := range st.prefixes {
		if p := &st.prefixes[i]; before(stamp, p.at) && strings.HasPrefix(p.name, area) {
			return true
		}
	}
	return false
}

func before(p, q store.Position) bool { return p.Compare(q) < 0 }
