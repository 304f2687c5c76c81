package breaker_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/strata-cache/strata/core/guard/breaker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errSick = errors.New("sick")

func open(t *testing.T, probe func(context.Context) error, opts breaker.Options) *breaker.Breaker {
	t.Helper()
	b, err := breaker.New(probe, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func well(context.Context) error { return nil }

func TestItOpens(t *testing.T) {
	tests := []struct {
		name    string
		results string // o: success, x: failure
		open    bool
	}{
		{"nothing", "", false},
		{"four in a row", "xxxx", false},
		{"five in a row", "xxxxx", true},
		{"interrupted", "xxxxoxxxx", false},
		{"half of twenty", "xoxoxoxoxoxoxoxoxoxo" + "x", true},
		{"less than half of twenty", "ooxoxoxoxoxoxoxoxoxo", false},
		{"half of fewer", "xoxoxoxoxo", false},
		{"old failures do not count", "xoxoxoxoxoxoxoxoxo" + "oooooooooooooooooooo" + "xxxx", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := open(t, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, breaker.Options{})
			for _, r := range tt.results {
				if r == 'x' {
					b.Failure()
				} else {
					b.Success()
				}
			}
			if b.Allow() == tt.open {
				t.Errorf("open: %v", !b.Allow())
			}
		})
	}
}

func TestAProbeClosesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var probes atomic.Int32
		var changes []bool
		b := open(t, func(context.Context) error {
			if probes.Add(1) < 4 {
				return errSick
			}
			return nil
		}, breaker.Options{Changed: func(open bool) { changes = append(changes, open) }})
		for range 10 {
			b.Failure()
		}
		began := time.Now()
		for !b.Allow() {
			wait(10 * time.Millisecond)
			synctest.Wait()
		}
		// Pauses of 250 ms, 500 ms, 1 s and 1 s, each up to a quarter shorter.
		if took := time.Since(began); took < 2*time.Second || took > 2800*time.Millisecond {
			t.Errorf("recovered after %v", took)
		}
		if probes.Load() != 4 || len(changes) != 2 || !changes[0] || changes[1] {
			t.Errorf("%d probes, changes %v", probes.Load(), changes)
		}
		// It begins anew.
		for range 4 {
			b.Failure()
		}
		if !b.Allow() {
			t.Error("it remembers failures from before")
		}
	})
}

func wait(d time.Duration) { <-time.After(d) }

func TestCloseEndsAProbeThatHangs(t *testing.T) {
	asked := make(chan struct{})
	b, err := breaker.New(func(ctx context.Context) error {
		close(asked)
		<-ctx.Done()
		return ctx.Err()
	}, breaker.Options{Failures: 1, Probe: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	b.Failure()
	<-asked
	b.Close()
	b.Close()
	b.Failure()
	if b.Allow() {
		t.Error("it was open when it was closed")
	}
}

func TestSlips(t *testing.T) {
	if _, err := breaker.New(nil, breaker.Options{}); err == nil {
		t.Error("no probe")
	}
	for _, o := range []breaker.Options{{Failures: -1}, {Window: -1}} {
		if _, err := breaker.New(well, o); err == nil {
			t.Errorf("%+v", o)
		}
	}
}

func TestItDoesNotAllocate(t *testing.T) {
	b := open(t, well, breaker.Options{})
	if n := testing.AllocsPerRun(100, func() { b.Allow(); b.Success() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
