package cache

import (
	"context"

	"github.com/strata-cache/strata/core/event"
)

// chain is what a piece of work holds the leases of, from the innermost outwards. Two processes, each with a
// lease that the other one's work waits for, would wait for ever; so work that holds leases waits only for
// what comes after all of them in one order: pages before fragments before objects, and within a layer by key.
// What comes before is taken if it is free, and made without a right to it if it is not.
type chain struct {
	layer event.Layer
	key   string
	outer *chain
}

type chainKey struct{}

// holding returns ctx for work that holds the lease on key.
func (s *Space) holding(ctx context.Context, key string) context.Context {
	outer, _ := ctx.Value(chainKey{}).(*chain)
	return context.WithValue(ctx, chainKey{}, &chain{layer: s.layer, key: key, outer: outer})
}

// mayWait reports whether work on ctx may wait for the lease on key.
func (s *Space) mayWait(ctx context.Context, key string) bool {
	held, _ := ctx.Value(chainKey{}).(*chain)
	for ; held != nil; held = held.outer {
		if s.layer > held.layer || s.layer == held.layer && key <= held.key {
			return false
		}
	}
	return true
}
