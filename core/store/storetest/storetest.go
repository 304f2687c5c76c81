// Package storetest holds every backend to the contract of package store. A backend's own test calls
// [Run] with a function that opens it; a store that is meant to keep nothing calls [RunNull].
//
// The suite needs nothing but the standard library, so that backends outside this module can use it.
// It waits on timers only where the passing of time is what is tested, and is meant to be run with the
// race detector.
package storetest

import (
	"testing"

	"github.com/strata-cache/strata/core/store"
)

// Open returns an empty store that nobody else uses, ready for use. It is called once for each
// subtest, never concurrently, and fails t itself when it cannot. The suite closes the store, so a
// clean-up of Open must bear that; what Close leaves behind on a server is for Open's clean-up.
type Open func(t *testing.T) store.Store

// Run checks that the stores which open returns keep the contract of [store.Store] and of each optional
// capability that they have, of their own or as a store.Composite. A capability that they lack is named in
// the log.
//
// A store whose largest entry is below 1 MiB passes when it answers store.ErrTooLarge and forgets the
// older entry; that is logged too.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	t.Helper()
	runCases(t, open, "Keys", keyCases())
	runCases(t, open, "GetSet", getSetCases())
	runCases(t, open, "Expiry", expiryCases())
	runCases(t, open, "Delete", deleteCases())
	runCases(t, open, "Clear", clearCases())
	runCases(t, open, "Close", closeCases())
	runCases(t, open, "Context", contextCases())
	runCases(t, open, "Concurrency", concurrencyCases())

	runCapability(t, open, "Batcher", batcherCases())
	runCapability(t, open, "Adder", adderCases())
	runCapability(t, open, "Toucher", toucherCases())
	runCapability(t, open, "Counter", counterCases())
	runCapability(t, open, "Scanner", scannerCases())
	runCapability(t, open, "Borrower", borrowerCases())
	runCapability(t, open, "Pinger", pingerCases())
	runCapability(t, open, "Sizer", sizerCases())
	runFronted(t, open)
}

// testCase is one sentence of the contract. C is store.Store or a capability of the same store.
type testCase[C any] struct {
	name string
	run  func(b box, c C)
}

func runCases(t *testing.T, open Open, group string, cases []testCase[store.Store]) {
	t.Helper()
	t.Run(group, func(t *testing.T) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				b := newBox(t, open)
				c.run(b, b.s)
			})
		}
	})
}

func runCapability[C any](t *testing.T, open Open, name string, cases []testCase[C]) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		probe := newBox(t, open)
		if _, ok := store.As[C](probe.s); !ok {
			t.Logf("%T is no store.%s: its cases were not run", probe.s, name)
			return
		}
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				b := newBox(t, open)
				inner, ok := store.As[C](b.s)
				if !ok {
					t.Fatalf("%T is no store.%s, though an earlier one was", b.s, name)
				}
				c.run(b, inner)
			})
		}
	})
}
