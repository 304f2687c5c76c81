package cache

import (
	"errors"

	"github.com/strata-cache/strata/core/guard/flight"
	"github.com/strata-cache/strata/core/guard/keyrule"
	"github.com/strata-cache/strata/core/store"
)

// Errors of this package. Loader errors come back as they are, never wrapped.
var (
	// ErrMiss is returned by look-ups without a loader when there is no fresh value, and by Incr,
	// TTL and BumpVersion when there is nothing to work on.
	ErrMiss = store.ErrMiss
	// ErrNotFound is what a loader returns for what does not exist; it is then what callers get, from
	// the loader and from the negative cache alike.
	ErrNotFound = errors.New("cache: not found")
	// ErrNotModified is what a loader returns when the stale value it was offered still holds.
	ErrNotModified = errors.New("cache: not modified")
	// ErrRejected is found by errors.Is in the error for a key that the key rule refused.
	ErrRejected = keyrule.ErrRejected
	// ErrNotInteger is returned by Incr for a value that is not a counter.
	ErrNotInteger = store.ErrNotInteger
	// ErrOverflow is returned by Incr when the result does not fit into 64 bits.
	ErrOverflow = store.ErrOverflow
	// ErrTimeout is returned to waiters of a load that exceeded its HardTimeout. It is a
	// context.DeadlineExceeded too.
	ErrTimeout = flight.ErrTimeout
	// ErrOverload is returned where Policy.MaxLoads loads were running and none ended within LoadWait.
	ErrOverload = errors.New("cache: too many loads are running")
	// ErrNotInvalidated is found by errors.Is in the error of Update, OnCommit and what they are made of,
	// where the application's own write was made and the shared store could not be told.
	ErrNotInvalidated = errors.New("cache: other processes could not be told")
	// ErrUnreachable is found by errors.Is in the error of an operation on a store that has failed to answer
	// several times, and is not asked until a probe in the background gets an answer.
	ErrUnreachable = errors.New("cache: the store is out of reach")
	// ErrLoadFailed is returned to callers that waited for another process's load, which has failed there.
	ErrLoadFailed = errors.New("cache: the load has failed in another process")
	// ErrUnsupported is found by errors.Is in the error of an operation that the cache's store cannot
	// do; its text names the missing capability. It is errors.ErrUnsupported.
	ErrUnsupported = errors.ErrUnsupported
	// ErrUnknownCache is found by errors.Is in the error of Manager.Get for a name that is not there.
	ErrUnknownCache = errors.New("cache: unknown cache")
)

// PanicError is what callers get for a loader that panicked or called runtime.Goexit.
type PanicError = flight.PanicError
