package memstore

import (
	"fmt"
	"math"

	"github.com/strata-cache/strata/core/event"
)

// Defaults of Options.
const (
	// DefaultMaxBytes is what a store holds at most: 64 MiB.
	DefaultMaxBytes = 64 << 20
	// DefaultMaxEntryBytes is the weight of the largest entry a store takes: 8 MiB.
	DefaultMaxEntryBytes = 8 << 20
	// DefaultName is the store's name in its events.
	DefaultName = "memory"
)

// unbounded stands for "no limit": far beyond any memory, and far from overflow in sums.
const unbounded = math.MaxInt64 / 4

// Options configure a store. The zero value is a bounded store with the defaults above.
type Options struct {
	// MaxBytes bounds the sum of the entries' weights (store.Entry.Weight) over all priorities. Zero
	// means DefaultMaxBytes, negative means no bound. Under a flood of writes the store may exceed it
	// by about 3 %, until 5 seconds after the last one at most.
	MaxBytes int64
	// MaxEntryBytes is the weight of the largest entry that is taken; a larger one is refused with
	// store.ErrTooLarge. Zero means DefaultMaxEntryBytes, or MaxBytes where that is less. Negative
	// means MaxBytes. More than 4 GiB is never taken.
	MaxEntryBytes int64
	// Name is the store's name in its events. Empty means DefaultName.
	Name string
	// Observer receives an Evict event for each entry that is dropped to make room; not for entries
	// that are deleted, replaced or expired, nor for what Close drops. Its Evict runs while the store holds internal locks: it
	// must be fast and must not call the store. Nil means no events.
	Observer *event.Observer
}

// withDefaults returns o with every field meant literally.
func (o Options) withDefaults() (Options, error) {
	switch {
	case o.MaxBytes == 0:
		o.MaxBytes = DefaultMaxBytes
	case o.MaxBytes < 0 || o.MaxBytes > unbounded:
		o.MaxBytes = unbounded
	}
	switch {
	case o.MaxEntryBytes > o.MaxBytes && o.MaxBytes < unbounded:
		return o, fmt.Errorf("memstore: MaxEntryBytes %d is more than MaxBytes %d", o.MaxEntryBytes, o.MaxBytes)
	case o.MaxEntryBytes == 0:
		o.MaxEntryBytes = min(DefaultMaxEntryBytes, o.MaxBytes)
	case o.MaxEntryBytes < 0:
		o.MaxEntryBytes = o.MaxBytes
	}
	// The weight of one entry has 32 bits in the eviction policy.
	o.MaxEntryBytes = min(o.MaxEntryBytes, math.MaxUint32)
	if o.Name == "" {
		o.Name = DefaultName
	}
	if o.Observer == nil {
		o.Observer = &event.Observer{}
	}
	return o, nil
}
