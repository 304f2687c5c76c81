package refresh

import (
	"context"
	"errors"
	"time"

	"github.com/strata-cache/strata/core/store"
)

// ErrClosed is in the events of jobs that a closed queue did not run.
var ErrClosed = errors.New("refresh: the queue is closed")

// ErrFull is in the events of jobs that a full queue dropped.
var ErrFull = errors.New("refresh: the queue is full")

// ErrNoWork is in the events of jobs with nothing to do: no Key, or neither Run nor a Name for the fleet.
var ErrNoWork = errors.New("refresh: a job needs a key, and something to run")

// ErrSkip is what a job returns, or wraps, that found nothing to do: another process has the lease, or the
// value is fresh again. It is no failure.
var ErrSkip = errors.New("refresh: nothing to do")

// Job is one refresh.
type Job struct {
	// Key is what it renews. Of one key only one job is queued or running.
	Key string
	// Kind is for the events.
	Kind string
	// Priority decides which jobs start first, and which are dropped when the queue is full.
	Priority store.Priority
	// Timeout ends the context of Run. Zero means that it only ends with the queue; the fleet has a default
	// of its own then.
	Timeout time.Duration
	// Run renews the value, in this process. A returned error that is not ErrSkip is a failure: the key is
	// left alone for a while. It must end when its context does.
	Run func(ctx context.Context) error
	// Name and Arg are the refresher and its argument, for Options.Fleet. Without a Name the job runs here.
	Name, Arg string
	// Unique is for how long the fleet takes no second job with this Name and Arg while the first has not
	// ended. Zero leaves it to the fleet.
	Unique time.Duration
}

// Result is what became of a submission.
type Result uint8

// The results.
const (
	// Queued: the job will run, unless it is dropped for others.
	Queued Result = iota
	// Duplicate: one for the key is queued or running, or was handed to the fleet a moment ago.
	Duplicate
	// Dropped: the queue is closed, or full of jobs of a higher priority; or the job has nothing to run.
	Dropped
	// BackingOff: the last failure of the key is too recent.
	BackingOff
)

// String returns the result's name in lower case.
func (r Result) String() string {
	switch r {
	case Queued:
		return "queued"
	case Duplicate:
		return "duplicate"
	case Dropped:
		return "dropped"
	case BackingOff:
		return "backing off"
	default:
		return "unknown"
	}
}
