package refresh

import (
	"context"
	"time"

	"github.com/strata-cache/strata/core/store"
)

// Fleet is a queue that several processes share. What it runs, and where, is registered with it by name.
// It must be safe for concurrent use.
type Fleet interface {
	// Enqueue has the refresher called name run with arg, in whichever process is free. It reports false if
	// one with both the same is waiting or running already, as far as unique lasts: the fleet keeps no two
	// within that time. timeout is how long a run may take. Zero means a default of the fleet's, for both.
	Enqueue(ctx context.Context, name, arg string, unique, timeout time.Duration, priority store.Priority) (queued bool, err error)
}
