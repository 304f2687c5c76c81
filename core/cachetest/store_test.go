package cachetest_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/cachetest"
	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return cachetest.NewStore(nil) })
}

func TestStoreExpiresByTheClock(t *testing.T) {
	clock := cachetest.NewClock()
	s := cachetest.NewStore(clock)
	defer s.Close()
	must(t, s.Set(ctx, "k", entry("v", clock.Now())))
	must(t, s.Set(ctx, "for ever", &store.Entry{Value: []byte("v")}))
	clock.Advance(time.Hour - time.Millisecond)
	if _, err := s.Get(ctx, "k"); err != nil {
		t.Errorf("a millisecond before its end: %v", err)
	}
	clock.Advance(time.Millisecond)
	if _, err := s.Get(ctx, "k"); !errors.Is(err, store.ErrMiss) || s.GetBorrowed([]byte("k")) != nil {
		t.Errorf("at its end: %v", err)
	}
	var keys []string
	for k, err := range s.Scan(ctx, "") {
		must(t, err)
		keys = append(keys, k)
	}
	if !slices.Equal(keys, []string{"for ever"}) {
		t.Errorf("it has %v", keys)
	}
}
