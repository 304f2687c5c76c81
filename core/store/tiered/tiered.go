package tiered

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/strata-cache/strata/core/store"
)

// Store is two or three stores as one. It is safe for concurrent use, and starts no goroutine. Make one with
// New. Of its methods those count that store.As offers.
type Store struct {
	front   store.Borrower // the first tier
	closed  atomic.Bool
	tiers   []tier
	onError func(tier int, op string, err error)
	keep    bool

	// The first tiers behind L1 with the capability: who decides about it. 0 where there is none.
	adder, toucher, counter int

	log    *logTier   // nil where no tier has one
	leaser *leaseTier // nil where no tier has one
	locker store.Locker
	pinger store.Pinger // of the second tier
	sizer  store.Sizer  // of the first tier

	seed    maphash.Seed
	stripes [stripes]stripe

	closing sync.Once
}

var (
	_ store.Composite = (*Store)(nil)
	_ store.Fronted   = (*Store)(nil)
	_ store.Batcher   = (*Store)(nil)
	_ store.Adder     = (*Store)(nil)
	_ store.Toucher   = (*Store)(nil)
	_ store.Counter   = (*Store)(nil)
	_ store.Scanner   = (*Store)(nil)
	_ store.Pinger    = (*Store)(nil)
	_ store.Sizer     = (*Store)(nil)
)

// New puts stores in front of one another. The store that it returns owns them, unless Keep is set; where it
// returns an error they stay the caller's.
func New(opts Options) (*Store, error) {
	tiers, err := opts.open()
	if err != nil {
		return nil, err
	}
	s := &Store{tiers: tiers, onError: opts.OnError, keep: opts.Keep, seed: maphash.MakeSeed()}
	s.front, _ = store.As[store.Borrower](tiers[0].Store)
	s.sizer, _ = store.As[store.Sizer](tiers[0].Store)
	s.pinger, _ = store.As[store.Pinger](tiers[1].Store)
	for i := len(tiers) - 1; i > 0; i-- {
		t := &tiers[i]
		if t.adder != nil {
			s.adder = i
		}
		if t.toucher != nil {
			s.toucher = i
		}
		if t.counter != nil {
			s.counter = i
		}
		if l, ok := store.As[store.Log](t.Store); ok {
			s.log = &logTier{Log: l, s: s, at: i}
		}
		if l, ok := store.As[store.Leaser](t.Store); ok {
			s.leaser = &leaseTier{Leaser: l, s: s, at: i}
		}
		if l, ok := store.As[store.Locker](t.Store); ok {
			s.locker = l
		}
	}
	return s, nil
}

// Close closes all tiers, unless Keep was set. The first call returns what they return, joined.
func (s *Store) Close() error {
	var errs []error
	s.closing.Do(func() {
		s.closed.Store(true)
		if s.keep {
			return
		}
		for i := range s.tiers {
			if err := s.tiers[i].Store.Close(); err != nil {
				errs = append(errs, s.tiers[i].fail("close", err))
			}
		}
	})
	return errors.Join(errs...)
}

func (s *Store) check() error {
	if s.closed.Load() {
		return store.ErrClosed
	}
	return nil
}

// report tells of a failure that the caller does not see.
func (s *Store) report(i int, op string, err error) {
	if s.onError != nil {
		s.onError(i+1, op, err)
	}
}

// last is the lowest tier.
func (s *Store) last() int { return len(s.tiers) - 1 }

// copies returns e as each tier keeps it. A copy is made from that of the tier below, so that no tier has one
// which outlasts it.
func (s *Store) copies(e *store.Entry) (copies [maxTiers]*store.Entry) {
	now := nowMs()
	for i := s.last(); i >= 0; i-- {
		e = s.tiers[i].cap(e, now)
		copies[i] = e
	}
	return copies
}

// keeps reports whether entries like e are kept in the tier at all.
func (s *Store) keeps(i int, e *store.Entry) bool {
	if e.Flags&store.FlagCounter == 0 {
		return true
	}
	return i > 0 && (s.counter == 0 || i == s.counter)
}

func nowMs() int64 { return time.Now().UnixMilli() }

// always is the context of what is done in the first tier: it answers at once, and has to be done although a
// caller has left.
func always() context.Context { return context.Background() }
