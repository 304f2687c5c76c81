package tiered

import "github.com/strata-cache/strata/core/store"

// Peek returns the entry of the first tier, or nil. It does not allocate, and does not ask how old it is.
func (s *Store) Peek(key []byte) *store.Entry {
	if s.closed.Load() {
		return nil
	}
	return s.front.GetBorrowed(key)
}

// SetFront stores e in the first tier alone. A counter is not kept there, nor is an entry whose key is just
// being written: what is there is removed then, without an error.
func (s *Store) SetFront(key string, e *store.Entry) error {
	if err := s.check(); err != nil {
		return err
	}
	w := s.enter(key)
	defer w.done()
	if !s.keeps(0, e) {
		w.drop(key)
		return nil
	}
	return w.put(key, s.tiers[0].cap(e, nowMs()))
}

// DropFront removes the keys from the first tier alone; copies on their way into it are given up.
func (s *Store) DropFront(keys ...string) {
	if len(keys) == 0 || s.closed.Load() {
		return
	}
	w := s.enter(keys...)
	defer w.done()
	w.drop(keys...)
}

// ClearFront removes every entry whose key begins with prefix from the first tier alone; copies on their way
// into it are given up.
func (s *Store) ClearFront(prefix string) {
	if s.closed.Load() {
		return
	}
	w := s.enterAll()
	defer w.done()
	if err := s.tiers[0].Store.Clear(always(), prefix); err != nil {
		s.report(0, "delete", err)
	}
}
