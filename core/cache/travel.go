package cache

import (
	"context"

	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/nullstore"
)

// travel is what a context carries for the caches that it is passed to. It is one value, because every
// look-up asks for it.
type travel struct {
	disabled bool
	deps     *Dependencies // nil: nobody collects
	changes  *transaction  // of OnCommit
}

type travelKey struct{}

func travelOf(ctx context.Context) *travel {
	t, _ := ctx.Value(travelKey{}).(*travel)
	return t
}

// with returns ctx with a changed copy of what it carries.
func with(ctx context.Context, change func(*travel)) context.Context {
	var t travel
	if old := travelOf(ctx); old != nil {
		t = *old
	}
	change(&t)
	return context.WithValue(ctx, travelKey{}, &t)
}

// DisabledEnv is the environment variable that switches every cache of a program off where it is "1" when
// the cache is made: nothing is found, nothing is stored, and loaders run for each call.
const DisabledEnv = "STRATA_DISABLED"

// Disabled returns a context with which nothing is looked up, and what is loaded is neither shared nor
// stored: for a preview, or to see what the cache hides. Writes and invalidations work as ever, and so do
// counters and locks.
func Disabled(ctx context.Context) context.Context {
	return with(ctx, func(t *travel) { t.disabled = true })
}

// IsDisabled reports whether ctx comes from Disabled.
func IsDisabled(ctx context.Context) bool {
	t := travelOf(ctx)
	return t != nil && t.disabled
}

func (e *engine) disabled(ctx context.Context) bool { return e.off || IsDisabled(ctx) }

// switchedOff stands in for the store of a cache that the environment has switched off.
type switchedOff struct {
	*nullstore.Store
	instead store.Store
}

// Close closes the store that is not used.
func (s switchedOff) Close() error { return s.instead.Close() }
