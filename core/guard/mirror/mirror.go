// Package mirror is what one process knows about invalidations: for each key, tag and prefix the position
// of its last one in the invalidation log, back to a floor. Readers compare it with the stamps of entries;
// nothing has to be deleted for an invalidation to hold.
//
// A [Mirror] without a log counts its own positions, with Local. One of a shared store is fed by a
// [Follower].
package mirror

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/strata-cache/strata/core/store"
)

// Defaults of Options.
const (
	// DefaultNames is how many keys, and how many tags, a mirror remembers.
	DefaultNames = 100_000
	// DefaultDegraded is how long what was read before the log fell silent is served.
	DefaultDegraded = 5 * time.Second
)

// maxPrefixes and maxAreas bound the two small tables.
const (
	maxPrefixes = 128
	maxAreas    = 4096
)

// ErrGap is returned by Apply for a record that does not follow on what was applied.
var ErrGap = errors.New("mirror: a record of the log is missing")

// Options configure a mirror. The zero value is ready for use.
type Options struct {
	// Names is how many keys, and how many tags, are remembered. What is forgotten makes older entries
	// with tags, or with deps, misses. Default: 100,000.
	Names int
	// Degraded is how long entries are served once the log has fallen silent, counted from when it was last
	// heard or, where that is later, from when they were made. Default: 5 seconds.
	Degraded time.Duration
	// Scope is what the names of keys and tags begin with in the records that this mirror is about; others
	// are passed over. A key keeps it, a tag loses it: entries bear their tags without.
	Scope string
	// Now tells the time. Default: time.Now.
	Now func() time.Time
	// Applied is called with the items of one or more records after they count, in order, one call at a time;
	// what is read again is told again. It must neither block nor call the mirror's methods that apply. Nil:
	// nobody is told.
	Applied func([]store.Invalidation)
}

// Mirror is safe for concurrent use. Make it with New.
type Mirror struct {
	opts  Options
	state atomic.Pointer[state]
	// check is that of the state, for readers that need nothing else of it. It is published after the state.
	check atomic.Pointer[store.Check]
	// confirmed is when the log was last known to hold nothing that is not applied, in Unix milliseconds; 0:
	// never.
	confirmed atomic.Int64

	keys, tags, areas *table

	mu sync.Mutex // of those who apply
	// For a Follower: what was applied last, and what could not be recorded.
	recent  recent
	doubted []store.Invalidation
	holds   holds
}

// state is what hangs together. A new one is published after the tables say at least as much.
type state struct {
	// check has memory of its own, since entries keep it.
	check   *store.Check
	applied store.Position
	// hard: what is older is not known to be valid, whatever it is. keys and tags are the same for entries
	// with deps and for entries with tags.
	hard, keys, tags store.Position
	prefixes         []prefixMark
	blind            bool
}

type prefixMark struct {
	name string
	at   store.Position
}

// New returns a mirror that knows of no invalidation. NewFollower makes it blind until the log was read.
func New(opts Options) *Mirror {
	if opts.Names <= 0 {
		opts.Names = DefaultNames
	}
	if opts.Degraded <= 0 {
		opts.Degraded = DefaultDegraded
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	m := &Mirror{opts: opts, keys: newTable(opts.Names), tags: newTable(opts.Names), areas: newTable(maxAreas)}
	first := &state{check: new(store.Check)}
	m.state.Store(first)
	m.check.Store(first.check)
	return m
}

// Current returns the state that the mirror is in, for Entry.CheckedAt. While the mirror is blind no entry
// is valid by that alone.
func (m *Mirror) Current() *store.Check { return m.check.Load() }

// Applied returns the position up to which invalidations are known: the stamp of what is loaded from now on.
func (m *Mirror) Applied() store.Position { return m.state.Load().applied }

// Blind reports whether the log is out of reach.
func (m *Mirror) Blind() bool { return m.state.Load().blind }

// Held reports whether what is loaded for key, with these tags, from these deps, must not be stored, because
// one of them is being written.
func (m *Mirror) Held(key string, tags []string, deps ...string) bool {
	return m.holds.held(m.opts.Now(), key, tags, deps)
}

// Confirm says that at this moment everything in the log is applied.
func (m *Mirror) Confirm() { m.confirmAt(m.opts.Now().UnixMilli()) }

// confirmAt says that everything is applied that was in the log at the time, in Unix milliseconds.
func (m *Mirror) confirmAt(milli int64) {
	for old := m.confirmed.Load(); old < milli; old = m.confirmed.Load() {
		if m.confirmed.CompareAndSwap(old, milli) {
			return
		}
	}
}

// SetBlind says whether the log is out of reach.
func (m *Mirror) SetBlind(blind bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if st := m.state.Load(); st.blind != blind {
		m.publish(func(next *state) { next.blind = blind })
	}
}

// publish makes a new state of the current one. The lock is held.
func (m *Mirror) publish(change func(next *state)) {
	old := m.state.Load()
	next := &state{
		check:   new(store.Check),
		applied: old.applied, hard: old.hard, keys: old.keys, tags: old.tags,
		prefixes: old.prefixes, blind: old.blind,
	}
	change(next)
	m.state.Store(next)
	m.check.Store(next.check)
}
