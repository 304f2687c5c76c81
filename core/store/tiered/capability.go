package tiered

import "github.com/strata-cache/strata/core/store"

// Capability offers store.Fronted always, store.Sizer where the first tier has it, store.Batcher and
// store.Pinger where the second has it, store.Scanner where all behind the first have it, and every other
// capability but store.Borrower where any behind the first has it.
func (s *Store) Capability(target any) bool {
	switch t := target.(type) {
	case *store.Fronted:
		return offer[store.Fronted](t, s, true)
	case *store.Sizer:
		return offer[store.Sizer](t, s, s.sizer != nil)
	case *store.Batcher:
		return offer[store.Batcher](t, s, s.tiers[1].batcher != nil)
	case *store.Pinger:
		return offer[store.Pinger](t, s, s.pinger != nil)
	case *store.Scanner:
		return offer[store.Scanner](t, s, s.scans())
	case *store.Adder:
		return offer[store.Adder](t, s, s.adder > 0)
	case *store.Toucher:
		return offer[store.Toucher](t, s, s.toucher > 0)
	case *store.Counter:
		return offer[store.Counter](t, s, s.counter > 0)
	case *store.Log:
		return offer[store.Log](t, s.log, s.log != nil)
	case *store.Leaser:
		return offer[store.Leaser](t, s.leaser, s.leaser != nil)
	case *store.Locker:
		return offer(t, s.locker, s.locker != nil)
	default:
		return false
	}
}

func offer[C any](target *C, c C, ok bool) bool {
	if ok {
		*target = c
	}
	return ok
}

func (s *Store) scans() bool {
	for i := 1; i < len(s.tiers); i++ {
		if s.tiers[i].scanner == nil {
			return false
		}
	}
	return true
}
