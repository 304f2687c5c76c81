package refresh

import (
	"fmt"
	"time"

	"github.com/strata-cache/strata/core/event"
)

// Defaults of Options.
const (
	// DefaultWorkers is how many jobs run at once.
	DefaultWorkers = 8
	// DefaultCapacity is how many jobs wait.
	DefaultCapacity = 1024
	// DefaultBackOff is the pause after the first failure of a key.
	DefaultBackOff = time.Second
	// DefaultBackOffMax is the longest pause after a failure.
	DefaultBackOffMax = time.Minute
)

const (
	// maxPauses is how many failed keys are remembered.
	maxPauses = 4096
	// handOver is for how long a key that was handed to the fleet is not handed to it again. It bounds what
	// a hot stale key costs the server: a round trip a second from each process.
	handOver = time.Second
)

// Options configure a Queue. The zero value is the defaults above.
type Options struct {
	// Workers is how many jobs run at once. Zero means DefaultWorkers.
	Workers int
	// Capacity is how many jobs wait. Zero means DefaultCapacity.
	Capacity int
	// BackOff is for how long a key is left alone after a failure. Each further failure doubles it, up to
	// BackOffMax. Zero means DefaultBackOff; negative means that failures are not remembered. 4,096 failed
	// keys are remembered, the oldest is forgotten for one more.
	BackOff time.Duration
	// BackOffMax is the longest such pause. Zero means DefaultBackOffMax, or BackOff if that is longer.
	BackOffMax time.Duration
	// Fleet takes the jobs that have a Name. Nil means that all jobs run in this process. Its queue stays
	// open when this one closes.
	Fleet Fleet
	// Observer hears what becomes of each job. Cache is empty in what it gets. It is called by Submit and by
	// the workers, concurrently, must be fast, and must not call back into the queue. Nil is silent.
	Observer func(event.Refresh)
}

func (o Options) withDefaults() (Options, error) {
	if o.Workers == 0 {
		o.Workers = DefaultWorkers
	}
	if o.Capacity == 0 {
		o.Capacity = DefaultCapacity
	}
	if o.BackOff == 0 {
		o.BackOff = DefaultBackOff
	}
	if o.BackOffMax == 0 {
		o.BackOffMax = max(DefaultBackOffMax, o.BackOff)
	}
	switch {
	case o.Workers < 0:
		return o, fmt.Errorf("refresh: Workers %d", o.Workers)
	case o.Capacity < 0:
		return o, fmt.Errorf("refresh: Capacity %d", o.Capacity)
	case o.BackOffMax < 0:
		return o, fmt.Errorf("refresh: BackOffMax %v", o.BackOffMax)
	case o.BackOffMax < o.BackOff:
		return o, fmt.Errorf("refresh: BackOffMax %v is shorter than BackOff %v", o.BackOffMax, o.BackOff)
	}
	return o, nil
}
