package cachetest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/cachetest"
)

func received(ch <-chan time.Time) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

func TestClockStandsUntilItIsMoved(t *testing.T) {
	c := cachetest.NewClock()
	begin := c.Now()
	if !c.Now().Equal(begin) {
		t.Error("it moves by itself")
	}
	short, long, none := c.After(time.Second), c.After(time.Minute), c.After(0)
	if !received(none) || received(short) {
		t.Error("After has not waited for what it should")
	}
	c.Advance(999 * time.Millisecond)
	if received(short) {
		t.Error("a millisecond early")
	}
	c.Advance(time.Millisecond)
	if !received(short) || received(long) {
		t.Error("a second is over, and not a minute")
	}
	c.Advance(-time.Hour)
	c.Advance(time.Hour)
	if received(long) || c.Now().Sub(begin) != time.Second {
		t.Error("set back and forth it has moved")
	}
}

func TestClockTellsWhoWaits(t *testing.T) {
	c := cachetest.NewClock()
	done := make(chan error, 1)
	go func() { done <- c.AwaitWaiters(ctx, 2) }()
	c.After(time.Second)
	c.After(time.Second)
	must(t, <-done)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := c.AwaitWaiters(ended, 3); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	c.Advance(time.Second)
	if err := c.AwaitWaiters(ended, 1); err == nil {
		t.Error("who has received still waits")
	}
}
