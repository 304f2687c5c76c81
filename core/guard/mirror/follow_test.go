package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
)

// process is one of several: a mirror, its follower and what that has reported.
type process struct {
	*Mirror
	f   *Follower
	log store.Log

	mu      sync.Mutex
	states  []string
	errs    []error
	trimmed int
}

func startProcess(t testing.TB, log store.Log, opts FollowOptions) *process {
	n := &process{Mirror: New(Options{}), log: log}
	opts.Notify = func(state event.LogState, err error) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.states = append(n.states, state.String())
		if err != nil {
			n.errs = append(n.errs, err)
		}
	}
	opts.Trimmed = func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.trimmed++
	}
	n.f = NewFollower(n.Mirror, log, opts)
	t.Cleanup(func() {
		if err := n.f.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// said returns what was reported since it was last called.
func (n *process) said() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := strings.Join(n.states, " ")
	n.states = nil
	return s
}

// invalidate does what a cache does.
func (n *process) invalidate(ctx context.Context, list ...store.Invalidation) error {
	c := store.Change{Items: list}
	a, err := n.log.Append(ctx, c, n.Applied())
	if errors.Is(err, store.ErrLogLost) {
		if err = n.f.Resync(ctx); err == nil {
			a, err = n.log.Append(ctx, c, n.Applied())
		}
	}
	if err != nil {
		n.Doubt(list...)
		return err
	}
	if a.Gap || n.Apply(a.Records...) != nil {
		if err := n.f.CatchUp(ctx); err != nil {
			n.Doubt(list...)
		}
	}
	return nil
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pause lets fake time pass.
func pause(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// stamped returns an entry that is loaded now.
func (n *process) stamped() *store.Entry {
	return &store.Entry{Stamp: n.Applied(), Times: store.Times{Created: time.Now().UnixMilli()}}
}

func (n *process) want(t *testing.T, key string, e *store.Entry, v Verdict) {
	t.Helper()
	if got := n.Judge(key, e, false); got != v {
		t.Errorf("%q stamped %v: judged %d, want %d; applied %v", key, e.Stamp, got, v, n.Applied())
	}
}

func (n *process) wantSaid(t *testing.T, want string) {
	t.Helper()
	if got := n.said(); got != want {
		t.Errorf("reported %q, want %q", got, want)
	}
}

func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

func TestFollowerBeginsANewLog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := &server{}
		n := startProcess(t, &client{to: srv}, FollowOptions{})
		if !n.Blind() {
			t.Error("it sees before it has looked")
		}
		old := &store.Entry{} // from before the log was lost
		must(t, n.f.WaitSynced(t.Context()))
		if n.Blind() {
			t.Error("it is blind though synced")
		}
		n.want(t, "k", old, Invalid)
		n.want(t, "k", n.stamped(), Valid)
		n.wantSaid(t, "synced")
		second := startProcess(t, &client{to: srv}, FollowOptions{})
		must(t, second.f.WaitSynced(t.Context()))
		second.want(t, "k", old, Invalid)
		second.want(t, "k", n.stamped(), Valid)
		if len(srv.records) != 2 {
			t.Errorf("the log has %d records, an origin and another are enough", len(srv.records))
		}
	})
}

func TestFollowerReplaysALog(t *testing.T) {
	for _, c := range []struct {
		name    string
		trimmed int // records
		few     int
		plain   Verdict // of an entry without a stamp or label
	}{
		{"from its origin", 0, 0, Invalid},
		{"in pieces", 0, 7, Invalid},
		{"that was trimmed", 5, 0, Valid},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				srv := &server{few: c.few}
				for i := range 50 {
					if i == 0 {
						srv.put(nil, store.Position{})
					}
					srv.put(items(key(fmt.Sprint("k", i)), tag(fmt.Sprint("t", i))), store.Position{})
				}
				at := srv.records[c.trimmed].Position
				srv.records = srv.records[c.trimmed:]
				n := startProcess(t, &client{to: srv}, FollowOptions{})
				must(t, n.f.WaitSynced(t.Context()))
				if n.Applied() != srv.last().Position {
					t.Errorf("applied %v of %v", n.Applied(), srv.last().Position)
				}
				n.want(t, "k49", &store.Entry{Stamp: at}, Invalid)
				n.want(t, "x", &store.Entry{Stamp: at, Tags: []string{"t49"}}, Invalid)
				n.want(t, "x", &store.Entry{Stamp: at, Tags: []string{"u"}}, Valid)
				n.want(t, "x", &store.Entry{Tags: []string{"u"}}, Invalid)
				n.want(t, "x", &store.Entry{}, c.plain)
				n.wantSaid(t, "synced")
			})
		})
	}
}

func TestFollowerHearsOthersAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := &server{}
		a := startProcess(t, &client{to: srv}, FollowOptions{})
		b := startProcess(t, &client{to: srv}, FollowOptions{})
		must(t, a.f.WaitSynced(t.Context()))
		must(t, b.f.WaitSynced(t.Context()))
		synctest.Wait()
		for i := range 100 {
			e := b.stamped()
			must(t, a.invalidate(t.Context(), key("k")))
			a.want(t, "k", e, Invalid)
			synctest.Wait()
			b.want(t, "k", e, Invalid)
			b.want(t, "k", b.stamped(), Valid)
			if i%10 == 9 {
				must(t, b.invalidate(t.Context(), key("other")))
				synctest.Wait()
			}
		}
		if a.Applied() != b.Applied() {
			t.Errorf("%v and %v", a.Applied(), b.Applied())
		}
		was := srv.reads.Load()
		pause(time.Minute)
		if a.Blind() || b.Blind() {
			t.Error("blind in a quiet minute")
		}
		if reads := srv.reads.Load() - was; reads > 130 {
			t.Errorf("%d reads in a quiet minute", reads)
		}
	})
}

func TestFollowerOverABrokenConnection(t *testing.T) {
	for _, c := range []struct {
		name   string
		breaks func(s *server, yes bool)
	}{
		{"down", func(s *server, yes bool) { s.down = yes }},
		{"hung", func(s *server, yes bool) { s.hung = yes }},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				srv := &server{}
				n := startProcess(t, &client{to: srv}, FollowOptions{})
				other := startProcess(t, &client{to: srv}, FollowOptions{})
				must(t, n.f.WaitSynced(t.Context()))
				must(t, other.f.WaitSynced(t.Context()))
				synctest.Wait()
				n.said()
				e := n.stamped()
				srv.set(func(s *server) { c.breaks(s, true) })
				pause(1900 * time.Millisecond) // a heartbeat had begun, at most a second before
				if n.Blind() {
					t.Error("blind after less than two seconds")
				}
				n.wantSaid(t, "")
				pause(1200 * time.Millisecond)
				if !n.Blind() {
					t.Error("not blind after three seconds")
				}
				n.wantSaid(t, "blind")
				if len(n.errs) == 0 {
					t.Error("nobody is told why it is blind")
				}
				n.want(t, "k", e, Valid)
				pause(2100 * time.Millisecond)
				n.want(t, "k", e, Invalid)
				if v := n.Judge("k", n.stamped(), true); v != Valid {
					t.Errorf("what was just loaded is judged %d", v)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				if n.f.WaitSynced(ctx) == nil || n.f.CatchUp(ctx) == nil {
					t.Error("synced with what is out of reach")
				}
				cancel()
				pause(time.Minute)
				n.wantSaid(t, "")
				srv.set(func(s *server) { c.breaks(s, false) })
				pause(3 * time.Second)
				if n.Blind() {
					t.Error("blind after the log is back")
				}
				n.wantSaid(t, "synced")
				n.want(t, "k", e, Valid)
				must(t, other.invalidate(t.Context(), key("k")))
				synctest.Wait()
				n.want(t, "k", e, Invalid)
			})
		})
	}
}

func TestFollowerBeforeThereIsAServer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := &server{down: true}
		n := startProcess(t, &client{to: srv}, FollowOptions{})
		pause(10 * time.Second)
		n.wantSaid(t, "blind")
		if !errors.Is(errors.Join(n.errs...), errDown) {
			t.Errorf("told %v", n.errs)
		}
		srv.set(func(s *server) { s.down = false })
		pause(maxRetry)
		if n.Blind() {
			t.Error("still blind")
		}
		n.wantSaid(t, "synced")
	})
}

