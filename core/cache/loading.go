package cache

import (
	"context"
	"time"
)

// Loading is what a running loader can see and say about its own result. It is not safe for concurrent
// use and has no effect once the loader has returned.
type Loading struct {
	ttl     time.Duration
	tags    []string
	noStore bool
	stale   any           // *V
	deps    *Dependencies // of a load that inherits
	kept    []string      // the deps of a value that is stored anew
}

type loadingKey struct{}

// LoadFrom returns the load that ctx belongs to. Outside a loader, and in a loader of many keys, it
// returns one that nobody looks at: it is never nil.
func LoadFrom(ctx context.Context) *Loading {
	if l, ok := ctx.Value(loadingKey{}).(*Loading); ok && l != nil {
		return l
	}
	return &Loading{}
}

// SetTTL overrides the policy's TTL and the call's for this value. It is jittered like them. 0 leaves
// them, negative means that the value is not stored. It does not apply to ErrNotFound.
func (l *Loading) SetTTL(ttl time.Duration) { l.ttl = ttl }

// AddTags adds labels to the value.
func (l *Loading) AddTags(tags ...string) { l.tags = append(l.tags, tags...) }

// NoStore says that the result must not be stored. The callers that wait for it get it nevertheless.
func (l *Loading) NoStore() { l.noStore = true }

// Stale returns the value that this load is to replace, if one is there and past its TTL. A loader that
// finds it still true returns ErrNotModified: it is then stored anew, with its tags. V is the type that is
// being loaded. The value must not be modified.
func Stale[V any](l *Loading) (V, bool) {
	v, ok := l.stale.(*V)
	if !ok {
		return *new(V), false
	}
	return *v, true
}
