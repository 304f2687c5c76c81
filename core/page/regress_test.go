package page_test

import (
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/page"
	"github.com/strata-cache/strata/core/store/redisstore"
	"github.com/strata-cache/strata/core/store/tiered"
	"github.com/strata-cache/strata/internal/testserver"
)

// member is a node of a fleet, with options with which a machine that is busy is not taken for a server that is.
func member(t testing.TB, srv *testserver.Server, o page.Options) *page.Cache {
	t.Helper()
	shared := cache.Must(redisstore.Open(srv.URL(), redisstore.Options{OpTimeout: 5 * time.Second}))
	st := cache.Must(tiered.New(tiered.Options{Tiers: []tiered.Tier{{Store: memory(t)}, {Store: shared}}}))
	c := open(t, st, cache.Options{StoreTimeout: 5 * time.Second, Heartbeat: 5 * time.Second, DegradedL1TTL: time.Minute})
	_, _ = c.Has(context.Background(), "k") // who finds no log makes one
	return newPages(t, c, o)
}

// TestHandlersThatFailRunSideBySide: once it is known that a page's handler fails, no node waits for another's.
func TestHandlersThatFailRunSideBySide(t *testing.T) {
	srv := testserver.Redis(t)
	var nodes []*page.Cache
	for range 4 {
		nodes = append(nodes, member(t, srv, page.Options{}))
	}
	_ = nodes[0].Run(newAnswer(), get("/x"), func(http.ResponseWriter, *http.Request) error { return errHandler })
	var inside, alone atomic.Int32
	all := make(chan struct{})
	h := func(http.ResponseWriter, *http.Request) error {
		if inside.Add(1) == int32(len(nodes)) {
			close(all)
		}
		timeout := time.NewTimer(3 * time.Second)
		defer timeout.Stop()
		select {
		case <-all:
		case <-timeout.C:
			alone.Add(1)
		}
		return errHandler
	}
	var wg sync.WaitGroup
	for _, p := range nodes {
		wg.Go(func() { _ = p.Run(newAnswer(), get("/x"), h) })
	}
	wg.Wait()
	if n := alone.Load(); n > 0 {
		t.Errorf("%d of %d handlers ran alone", n, len(nodes))
	}
}

// TestWhoHasWaitedForALeaseHasTimeToMakeThePage: what the wait took is not taken from the handler's own time.
func TestWhoHasWaitedForALeaseHasTimeToMakeThePage(t *testing.T) {
	srv := testserver.Redis(t)
	opts := page.Options{HardTimeout: time.Second}
	a, b := member(t, srv, opts), member(t, srv, opts)
	inside, goOn := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = a.Run(newAnswer(), get("/x"), func(http.ResponseWriter, *http.Request) error { close(inside); <-goOn; return nil })
	})
	<-inside
	w := newAnswer()
	err := b.Run(w, get("/x"), func(w http.ResponseWriter, r *http.Request) error {
		work := time.NewTimer(100 * time.Millisecond)
		defer work.Stop()
		select {
		case <-r.Context().Done():
			return context.Cause(r.Context())
		case <-work.C:
		}
		return text("made")(w, r)
	})
	if w.status != http.StatusOK || w.text() != "made" || err != nil {
		t.Errorf("got %d, %q, %v", w.status, w.text(), err)
	}
	close(goOn)
	wg.Wait()
}

// TestWhoJoinsAPageGetsNothingOlderThanHisRequest: a page that was begun before a write is not what a request after the write gets.
func TestWhoJoinsAPageGetsNothingOlderThanHisRequest(t *testing.T) {
	ctx := context.Background()
	c := open(t, memory(t), cache.Options{})
	write := func(v string) {
		t.Helper()
		if err := cache.Set(ctx, c, "price", v); err != nil {
			t.Fatal(err)
		}
	}
	write("old")
	inside, goOn := make(chan struct{}), make(chan struct{})
	var runs atomic.Int32
	a := newApp(func(w http.ResponseWriter, r *http.Request) error {
		v, err := cache.Get[string](r.Context(), c, "price")
		if err != nil {
			return err
		}
		if runs.Add(1) == 1 {
			close(inside)
			<-goOn
		}
		_, err = io.WriteString(w, v)
		return err
	}, newPages(t, c, page.Options{}))
	first := a.begin(get("/x"))
	<-inside
	write("new")
	joined := a.begin(get("/x"))
	// The one who joins shows nowhere. If he comes later than this, there is nothing old to be had.
	arrive := time.NewTimer(200 * time.Millisecond)
	defer arrive.Stop()
	<-arrive.C
	close(goOn)
	<-first
	if got := (<-joined).text(); got != "new" {
		t.Errorf("a request that came after the write got %q", got)
	}
	if got := a.get(t, "/x").text(); got != "new" {
		t.Errorf("later: %q", got)
	}
}
