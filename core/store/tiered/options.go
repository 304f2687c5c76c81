package tiered

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/strata-cache/strata/core/store"
)

// Options configure a store.
type Options struct {
	// Tiers are two or three stores, from the one in this process down to the most durable one. The first
	// has to be a store.Borrower.
	Tiers []Tier
	// OnError learns of the failures that no caller sees, because there was an answer or a success in spite
	// of them. tier counts from 1; op is "get", "set", "add" or "delete". It runs on the goroutine of the
	// call, must be safe for concurrent use and must not call the store. Nil means nobody.
	OnError func(tier int, op string, err error)
	// Keep leaves the tiers open on Close.
	Keep bool
}

// Tier is one of the stores, and how it keeps what it is given.
type Tier struct {
	Store store.Store
	// MaxTTL is how long this tier keeps a copy at most, and those above it with it. Counters are not
	// capped. Zero and negative mean no limit of its own.
	MaxTTL time.Duration
	// Jitter is the share of MaxTTL, from 0 to 1, up to which a copy's life is shortened at random, once,
	// when it is stored. Zero and negative mean none.
	Jitter float64
	// Name is what errors call the tier. Empty means L1, L2 or L3.
	Name string
}

const maxTiers = 3

// tier is one of the stores with what it can do; a capability that it lacks is nil.
type tier struct {
	Tier
	batcher store.Batcher
	adder   store.Adder
	toucher store.Toucher
	counter store.Counter
	scanner store.Scanner
}

func (o Options) open() ([]tier, error) {
	if len(o.Tiers) < 2 || len(o.Tiers) > maxTiers {
		return nil, fmt.Errorf("tiered: %d tiers, not 2 or 3", len(o.Tiers))
	}
	tiers := make([]tier, len(o.Tiers))
	for i, t := range o.Tiers {
		if t.Name == "" {
			t.Name = fmt.Sprint("L", i+1)
		}
		switch {
		case t.Store == nil:
			return nil, fmt.Errorf("tiered: %s has no store", t.Name)
		case !(t.Jitter <= 1):
			return nil, fmt.Errorf("tiered: Jitter %v of %s is not between 0 and 1", t.Jitter, t.Name)
		case t.Jitter > 0 && t.MaxTTL <= 0:
			return nil, fmt.Errorf("tiered: %s has a Jitter without a MaxTTL", t.Name)
		}
		tiers[i] = tier{Tier: t}
		tiers[i].batcher, _ = store.As[store.Batcher](t.Store)
		tiers[i].adder, _ = store.As[store.Adder](t.Store)
		tiers[i].toucher, _ = store.As[store.Toucher](t.Store)
		tiers[i].counter, _ = store.As[store.Counter](t.Store)
		tiers[i].scanner, _ = store.As[store.Scanner](t.Store)
	}
	if _, ok := store.As[store.Borrower](o.Tiers[0].Store); !ok {
		return nil, errors.New("tiered: the first tier is no store.Borrower: it has to lie in this process")
	}
	return tiers, nil
}

// fail names the tier in an error.
func (t *tier) fail(op string, err error) error {
	return fmt.Errorf("tiered: %s: %s: %w", t.Name, op, err)
}

// cap returns e as this tier keeps it from now on: e itself, or a copy that ends earlier.
func (t *tier) cap(e *store.Entry, now int64) *store.Entry {
	if e.Flags&store.FlagCounter != 0 {
		return e
	}
	if times := t.capTimes(e.Times, now); times != e.Times {
		return e.WithTimes(times)
	}
	return e
}

// capTimes shortens what would outlast MaxTTL. Refresh stays: a copy that ends is made anew from below, and no
// reason to load.
func (t *tier) capTimes(times store.Times, now int64) store.Times {
	if t.MaxTTL <= 0 {
		return times
	}
	ttl := t.MaxTTL
	if t.Jitter > 0 {
		ttl -= time.Duration(float64(ttl) * t.Jitter * rand.Float64())
	}
	end := now + max(1, ttl.Milliseconds())
	if times.Gone != 0 && times.Gone <= end {
		return times
	}
	times.Gone = end
	if times.Fresh != 0 {
		times.Fresh = min(times.Fresh, end)
	}
	return times
}
