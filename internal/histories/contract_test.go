package histories_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/memstore"
	"github.com/strata-cache/strata/core/store/redisstore"
	"github.com/strata-cache/strata/internal/testserver"
)

// What histories have shown to go wrong, each in its smallest form.

// record is a cache of one value with a tag, whose version 0 is absence, and of a copy that is built from it.
type record struct {
	*cache.Cache
	db      *atomic.Int64
	objects *cache.Kind[int, int64]
	copies  *cache.Kind[int, int64]
}

// newRecord opens a cache over st. read, where given, is called after the database was read.
func newRecord(t *testing.T, st store.Store, db *atomic.Int64, many bool, read func()) *record {
	t.Helper()
	c, err := cache.New(st, cache.Options{StoreTimeout: 5 * time.Second, Heartbeat: 5 * time.Second, DegradedL1TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	r := &record{Cache: c, db: db}
	o := cache.KindOptions[int, int64]{
		Tags: func(int, int64) []string { return []string{"t"} },
		Load: func(ctx context.Context, _ int) (int64, error) {
			cache.LoadFrom(ctx).AddTags("t")
			v := db.Load()
			if v == 0 {
				return 0, cache.ErrNotFound
			}
			return v, nil
		},
	}
	if many {
		o.LoadMany = func(_ context.Context, ids []int) (map[int]int64, error) {
			out := make(map[int]int64)
			v := db.Load()
			for _, id := range ids {
				out[id] = v
			}
			read()
			return out, nil
		}
	}
	r.objects = cache.Must(cache.NewKind(c, "object", o))
	r.copies = cache.Must(cache.NewKind(c, "copy", cache.KindOptions[int, int64]{
		Inherit: true,
		Load: func(ctx context.Context, id int) (int64, error) {
			v, err := r.objects.Get(ctx, id)
			if errors.Is(err, cache.ErrNotFound) {
				err = nil
			}
			return v, err
		},
	}))
	return r
}

func near(t *testing.T) store.Store {
	t.Helper()
	return cache.Must(memstore.New(memstore.Options{}))
}

func far(t *testing.T, srv *testserver.Server) store.Store {
	t.Helper()
	return cache.Must(redisstore.Open(srv.URL(), redisstore.Options{OpTimeout: 5 * time.Second}))
}

func wantVersion(t *testing.T, wanted int64) func(int64, error) {
	t.Helper()
	return func(got int64, err error) {
		t.Helper()
		if got != wanted || err != nil {
			t.Errorf("got %d, %v; want %d", got, err, wanted)
		}
	}
}

// TestATagEndsWhatAnotherProcessHasFoundMissing: that it was missing is told to those who ask next.
func TestATagEndsWhatAnotherProcessHasFoundMissing(t *testing.T) {
	srv := testserver.Redis(t)
	var db atomic.Int64
	a, b := newRecord(t, far(t, srv), &db, false, nil), newRecord(t, far(t, srv), &db, false, nil)
	_, _ = b.objects.Get(t.Context(), 2) // both have read the log
	if _, err := a.objects.Get(t.Context(), 1); !errors.Is(err, cache.ErrNotFound) {
		t.Fatal(err)
	}
	db.Store(1)
	if err := b.InvalidateTags(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	wantVersion(t, 1)(b.objects.Get(t.Context(), 1))
}

// TestATagEndsWhatWasBuiltFromARememberedAbsence: the absence bears the tags that its loader gave it.
func TestATagEndsWhatWasBuiltFromARememberedAbsence(t *testing.T) {
	var db atomic.Int64
	r := newRecord(t, near(t), &db, false, nil)
	if _, err := r.objects.Get(t.Context(), 1); !errors.Is(err, cache.ErrNotFound) {
		t.Fatal(err)
	}
	wantVersion(t, 0)(r.copies.Get(t.Context(), 1))
	db.Store(1)
	if err := r.InvalidateTags(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	wantVersion(t, 1)(r.copies.Get(t.Context(), 1))
}

// TestManyThatWereOvertakenHaveNotFailed: others may load them at once.
func TestManyThatWereOvertakenHaveNotFailed(t *testing.T) {
	srv := testserver.Redis(t)
	var db atomic.Int64
	db.Store(1)
	var a *record
	a = newRecord(t, far(t, srv), &db, true, func() {
		db.Store(2)
		if err := a.InvalidateTags(context.Background(), "t"); err != nil {
			t.Error(err)
		}
	})
	b := newRecord(t, far(t, srv), &db, false, nil)
	_, _ = b.objects.Get(t.Context(), 2)
	if _, err := a.objects.GetMany(t.Context(), []int{1}); err != nil {
		t.Fatal(err)
	}
	wantVersion(t, 2)(b.objects.Get(t.Context(), 1))
}

// TestGetManyDoesNotReturnWhatATagHasOvertaken: it waits for a load that began before the invalidation, whose
// result is too old for it.
func TestGetManyDoesNotReturnWhatATagHasOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var db atomic.Int64
		db.Store(1)
		release := make(chan struct{})
		r := newRecord(t, near(t), &db, true, func() { <-release })
		first, second := make(chan map[int]int64, 1), make(chan map[int]int64, 1)
		ask := func(to chan map[int]int64) {
			got, err := r.objects.GetMany(t.Context(), []int{1})
			if err != nil {
				t.Error(err)
			}
			to <- got
		}
		go ask(first)
		synctest.Wait()
		db.Store(2)
		if err := r.InvalidateTags(t.Context(), "t"); err != nil {
			t.Fatal(err)
		}
		go ask(second)
		synctest.Wait()
		close(release)
		if got := (<-first)[1]; got != 1 {
			t.Errorf("who came before: %d", got)
		}
		if got := (<-second)[1]; got != 2 {
			t.Errorf("who came after: %d", got)
		}
	})
}

// TestWhatIsBuiltDuringAWriteIsNotKept: like what it is built from, it may be older than the write.
func TestWhatIsBuiltDuringAWriteIsNotKept(t *testing.T) {
	var db atomic.Int64
	db.Store(1)
	r := newRecord(t, near(t), &db, false, nil)
	err := r.objects.Update(t.Context(), 1, func(context.Context) error {
		wantVersion(t, 1)(r.copies.Get(t.Context(), 1))
		db.Store(2)
		wantVersion(t, 2)(r.copies.Get(t.Context(), 1))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
