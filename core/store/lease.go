package store

import (
	"context"
	"time"
)

// Leaser grants the right to load and store one key to one process at a time, and wakes those who wait for
// what it loads. A lease is an economy and a fence: it is not what keeps wrong values out of a cache, which
// is the readers' comparison of stamps.
//
// A token is a random string of the caller's, at most 64 bytes; a node is the name of a process, as given to
// Wakes.
type Leaser interface {
	// Lease reads the entry under key or leases the key, in one round trip.
	Lease(ctx context.Context, key string, r LeaseRequest) (Lease, error)
	// SetLeased stores e if the lease is still held with the token, ends the lease, wakes the nodes that
	// wait with e, and reports whether it did. Otherwise it does nothing.
	SetLeased(ctx context.Context, key, token string, e *Entry) (bool, error)
	// RenewLease gives the lease a new lifetime, and reports whether it is still held with the token.
	RenewLease(ctx context.Context, key, token string, ttl time.Duration) (bool, error)
	// ReleaseLease ends a lease without a value and wakes the nodes that wait with the result. Where backOff
	// is positive, the key cannot be leased for that long, and those who ask get the result. A lease that is
	// not held with the token any more is left alone.
	ReleaseLease(ctx context.Context, key, token string, result LeaseResult, backOff time.Duration) error
	// Wakes calls wake for everything that is sent to node, until ctx ends or the connection fails; it then
	// returns the reason. ready is called once wake-ups will not be missed any more. wake must not block.
	Wakes(ctx context.Context, node string, ready func(), wake func(Wake)) error
}

// LeaseRequest is what one call of Lease wants.
type LeaseRequest struct {
	Token string
	TTL   time.Duration // how long the lease lasts if it is not renewed
	// Seen is the entry that the caller has found and cannot use: it counts as missing. May be nil.
	// Entries are compared by Created and Stamp.
	Seen *Entry
	// Node, where given, is woken when the lease of another one ends.
	Node string
}

// Lease is the answer to a LeaseRequest: an entry, the lease, or neither.
type Lease struct {
	// Entry is the fresh entry under the key, if it is another one than was seen; nothing is leased then.
	Entry *Entry
	// Granted says that the key is leased to the caller.
	Granted bool
	// Result is, where neither holds, why: LeaseHeld, or how the last one ended whose back-off still runs.
	Result LeaseResult
	// Left is how long the other one's lease, or the back-off, lasts.
	Left time.Duration
}

// LeaseResult is how a lease ended.
type LeaseResult uint8

// The results.
const (
	// LeaseHeld: it has not ended.
	LeaseHeld LeaseResult = iota
	// LeaseStored: a value was stored.
	LeaseStored
	// LeaseNotFound: there is no such value.
	LeaseNotFound
	// LeaseFailed: the load failed.
	LeaseFailed
	// LeaseFree: the holder has given it up, and the next one may load at once.
	LeaseFree
	// LeaseUncacheable: what was made is not to be stored. Whoever wants it makes it, without the lease.
	LeaseUncacheable
)

// Wake tells a node that a lease has ended.
type Wake struct {
	Key    string
	Result LeaseResult
	// Entry is what was stored, where it is small enough to travel with the message; otherwise nil.
	Entry *Entry
	// BackOff is for how long the key cannot be leased.
	BackOff time.Duration
}

// Locker is a plain distributed lock: one holder of a name at a time, for a bounded time.
type Locker interface {
	// Lock takes the lock if it is free. Where it did, fence is a number that grows with every grant of the
	// name; otherwise fence is 0 and left is how long the holder still has. Node, where given, is woken by
	// Unlock with a Wake whose Key is name.
	Lock(ctx context.Context, name, token, node string, ttl time.Duration) (fence int64, left time.Duration, err error)
	// ExtendLock gives the lock a new lifetime, and reports whether it is still held with the token.
	ExtendLock(ctx context.Context, name, token string, ttl time.Duration) (bool, error)
	// Unlock frees the lock, and reports whether it was still held with the token.
	Unlock(ctx context.Context, name, token string) (bool, error)
}
