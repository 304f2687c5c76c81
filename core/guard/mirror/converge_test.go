package mirror

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/strata-cache/strata/core/store"
)

// act is one step of a history over three processes.
type act struct {
	Kind string
	Node int
	Name int
	N    int
}

func (a act) String() string { return fmt.Sprintf("%s(%d,%d,%d)", a.Kind, a.Node, a.Name, a.N) }

var genAct = rapid.Custom(func(t *rapid.T) act {
	return act{
		Kind: rapid.SampledFrom([]string{
			"invalidate", "invalidate", "invalidate", "load", "load", "load", "pause", "pause",
			"down", "up", "hang", "cut", "join", "refuse", "delete", "restore", "split", "trim",
		}).Draw(t, "act"),
		Node: rapid.IntRange(0, 2).Draw(t, "node"),
		Name: rapid.IntRange(0, 3).Draw(t, "name"),
		N:    rapid.IntRange(0, 12).Draw(t, "n"),
	}
})

// history runs acts, and returns what went wrong.
type history struct {
	srv     *server // where those are that are not cut off
	clients [3]*client
	nodes   [3]*process
	entries []*loaded
	wrong   error
}

type loaded struct {
	*store.Entry
	name  int
	of    int     // the process that has loaded it
	since string  // the act that has ended it, acknowledged
	by    [3]bool // the processes that have done so
}

func (h *history) failf(format string, args ...any) {
	if h.wrong == nil {
		h.wrong = fmt.Errorf(format, args...)
	}
}

// check has a process judge what it has loaded and ended, or all that was ended: while a log is parted in two
// whose clocks differ, what one process knows of another's means nothing.
func (h *history) check(n int, when string, all bool) {
	for _, e := range h.entries {
		if (e.by[n] && e.of == n || all && e.since != "") && h.nodes[n].Judge("x", e.Entry, true) != Invalid {
			h.failf("%s: process %d, at %v, judges an entry of %v with the tag %d valid, which %s has ended",
				when, n, h.nodes[n].Applied(), e.Stamp, e.name, e.since)
		}
	}
}

func (h *history) all(s *server) {
	h.srv = s
	for _, c := range h.clients {
		c.turnTo(s)
	}
}

// clocked sets the clock of a server back, or does not.
func (h *history) clocked(s *server, a act) *server {
	if a.Name%2 == 0 {
		return s
	}
	return s.late()
}

func (h *history) do(a act) {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	n := h.nodes[a.Node]
	switch a.Kind {
	case "load":
		e := &loaded{Entry: n.stamped(), name: a.Name, of: a.Node}
		e.Tags = []string{fmt.Sprint(a.Name)}
		h.entries = append(h.entries, e)
	case "invalidate":
		if n.invalidate(ctx, tag(fmt.Sprint(a.Name))) == nil {
			for _, e := range h.entries {
				if e.name == a.Name {
					e.since, e.by[a.Node] = a.String(), true
				}
			}
			h.check(a.Node, a.String(), false)
		}
	case "pause":
		pause(time.Duration(a.N) * 100 * time.Millisecond)
	case "down":
		h.srv.set(func(s *server) { s.down = true })
	case "up":
		h.srv.set(func(s *server) { s.down, s.hung = false, false })
	case "hang":
		h.srv.set(func(s *server) { s.hung = true })
	case "cut":
		h.clients[a.Node].turnTo(&server{hung: true})
	case "join":
		h.all(h.srv)
	case "refuse":
		h.srv.set(func(s *server) { s.refuse = 1 + a.N%2 })
	case "delete":
		h.srv.set(func(s *server) { s.records = nil; h.clocked(s, a) })
	case "restore":
		h.all(h.clocked(h.srv.fork(len(h.srv.records)-a.N), a))
	case "split": // one process is alone with the old server; when it comes back one of the two logs is lost
		other := h.clocked(h.srv.fork(len(h.srv.records)-a.N%3), a)
		h.clients[a.Node].turnTo(h.srv)
		for i, c := range h.clients {
			if i != a.Node {
				c.turnTo(other)
			}
		}
		if a.N%2 == 0 {
			h.srv = other
		}
	case "trim":
		h.settle() // what a log has lost cannot be told from what was trimmed
		lag := h.clients[a.Node]
		lag.turnTo(&server{hung: true})
		for range a.N {
			_ = h.nodes[(a.Node+1)%3].invalidate(context.Background(), tag("other"))
		}
		h.srv.set(func(s *server) { s.records = s.records[max(0, min(a.N+a.Name-3, len(s.records)-1)):] })
		h.settle()
	}
}

func (h *history) settle() {
	h.srv.set(func(s *server) { s.down, s.hung, s.refuse = false, false, 0 })
	h.all(h.srv)
	pause(10 * time.Second)
}

func (h *history) run(t *testing.T, acts []act, buffer int) {
	h.srv = &server{tick: new(atomic.Uint64)}
	for i := range h.nodes {
		h.clients[i] = &client{to: h.srv}
		h.nodes[i] = startProcess(t, h.clients[i], FollowOptions{Buffer: buffer})
		if err := h.nodes[i].f.WaitSynced(t.Context()); err != nil {
			h.failf("%v", err)
		}
	}
	for _, a := range acts {
		h.do(a)
	}
	h.settle()
	last := h.srv.last().Position
	for i, n := range h.nodes {
		if n.Applied() != last || n.Blind() {
			h.failf("in the end: process %d is at %v of %v, blind %v", i, n.Applied(), last, n.Blind())
		}
		h.check(i, "in the end", true)
		e := &store.Entry{Stamp: last, Tags: []string{"0", "1", "2", "3"}}
		if n.Judge("x", e, true) != Valid {
			h.failf("in the end: process %d judges a new entry invalid", i)
		}
	}
	was := len(h.srv.records)
	pause(time.Minute)
	if len(h.srv.records) != was {
		h.failf("in the end: the log is still being repaired")
	}
}

func TestProcessesConverge(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		acts := rapid.SliceOfN(genAct, 1, 40).Draw(rt, "acts")
		buffer := rapid.SampledFrom([]int{2, 8, 4096}).Draw(rt, "buffer")
		var err error
		synctest.Test(t, func(t *testing.T) {
			h := &history{}
			h.run(t, acts, buffer)
			err = h.wrong
		})
		if err != nil {
			rt.Fatal(err)
		}
	})
}
