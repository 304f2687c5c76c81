package nullstore_test

import (
	"context"
	"errors"
	"testing"

	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/nullstore"
	"github.com/strata-cache/strata/core/store/storetest"
)

func TestContract(t *testing.T) {
	storetest.RunNull(t, func(*testing.T) store.Store { return nullstore.New() })
}

func TestZeroValue(t *testing.T) {
	var s nullstore.Store
	if err := s.Set(context.Background(), "k", &store.Entry{Value: []byte("v")}); err != nil {
		t.Errorf("Set: %v", err)
	}
	if _, err := s.Get(context.Background(), "k"); !errors.Is(err, store.ErrMiss) {
		t.Errorf("Get: %v, want store.ErrMiss", err)
	}
}
