package pagetest

import (
	"context"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// until waits for a state that can only be seen in the stacks of goroutines: nothing that a client or a
// handler can see tells that somebody else has begun to wait.
func until(t *testing.T, what string, reached func(stacks []string) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	buf := make([]byte, 1<<20)
	for {
		n := runtime.Stack(buf, true)
		if n == len(buf) {
			buf = make([]byte, 2*n)
			continue
		}
		if reached(strings.Split(string(buf[:n]), "\n\n")) {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not reached: %s", what)
		}
	}
}

// untilWaiting waits until n requests wait for the run of another one.
func untilWaiting(t *testing.T, n int) {
	t.Helper()
	until(t, "requests wait for the first one", func(stacks []string) bool {
		waiting := 0
		for _, s := range stacks {
			if strings.Contains(s, "[select") && strings.Contains(s, "core/page.(*run).together") && strings.Contains(s, "core/guard/flight.(*Call") {
				waiting++
			}
		}
		return waiting >= n
	})
}

// departures closes its channel when the client of a marked request has left and everybody has been told.
type departures struct{ gone chan struct{} }

func newDepartures() *departures { return &departures{make(chan struct{})} }

// watch is an outer middleware.
func (d *departures) watch(_ http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Leaves") != "" {
		context.AfterFunc(r.Context(), func() { close(d.gone) })
	}
}

func (d *departures) wait(t *testing.T) {
	t.Helper()
	select {
	case <-d.gone:
	case <-time.After(patience):
		t.Fatal("the server has not noticed that its client left")
	}
	until(t, "everybody knows that the client left", func(stacks []string) bool {
		for _, s := range stacks {
			if strings.Contains(s, "context.(*cancelCtx).cancel(") || strings.Contains(s, "core/page.(*run).context.func") {
				return false
			}
		}
		return true
	})
}
