package filter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
)

// Defaults of Options.
const (
	DefaultCapacity       = 1_000_000
	DefaultFalsePositives = 0.01
	DefaultCommitWithin   = 10 * time.Second
	DefaultCheckTimeout   = 20 * time.Millisecond
	DefaultWatch          = time.Second
	DefaultRebuildPause   = 10 * time.Second
	DefaultHoldTTL        = 10 * time.Second
	DefaultSelfCheck      = 0.01
)

// maxOwed is how many keys a filter remembers that it could not add.
const maxOwed = 100_000

// Options configure a filter. Only Name is needed, and Source by at least one process. Zero means the default,
// negative means off.
type Options struct {
	// Name tells the filter from others of the same store, and in events.
	Name string
	// Capacity is for how many keys the filter is made. It grows by itself: when it holds more, it is built
	// anew for twice as many. Processes that share it should agree; the largest wins. Default: 1,000,000,
	// which take 1.2 MB at the default rate.
	Capacity uint64
	// FalsePositives is the share of keys that do not exist and are let through all the same, from 1e-9 to
	// 0.5, while the filter holds no more than Capacity. Default: 0.01.
	FalsePositives float64
	// Source yields every key that exists: what was committed when it is called, whatever the replica or
	// snapshot that it reads. An error ends the build, which is tried again later. Nil: this process never
	// builds the filter, and only uses what others have built.
	Source func(ctx context.Context) iter.Seq2[string, error]
	// Shared keeps the bitmap for all processes. Nil: this is the only one.
	Shared store.Bitmaps

	// CommitWithin is how long after the call of Add the key's transaction is committed at the latest, and so
	// how long a build waits before it asks Source. Default: 10 seconds; negative: keys are committed before
	// Add is called, or there are none.
	CommitWithin time.Duration
	// CheckTimeout is what confirming a "no" on the shared bitmap may take; after it the answer is maybe.
	// Default: 20 ms; negative: what the store allows.
	CheckTimeout time.Duration
	// Watch is how often the shared bitmap is looked at. A filter that could not do so three times, and for a
	// second, is open. Default: 1 second.
	Watch time.Duration
	// RebuildEvery is how old a bitmap gets, as seen by this process, before it is built anew, which rids it
	// of deleted keys. Default, and negative: it is built when it is missing, full, or was wrong.
	RebuildEvery time.Duration
	// RebuildPause lies between two builds that nobody has asked for; it doubles with each failure, up to 16
	// times as long. Default: 10 seconds; negative: none.
	RebuildPause time.Duration
	// HoldTTL is after what time a process that died while it built is replaced. Default: 10 seconds.
	HoldTTL time.Duration

	// SelfCheck is the share of refused keys that are checked. Default: 0.01; negative: none.
	SelfCheck float64
	// Exists tells whether a key exists, for self-checks, in the background. Nil: a key that is to be checked
	// is let through instead, and Observe is told what the database said.
	Exists func(ctx context.Context, key string) (bool, error)

	// Observer is told of changes of state and self-checks. It may be nil.
	Observer *event.Observer
	// Logger is told of failed builds, and of keys that were wrongly refused. Nil is silent.
	Logger *slog.Logger
}

// withDefaults returns o with every field meant literally.
func (o Options) withDefaults() (Options, error) {
	o.Capacity = cmp.Or(o.Capacity, DefaultCapacity)
	o.FalsePositives = cmp.Or(o.FalsePositives, DefaultFalsePositives)
	o.SelfCheck = max(cmp.Or(o.SelfCheck, DefaultSelfCheck), 0)
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.CommitWithin, DefaultCommitWithin},
		{&o.CheckTimeout, DefaultCheckTimeout},
		{&o.Watch, DefaultWatch},
		{&o.RebuildPause, DefaultRebuildPause},
		{&o.HoldTTL, DefaultHoldTTL},
	} {
		*d.field = max(cmp.Or(*d.field, d.value), 0)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	switch m, _ := sizeFor(min(o.Capacity, math.MaxUint32), o.FalsePositives); {
	case o.Name == "" || len(o.Name) > 200:
		return o, errors.New("filter: Name has not between 1 and 200 bytes")
	case !(o.FalsePositives >= 1e-9 && o.FalsePositives <= 0.5): // not a NaN either
		return o, fmt.Errorf("filter: FalsePositives %v is not between 1e-9 and 0.5", o.FalsePositives)
	case o.Capacity > math.MaxUint32 || m > store.MaxBitmapBits:
		return o, fmt.Errorf("filter: Capacity %d needs more than 512 MiB", o.Capacity)
	case !(o.SelfCheck <= 1):
		return o, fmt.Errorf("filter: SelfCheck %v is more than 1", o.SelfCheck)
	case o.Watch == 0 || o.HoldTTL < 3*time.Millisecond:
		return o, errors.New("filter: Watch or HoldTTL is not positive")
	case o.Shared == nil && o.Source == nil:
		return o, errors.New("filter: neither Source nor Shared")
	}
	return o, nil
}