func TestFollowerCloses(t *testing.T) {
	for _, c := range []struct {
		name string
		srv  *server
	}{
		{"while it waits", &server{}},
		{"while nothing answers", &server{hung: true}},
		{"while it pauses", &server{down: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := startProcess(t, &client{to: c.srv}, FollowOptions{})
				pause(10 * time.Second)
				caught := make(chan error, 1)
				go func() { caught <- n.f.CatchUp(context.Background()) }()
				synctest.Wait()
				began := time.Now()
				must(t, n.f.Close())
				must(t, n.f.Close())
				if took := time.Since(began); took != 0 {
					t.Errorf("it took %v", took)
				}
				if err := <-caught; c.srv.hung && err == nil {
					t.Error("caught up with what does not answer")
				}
				if !n.Blind() {
					t.Error("it sees though nobody looks")
				}
				if !errors.Is(n.f.CatchUp(t.Context()), ErrClosed) || !errors.Is(n.f.WaitSynced(t.Context()), ErrClosed) {
					t.Error("not ErrClosed")
				}
			})
		})
	}
}

func TestCloseEndsACallersSync(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := &server{}
		n := startProcess(t, &client{to: srv}, FollowOptions{})
		must(t, n.f.WaitSynced(t.Context()))
		synctest.Wait()
		srv.mu.Lock()
		srv.hung = true // the reader waits and does not notice yet
		srv.mu.Unlock()
		caught := make(chan error, 1)
		go func() { caught <- n.f.CatchUp(context.Background()) }()
		synctest.Wait()
		began := time.Now()
		must(t, n.f.Close())
		if err := <-caught; err == nil || time.Since(began) != 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestCatchUpIsShared(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := &server{}
		n := startProcess(t, &client{to: srv}, FollowOptions{})
		must(t, n.f.WaitSynced(t.Context()))
		synctest.Wait()
		srv.set(func(s *server) { s.hung = true })
		var calls sync.WaitGroup
		for range 100 {
			calls.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				_ = n.f.CatchUp(ctx)
			})
		}
		began := time.Now()
		calls.Wait()
		if took := time.Since(began); took != 100*time.Millisecond {
			t.Errorf("callers with a deadline of 100 ms have waited for %v", took)
		}
		was := srv.reads.Load()
		srv.set(func(s *server) { s.hung = false; s.put(items(key("k")), store.Position{}) })
		for range 100 {
			calls.Go(func() {
				if err := n.f.CatchUp(t.Context()); err != nil {
					t.Error(err)
				}
				if n.Applied() != srv.last().Position {
					t.Error("not caught up")
				}
			})
		}
		calls.Wait()
		if reads := srv.reads.Load() - was; reads > 10 {
			t.Errorf("%d reads for 100 callers at once", reads)
		}
	})
}

func TestFollowerPassedByTrimming(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := &server{}
		c := &client{to: srv}
		n := startProcess(t, c, FollowOptions{})
		other := startProcess(t, &client{to: srv}, FollowOptions{})
		must(t, n.f.WaitSynced(t.Context()))
		must(t, other.f.WaitSynced(t.Context()))
		synctest.Wait()
		n.said()
		e, labelled := n.stamped(), n.stamped()
		labelled.Tags = []string{"a3"}
		c.turnTo(&server{hung: true})
		for i := range 20 {
			must(t, other.invalidate(t.Context(), key(fmt.Sprint(i)), tag(fmt.Sprint("a", i))))
		}
		srv.set(func(s *server) { s.records = s.records[15:] })
		c.turnTo(srv)
		pause(10 * time.Second)
		if n.trimmed != 1 || n.Applied() != other.Applied() || n.Blind() {
			t.Errorf("told %d times, applied %v of %v, blind %v", n.trimmed, n.Applied(), other.Applied(), n.Blind())
		}
		n.want(t, "x", labelled, Invalid)
		n.want(t, "x", e, Valid) // the store has forgotten what was invalidated by its key
		if !strings.Contains(n.said(), "trimmed") {
			t.Error("not reported")
		}
	})
}

func TestFollowerIsNotTrimmedWhenNothingIsMissed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := &server{}
		n := startProcess(t, &client{to: srv}, FollowOptions{})
		must(t, n.f.WaitSynced(t.Context()))
		synctest.Wait()
		srv.set(func(s *server) {
			s.put(items(key("k")), store.Position{})
			s.records = s.records[len(s.records)-1:]
		})
		pause(5 * time.Second)
		n.wantSaid(t, "synced")
		if n.trimmed != 0 || n.Applied() != srv.last().Position {
			t.Error("trimmed")
		}
	})
}

