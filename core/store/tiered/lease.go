package tiered

import (
	"context"

	"github.com/strata-cache/strata/core/store"
)

// leaseTier is the leases of one tier, for all of them. What Lease and Wakes bring is not put into the first
// tier: whether it is valid is for the engine to say.
type leaseTier struct {
	store.Leaser
	s  *Store
	at int
}

// SetLeased stores e in the other tiers only where the lease was still held. Here the tiers below come second:
// they must not have what the lease refuses. What such a tier has kept from before, should it fail, was no
// longer to be used, or the key would not have been leased.
func (l *leaseTier) SetLeased(ctx context.Context, key, token string, e *store.Entry) (bool, error) {
	s := l.s
	if err := s.check(); err != nil {
		return false, err
	}
	w := s.enter(key)
	defer w.done()
	if err := w.settle(ctx); err != nil {
		return false, err
	}
	copies := s.copies(e)
	ok, err := l.Leaser.SetLeased(ctx, key, token, copies[l.at])
	switch {
	case err != nil:
		w.drop(key) // it may have been stored
		return ok, s.tiers[l.at].fail("set", err)
	case !ok:
		return false, nil
	}
	for i := s.last(); i > l.at; i-- {
		if !s.keeps(i, e) {
			continue
		}
		if err := s.tiers[i].Store.Set(ctx, key, copies[i]); err != nil {
			s.report(i, "set", s.tiers[i].fail("set", err))
		}
	}
	for i := l.at - 1; i > 0; i-- {
		if _, err := s.tiers[i].Store.Delete(ctx, key); err != nil {
			s.report(i, "delete", s.tiers[i].fail("delete", err))
		}
	}
	if !s.keeps(0, e) {
		w.drop(key)
		return true, nil
	}
	_ = w.put(key, copies[0]) // it is stored below
	return true, nil
}
