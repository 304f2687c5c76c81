package tiered

import (
	"context"
	"errors"

	"github.com/strata-cache/strata/core/store"
)

// Get is GetValid of any entry.
func (s *Store) Get(ctx context.Context, key string) (*store.Entry, error) {
	e, _, err := s.GetValid(ctx, key, nil)
	return e, err
}

// GetValid returns the first fresh valid entry from the first tier down, or else the freshest stale one, and
// the tier in which it was found. The failure of a tier is returned only where there is no entry, and is then
// no store.ErrMiss; otherwise OnError learns of it. A nil valid takes everything.
//
// What is copied into the first tier is what is returned: with a MaxTTL it may end before what was found.
func (s *Store) GetValid(ctx context.Context, key string, valid store.Validator) (*store.Entry, int, error) {
	if err := s.check(); err != nil {
		return nil, 0, err
	}
	r := reading{key: key, now: nowMs()}
	s.look(ctx, &r, 0, valid)
	if r.fresh {
		return r.entry, 1, nil
	}
	m := s.mark(key)
	for i := 1; i < len(s.tiers) && !r.fresh; i++ {
		s.look(ctx, &r, i, valid)
	}
	if r.entry == nil {
		return nil, 0, r.failure()
	}
	s.reportAll(r.errs)
	return s.fill(ctx, &r, m), r.at + 1, nil
}

// reading is the look-up of one key.
type reading struct {
	key   string
	now   int64
	entry *store.Entry // the best so far
	at    int          // its tier
	fresh bool         // entry is, and none below is asked
	above [maxTiers]vacancy
	errs  []tierError
}

// vacancy is how a tier is to be given what was found below it.
type vacancy uint8

const (
	absent   vacancy = iota // it has none, or a stale one: add
	occupied                // it has one that is not valid or not readable: replace
	failing                 // it does not answer: leave it alone
)

type tierError struct {
	at  int
	err error
}

func (r *reading) failure() error {
	if len(r.errs) == 0 {
		return store.ErrMiss
	}
	errs := make([]error, len(r.errs))
	for i, e := range r.errs {
		errs[i] = e.err
	}
	return errors.Join(errs...)
}

func (s *Store) reportAll(errs []tierError) {
	for _, e := range errs {
		s.report(e.at, "get", e.err)
	}
}

func (s *Store) look(ctx context.Context, r *reading, i int, valid store.Validator) {
	e, err := s.tiers[i].Store.Get(ctx, r.key)
	if err != nil && !errors.Is(err, store.ErrMiss) {
		err = s.tiers[i].fail("get", err)
		r.errs = append(r.errs, tierError{i, err})
	}
	s.consider(r, i, e, err, valid)
}

// consider takes note of what tier i has said about the key.
func (s *Store) consider(r *reading, i int, e *store.Entry, err error, valid store.Validator) {
	switch {
	case errors.Is(err, store.ErrCorrupt):
		r.above[i] = occupied
	case err != nil && !errors.Is(err, store.ErrMiss):
		r.above[i] = failing
	case e == nil || !s.keeps(i, e): // a counter in another tier than its own is a leftover
	case valid != nil && !valid(r.key, e):
		r.above[i] = occupied
	case e.IsFresh(r.now):
		r.entry, r.at, r.fresh = e, i, true
	case r.entry == nil || e.Fresh > r.entry.Fresh:
		r.entry, r.at = e, i
	}
}

// fill copies what was found into the tiers above, from the lowest up, and returns what the caller gets. It
// ends where another process or a write of this one has been faster.
func (s *Store) fill(ctx context.Context, r *reading, m mark) *store.Entry {
	e := r.entry
	if e.Flags&store.FlagCounter != 0 {
		return e
	}
	for i := r.at - 1; i > 0; i-- {
		e = s.tiers[i].cap(e, r.now)
		if !s.fillBetween(ctx, r, m, i, e) {
			return r.entry
		}
	}
	if r.at > 0 {
		if e = s.tiers[0].cap(e, r.now); s.fillFront(m, r.key, e) {
			return e
		}
	}
	return r.entry
}

// fillBetween copies e into a tier between the first and the last, and reports whether the tiers above may
// have it too. It adds where it can: another process may have stored a newer one meanwhile.
func (s *Store) fillBetween(ctx context.Context, r *reading, m mark, i int, e *store.Entry) bool {
	if r.above[i] == failing {
		return true
	}
	if !m.beginFill() {
		return false
	}
	defer m.endFill()
	t, ok := &s.tiers[i], true
	var err error
	if t.adder != nil && r.above[i] == absent {
		ok, err = t.adder.Add(ctx, r.key, e)
	} else {
		err = t.Store.Set(ctx, r.key, e)
	}
	if err != nil {
		r.above[i] = failing
		s.report(i, "set", t.fail("set", err))
		return true
	}
	return ok
}
