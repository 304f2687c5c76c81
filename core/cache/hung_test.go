package cache_test

import (
	"context"
	"errors"
	"testing"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/codec"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/memstore"
)

// slowServer gives up by itself, as a client with a time limit of its own does.
type slowServer struct {
	store.Store
	gets, sets int
}

type ownTimeoutError struct{}

func (ownTimeoutError) Error() string { return "no answer in time" }
func (ownTimeoutError) Timeout() bool { return true }

func (s *slowServer) Get(context.Context, string) (*store.Entry, error) {
	s.gets++
	return nil, ownTimeoutError{}
}

func (s *slowServer) Set(context.Context, string, *store.Entry) error {
	s.sets++
	return ownTimeoutError{}
}

func (s *slowServer) Close() error { return nil }

func TestAStoresOwnTimeoutIsWaitedForOnce(t *testing.T) {
	st := &slowServer{}
	c, err := cache.New(st, cache.Options{})
	must(t, err)
	defer c.Close()
	v, err := cache.Fetch(t.Context(), c, "k", func(context.Context) (int, error) { return 1, nil })
	if v != 1 || err != nil {
		t.Fatalf("Fetch = %d, %v", v, err)
	}
	if st.gets != 1 || st.sets != 0 {
		t.Errorf("the store was asked %d times and written %d times, after it had not answered once", st.gets, st.sets)
	}
}

func TestNewNeedsAStore(t *testing.T) {
	for _, st := range []store.Store{nil, (*memstore.Store)(nil)} {
		if _, err := cache.New(st, cache.Options{}); err == nil {
			t.Errorf("New(%T) takes it", st)
		}
	}
}

func TestNewKindRefusesWhatItsCodecCannotHold(t *testing.T) {
	c, err := cache.New(&slowServer{}, cache.Options{})
	must(t, err)
	defer c.Close()
	_, err = cache.NewKind(c, "k", cache.KindOptions[int, map[string]int]{Codec: codec.Gob()})
	if !errors.Is(err, codec.ErrUnsupportedType) {
		t.Errorf("NewKind = %v", err)
	}
}

func TestCallsOverManyKeysCountWhatTheCacheKnew(t *testing.T) {
	var calls []event.Call
	c := open(t, memory(t), cache.Options{Observer: &event.Observer{Call: func(_ context.Context, e event.Call) { calls = append(calls, e) }}})
	k, err := cache.NewKind(c, "k", cache.KindOptions[int, int]{
		LoadMany: func(context.Context, []int) (map[int]int, error) { return nil, nil },
	})
	must(t, err)
	for _, ids := range [][]int{{}, {1, 2}, {1, 2, 2}} {
		_, err := k.GetMany(t.Context(), ids)
		must(t, err)
	}
	if len(calls) != 2 || calls[0].Misses != 2 || calls[0].Hits != 0 || calls[1].Hits != 2 || calls[1].Misses != 0 {
		t.Errorf("calls %+v", calls)
	}
}
