package tiered

import (
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"sync"

	"github.com/strata-cache/strata/core/store"
)

// stripes is how many groups the keys form. Writes in one group that overlap cost a look-up below, no more.
const stripes = 256

// stripe orders what writes and copies do to the keys of one group. Its lock is held for changes of the first
// tier only, never while another tier is asked.
type stripe struct {
	mu      sync.Mutex
	gen     uint64 // moves at the end of each write
	writes  int    // under way
	fills   int    // copies into tiers between the first and the last that are under way
	settled chan struct{}
	_       [24]byte // to a cache line
}

func (s *Store) stripeOf(key string) int { return int(maphash.String(s.seed, key) % stripes) }

// mark is the state of a stripe before something was read below the first tier.
type mark struct {
	st  *stripe
	gen uint64
}

func (s *Store) mark(key string) mark {
	st := &s.stripes[s.stripeOf(key)]
	st.mu.Lock()
	defer st.mu.Unlock()
	return mark{st, st.gen}
}

// holds reports, with the lock held, whether nothing was written since the mark.
func (m mark) holds() bool { return m.st.gen == m.gen && m.st.writes == 0 }

// fillFront puts what was read since the mark into the first tier, unless its key was written meanwhile.
func (s *Store) fillFront(m mark, key string, e *store.Entry) bool {
	m.st.mu.Lock()
	defer m.st.mu.Unlock()
	return m.holds() && s.storeFront(key, e) == nil
}

// beginFill announces a copy into a tier between the first and the last, unless something was written since
// the mark. Writes wait for endFill.
func (m mark) beginFill() bool {
	m.st.mu.Lock()
	defer m.st.mu.Unlock()
	if !m.holds() {
		return false
	}
	m.st.fills++
	return true
}

func (m mark) endFill() {
	m.st.mu.Lock()
	defer m.st.mu.Unlock()
	if m.st.fills--; m.st.fills == 0 && m.st.settled != nil {
		close(m.st.settled)
		m.st.settled = nil
	}
}

// write is a write under way. Its stripes are entered before a tier below is changed and left when the first
// tier has followed: no mark holds in between, and none of before or in between holds afterwards.
type write struct {
	s     *Store
	at    []int // the stripes, in order
	marks []mark
	wait  []chan struct{} // copies that were on their way when it began
}

// enter begins a write of keys. done has to be called.
func (s *Store) enter(keys ...string) *write {
	at := make([]int, len(keys))
	for i, k := range keys {
		at[i] = s.stripeOf(k)
	}
	slices.Sort(at)
	return s.enterStripes(slices.Compact(at))
}

// enterAll begins a write of any keys.
func (s *Store) enterAll() *write {
	at := make([]int, stripes)
	for i := range at {
		at[i] = i
	}
	return s.enterStripes(at)
}

func (s *Store) enterStripes(at []int) *write {
	w := &write{s: s, at: at, marks: make([]mark, len(at))}
	for i, n := range at {
		st := &s.stripes[n]
		st.mu.Lock()
		st.writes++
		w.marks[i] = mark{st, st.gen}
		if st.fills > 0 {
			if st.settled == nil {
				st.settled = make(chan struct{})
			}
			w.wait = append(w.wait, st.settled)
		}
		st.mu.Unlock()
	}
	return w
}

// settle waits for the copies that were on their way: one that arrived after the write would outlive it.
func (w *write) settle(ctx context.Context) error {
	for _, settled := range w.wait {
		select {
		case <-settled:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// put lets the first tier follow a write that has been done below, if no other one overlapped; otherwise the
// order below is not known, and the first tier forgets the key.
func (w *write) put(key string, e *store.Entry) error {
	m := w.markOf(key)
	m.st.mu.Lock()
	defer m.st.mu.Unlock()
	if m.st.gen != m.gen || m.st.writes > 1 {
		w.s.removeFront(key)
		return nil
	}
	return w.s.storeFront(key, e)
}

// drop removes keys from the first tier.
func (w *write) drop(keys ...string) {
	for _, k := range keys {
		m := w.markOf(k)
		m.st.mu.Lock()
		w.s.removeFront(k)
		m.st.mu.Unlock()
	}
}

func (w *write) done() {
	for _, m := range w.marks {
		m.st.mu.Lock()
		m.st.gen++
		m.st.writes--
		m.st.mu.Unlock()
	}
}

// markOf returns the mark of a key that was entered.
func (w *write) markOf(key string) mark {
	i, _ := slices.BinarySearch(w.at, w.s.stripeOf(key))
	return w.marks[i]
}

// storeFront is called with the key's stripe locked. What the first tier does not take it has not any more;
// it has it below.
func (s *Store) storeFront(key string, e *store.Entry) error {
	err := s.tiers[0].Store.Set(always(), key, e)
	if err == nil {
		return nil
	}
	s.removeFront(key)
	if !errors.Is(err, store.ErrTooLarge) {
		s.report(0, "set", err)
	}
	return err
}

// removeFront is called with the key's stripe locked.
func (s *Store) removeFront(key string) {
	if _, err := s.tiers[0].Store.Delete(always(), key); err != nil {
		s.report(0, "delete", err)
	}
}
