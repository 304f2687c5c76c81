package refresh

import (
	"context"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/strata-cache/strata/core/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// journal is an observer that remembers.
type journal struct {
	mu     sync.Mutex
	events []event.Refresh
}

func (j *journal) observe(e event.Refresh) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e.Took = 0
	j.events = append(j.events, e)
}

// of returns what happened to key, in order.
func (j *journal) of(key string) (states []event.RefreshState, last error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.events {
		if e.Key == key {
			states, last = append(states, e.State), e.Err
		}
	}
	return states, last
}

// open returns a queue that the test closes at its end.
func open(t *testing.T, opts Options) (*Queue, *journal) {
	t.Helper()
	j := new(journal)
	opts.Observer = j.observe
	q, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = q.Close(ctx) // what still runs is cancelled
	})
	return q, j
}

// until returns a Run that ends with the channel or its context.
func until(ch <-chan struct{}) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-ch:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func ok(context.Context) error { return nil }