// lost sets up nodes that have applied ten records, of which the log loses all but keep.
func lost(t *testing.T, nodes, keep int, opts FollowOptions) (*server, *client, []*process, *store.Entry) {
	t.Helper()
	old := &server{}
	c := &client{to: old}
	all := make([]*process, nodes)
	for i := range all {
		all[i] = startProcess(t, c, opts)
		must(t, all[i].f.WaitSynced(t.Context()))
	}
	var e *store.Entry
	for i := range 10 {
		if i == 8 {
			e = all[0].stamped()
		}
		must(t, all[0].invalidate(t.Context(), key(fmt.Sprint("k", i)), tag(fmt.Sprint("t", i))))
	}
	synctest.Wait()
	for _, n := range all {
		n.said()
	}
	restored := old.fork(keep).late()
	c.turnTo(restored)
	return restored, c, all, e
}

func TestALogThatWentBackGetsItsRecordsAgain(t *testing.T) {
	for _, later := range []int{0, 1, 5} { // records that others have appended before anybody noticed
		t.Run(fmt.Sprint(later, " later"), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				srv, c, nodes, e := lost(t, 3, 8, FollowOptions{})
				fresh := startProcess(t, c, FollowOptions{})
				stale := &store.Entry{} // what a new process may have stored meanwhile
				srv.set(func(s *server) {
					for i := range later {
						s.put(items(key(fmt.Sprint("new", i))), store.Position{})
					}
					stale.Stamp = s.last().Position
				})
				mine := nodes[0].stamped() // loaded before anybody knew of the later ones
				pause(5 * time.Second)
				for _, n := range append(nodes, fresh) {
					if n.Applied() != srv.last().Position || n.Blind() {
						t.Errorf("applied %v of %v, blind %v", n.Applied(), srv.last().Position, n.Blind())
					}
					n.want(t, "k9", e, Invalid)
					n.want(t, "k9", stale, Invalid)
					n.want(t, "x", &store.Entry{Stamp: stale.Stamp, Tags: []string{"t9"}}, Invalid)
					n.want(t, "x", nodes[0].stamped(), Valid)
					for i := range later {
						n.want(t, fmt.Sprint("new", i), mine, Invalid)
					}
					if v := n.Judge("unrelated", mine, true); v != Valid {
						t.Error("the log was flushed")
					}
				}
				for _, n := range nodes {
					if said := n.said(); !strings.Contains(said, "rebased") || strings.Contains(said, "flushed") {
						t.Errorf("reported %q", said)
					}
				}
				if !slices.Contains(srv.deleted, "k9") || slices.Contains(srv.deleted, "k1") {
					t.Errorf("deleted %v: what has come back with the log, and nothing else", srv.deleted)
				}
				if n := len(srv.records); n > 8+later+5 {
					t.Errorf("the log has %d records: they were put back more than once", n)
				}
			})
		})
	}
}

func TestALogThatNobodyCanRepairIsFlushed(t *testing.T) {
	for _, c := range []struct {
		name string
		keep int
		opts FollowOptions
	}{
		{"deleted", 0, FollowOptions{}},
		{"went back too far", 3, FollowOptions{Buffer: 4}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				srv, cl, nodes, e := lost(t, 3, c.keep, c.opts)
				pause(5 * time.Second)
				fresh := startProcess(t, cl, c.opts)
				must(t, fresh.f.WaitSynced(t.Context()))
				synctest.Wait()
				for _, n := range append(nodes, fresh) {
					if n.Applied() != srv.last().Position || n.Blind() {
						t.Errorf("applied %v of %v, blind %v", n.Applied(), srv.last().Position, n.Blind())
					}
					n.want(t, "k9", e, Invalid)
					n.want(t, "x", e, Invalid)
					n.want(t, "x", nodes[0].stamped(), Valid)
				}
				for _, n := range nodes {
					if said := n.said(); !strings.Contains(said, "flushed") {
						t.Errorf("reported %q", said)
					}
				}
			})
		})
	}
}

func TestALogThatIsDeletedAgainAndAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := &server{}
		n := startProcess(t, &client{to: srv}, FollowOptions{})
		must(t, n.f.WaitSynced(t.Context()))
		for range 20 {
			e := n.stamped()
			srv.set(func(s *server) { s.records = nil })
			must(t, n.invalidate(t.Context(), key("k")))
			n.want(t, "k", e, Invalid)
			n.want(t, "x", e, Invalid)
			n.want(t, "k", n.stamped(), Valid)
		}
	})
}

func TestARepairThatFailsIsTriedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv, _, nodes, e := lost(t, 1, 8, FollowOptions{})
		srv.set(func(s *server) { s.refuse = 2 })
		pause(5 * time.Second)
		n := nodes[0]
		if n.Applied() != srv.last().Position || n.Blind() || !strings.Contains(n.said(), "rebased") {
			t.Errorf("applied %v of %v, blind %v", n.Applied(), srv.last().Position, n.Blind())
		}
		n.want(t, "k9", e, Invalid)
	})
}

func TestAnAppendThatFindsTheLogLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv, _, nodes, e := lost(t, 2, 8, FollowOptions{})
		must(t, nodes[0].invalidate(t.Context(), key("mine")))
		nodes[0].want(t, "mine", e, Invalid)
		if nodes[0].Applied() != srv.last().Position {
			t.Error("not in step after its own append")
		}
		pause(5 * time.Second)
		nodes[1].want(t, "mine", e, Invalid)
		nodes[1].want(t, "k9", e, Invalid)
	})
}

func TestALogWithAForeignRecordInIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := &server{}
		n := startProcess(t, &client{to: srv}, FollowOptions{})
		must(t, n.f.WaitSynced(t.Context()))
		synctest.Wait()
		e := n.stamped()
		srv.set(func(s *server) {
			s.put(items(of(store.InvalidatePrefix, "")), store.Position{})
			s.records[len(s.records)-1].Prev = store.Position{}
			s.put(items(key("k")), store.Position{})
		})
		pause(5 * time.Second)
		if n.Applied() != srv.last().Position || n.Blind() {
			t.Errorf("applied %v of %v", n.Applied(), srv.last().Position)
		}
		n.want(t, "x", e, Invalid)
		n.want(t, "x", n.stamped(), Valid)
	})
}

func TestDoubtsAreSettled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := &server{}
		n := startProcess(t, &client{to: srv}, FollowOptions{})
		other := startProcess(t, &client{to: srv}, FollowOptions{})
		must(t, n.f.WaitSynced(t.Context()))
		must(t, other.f.WaitSynced(t.Context()))
		synctest.Wait()
		e := n.stamped()
		srv.set(func(s *server) { s.down = true })
		if n.invalidate(t.Context(), key("k")) == nil {
			t.Fatal("appended to what is down")
		}
		n.want(t, "k", e, Invalid)
		n.want(t, "k", n.stamped(), Invalid) // it cannot be told from what was loaded before
		srv.set(func(s *server) { s.down = false })
		pause(3 * time.Second)
		n.want(t, "k", e, Invalid)
		other.want(t, "k", e, Invalid)
		n.want(t, "k", n.stamped(), Valid)
		was := len(srv.records)
		pause(time.Minute)
		if len(srv.records) != was {
			t.Error("settled more than once")
		}
	})
}

func TestHoldsOfALostLog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		old := &server{}
		c := &client{to: old}
		n := startProcess(t, c, FollowOptions{})
		must(t, n.f.WaitSynced(t.Context()))
		keep := len(old.records)
		open, over := store.NewToken(), store.NewToken()
		must(t, n.invalidate(t.Context(),
			store.Invalidation{Kind: store.HoldKey, Name: "open", Token: open, For: time.Minute},
			store.Invalidation{Kind: store.HoldTag, Name: "over", Token: over, For: time.Minute}))
		must(t, n.invalidate(t.Context(), store.Invalidation{Kind: store.ReleaseTag, Name: "over", Token: over}))
		c.turnTo(old.fork(keep))
		fresh := startProcess(t, c, FollowOptions{})
		pause(5 * time.Second)
		for _, n := range []*process{n, fresh} {
			if !n.Held("open", nil) {
				t.Error("a hold was lost")
			}
			if n.Held("x", []string{"over"}) {
				t.Error("a hold that was released holds again")
			}
		}
	})
}
