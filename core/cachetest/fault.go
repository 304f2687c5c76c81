package cachetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/strata-cache/strata/core/store"
)

// ErrInjected is what an operation returns that meets a Fault without an Err of its own.
var ErrInjected = errors.New("cachetest: injected")

// Op is a set of store operations.
type Op uint16

// The operations. Those over many keys, and those by other names that come to the same, are included.
const (
	OpGet    Op = 1 << iota // a look-up of any kind
	OpSet                   // an unconditional write, under a lease or not
	OpAdd                   // a write if absent
	OpDelete                // a deletion of keys
	OpClear                 // the removal of a prefix
	OpTouch                 // new instants for an entry
	OpIncr                  // a counter
	OpScan                  // an enumeration of keys
	OpPing                  // the question whether it answers
	OpLease                 // what a lease needs, but for the write; its keys are those leased
	OpLock                  // a distributed lock; its keys are the names
	OpAppend                // a change that is recorded in the log; its keys are those written and deleted
	OpRead                  // a look into the log, which has no keys
	OpBitmap                // any work on a shared bitmap; its keys are the names
)

// Fault is what a Chaos does to operations. An operation over many keys meets a fault of which one of its keys
// does; but Drop, Corrupt and Change are about single keys. Delay and Until come first, then one of Hang, Err,
// Drop and Corrupt; a Fault with none of these and no Change, Delay or Until is an Err of ErrInjected.
type Fault struct {
	// Op says which operations. Zero: all.
	Op Op
	// Key is a pattern for keys as the store has them, with the cache's namespace, in which * stands for any
	// bytes. Empty: any key, or none.
	Key string
	// Times is how many operations meet it before it ends. Zero: no end.
	Times int

	// Delay is how long an operation waits by the clock of the Chaos before it goes on.
	Delay time.Duration
	// Until is closed when the operation may go on.
	Until <-chan struct{}
	// Hang says that there is no answer until the operation's context ends.
	Hang bool
	// Err is returned in place of an answer, and nothing is done.
	Err error
	// Drop says that a write reports success and is not done, and that what is read is not there. Of an append
	// the entries are dropped, and the record is written.
	Drop bool
	// Corrupt says that what is read is store.ErrCorrupt, as stores that verify a checksum say.
	Corrupt bool
	// Change replaces what is read. It must not modify the entry, which others have as well; nil is a miss.
	Change func(key string, e *store.Entry) *store.Entry
}

// armed is a fault in use.
type armed struct {
	Fault
	left int // of Times
	met  int
}

// plain says that the fault is nothing but an error.
func (f *Fault) plain() bool {
	return f.Delay == 0 && f.Until == nil && !f.Hang && !f.Drop && !f.Corrupt && f.Change == nil
}

// meets reports whether an operation on the keys is meant.
func (f *Fault) meets(op Op, keys []string) bool {
	if f.Op != 0 && f.Op&op == 0 {
		return false
	}
	if f.Key == "" {
		return true
	}
	return slices.ContainsFunc(keys, f.on)
}

func (f *Fault) on(key string) bool { return f.Key == "" || match(f.Key, key) }

// match reports whether s is the pattern, whose stars stand for any bytes.
func match(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == s
	}
	s, is := strings.CutPrefix(s, parts[0])
	if !is {
		return false
	}
	last := len(parts) - 1
	for _, p := range parts[1:last] {
		i := strings.Index(s, p)
		if i < 0 {
			return false
		}
		s = s[i+len(p):]
	}
	return strings.HasSuffix(s, parts[last])
}

// pass lets the operation meet the fault, and returns what ends it.
func (f *Fault) pass(ctx context.Context, clock *Clock) error {
	if f.Delay > 0 {
		ch := clock.After(f.Delay)
		select {
		case <-ch:
		case <-ctx.Done():
			clock.drop(ch)
			return context.Cause(ctx)
		}
	}
	if f.Until != nil {
		select {
		case <-f.Until:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	switch {
	case f.Hang:
		<-ctx.Done()
		return context.Cause(ctx)
	case f.Err != nil:
		return f.Err
	case f.plain():
		return ErrInjected
	}
	return nil
}

// verdict is what becomes of an operation's keys.
type verdict []Fault

func (v verdict) drop(key string) bool {
	for i := range v {
		if v[i].Drop && v[i].on(key) {
			return true
		}
	}
	return false
}

// entry is e as the faults want it read.
func (v verdict) entry(key string, e *store.Entry) (*store.Entry, error) {
	for i := range v {
		f := &v[i]
		switch {
		case e == nil:
			return nil, store.ErrMiss
		case !f.on(key):
		case f.Drop:
			return nil, store.ErrMiss
		case f.Corrupt:
			return nil, store.ErrCorrupt
		case f.Change != nil:
			e = f.Change(key, e)
		}
	}
	if e == nil {
		return nil, store.ErrMiss
	}
	return e, nil
}
