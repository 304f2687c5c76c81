package mirror

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/redisstore"
	"github.com/strata-cache/strata/internal/testserver"
)

// patient is what no loaded machine exceeds.
const patient = 20 * time.Second

// until waits for something that happens elsewhere.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(patient)
	defer limit.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("not within %v: %s", patient, what)
		}
	}
}

// wire is a connection that speaks just enough to a server.
type wire struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func dial(t testing.TB, addr string) *wire {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	must(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return &wire{t, c, bufio.NewReader(c)}
}

// do returns a reply that is a status, a number or a string.
func (w *wire) do(args ...string) string {
	w.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	_, err := io.WriteString(w, b.String())
	must(w.t, err)
	head, err := w.r.ReadString('\n')
	must(w.t, err)
	head = strings.TrimSpace(head)
	switch head[0] {
	case '-':
		w.t.Fatalf("%s: %s", args[0], head)
	case '$':
		n, err := strconv.Atoi(head[1:])
		must(w.t, err)
		if n < 0 {
			return ""
		}
		body := make([]byte, n+2)
		_, err = io.ReadFull(w.r, body)
		must(w.t, err)
		return string(body[:n])
	}
	return head[1:]
}

// cutReaders closes the connections of those who wait for records, and returns how many there were.
func (w *wire) cutReaders() (n int) {
	w.t.Helper()
	for line := range strings.Lines(w.do("CLIENT", "LIST", "TYPE", "normal")) {
		id, _, _ := strings.Cut(strings.TrimPrefix(line, "id="), " ")
		if strings.Contains(line, " cmd=xread ") {
			_ = w.do("CLIENT", "KILL", "ID", id)
			n++
		}
	}
	return n
}

func overRedis(t testing.TB, srv *testserver.Server, opts FollowOptions) *process {
	t.Helper()
	s, err := redisstore.Open(srv.URL(), redisstore.Options{OpTimeout: time.Second})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return startProcess(t, s, opts)
}

func (n *process) synced(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	must(t, n.f.WaitSynced(ctx))
}

// logName is where the store keeps the log.
const logName = redisstore.DefaultPrefix + "{log}"

func TestRedisCutsLoseNothing(t *testing.T) {
	srv := testserver.Redis(t)
	a, b := overRedis(t, srv, FollowOptions{}), overRedis(t, srv, FollowOptions{})
	a.synced(t)
	b.synced(t)
	w := dial(t, srv.Addr)
	const cuts, between = 9, 50
	var entries []*store.Entry
	killed := 0
	for range cuts {
		for range between {
			e := a.stamped()
			e.Tags = []string{fmt.Sprint(len(entries))}
			entries = append(entries, e)
			must(t, a.invalidate(t.Context(), tag(e.Tags[0])))
		}
		until(t, "a reader waits", func() bool { n := w.cutReaders(); killed += n; return n > 0 })
	}
	until(t, "the other has read everything", func() bool { return b.Applied() == a.Applied() })
	for i, e := range entries {
		if b.Judge("x", e, true) != Invalid {
			t.Errorf("invalidation %d is lost", i)
		}
	}
	if killed < cuts {
		t.Errorf("%d connections were cut", killed)
	}
	for _, n := range []*process{a, b} {
		if said := n.said(); strings.ContainsAny(said, "tf") { // trimmed, flushed
			t.Errorf("reported %q", said)
		}
	}
}

func TestRedisLogDeleted(t *testing.T) {
	srv := testserver.Redis(t)
	opts := FollowOptions{Heartbeat: 100 * time.Millisecond, Blind: patient}
	a, b := overRedis(t, srv, opts), overRedis(t, srv, opts)
	a.synced(t)
	b.synced(t)
	old := a.stamped()
	must(t, a.invalidate(t.Context(), key("k")))
	dial(t, srv.Addr).do("DEL", logName)
	until(t, "both are in step with a new log", func() bool {
		return before(old.Stamp, a.Applied()) && a.Applied() == b.Applied() &&
			a.Judge("x", old, true) == Invalid && b.Judge("x", old, true) == Invalid
	})
	must(t, b.invalidate(t.Context(), key("k")))
	e := b.stamped()
	until(t, "what is new counts", func() bool { return a.Applied() == b.Applied() && a.Judge("k", e, true) == Valid })
	for _, n := range []*process{a, b} {
		if said := n.said(); !strings.Contains(said, "flushed") {
			t.Errorf("reported %q", said)
		}
	}
}

func TestRedisLogRestored(t *testing.T) {
	srv := testserver.Redis(t)
	opts := FollowOptions{Heartbeat: 100 * time.Millisecond, Blind: patient}
	a, b := overRedis(t, srv, opts), overRedis(t, srv, opts)
	a.synced(t)
	b.synced(t)
	w := dial(t, srv.Addr)
	unrelated := a.stamped()
	must(t, a.invalidate(t.Context(), key("k")))
	snapshot := w.do("DUMP", logName)
	e := a.stamped()
	must(t, a.invalidate(t.Context(), key("k"), tag("t")))
	until(t, "the other knows", func() bool { return b.Applied() == a.Applied() })
	was := a.Applied()
	w.do("RESTORE", logName, "0", snapshot, "REPLACE")
	until(t, "the log is whole again", func() bool { return before(was, a.Applied()) && a.Applied() == b.Applied() })
	late := overRedis(t, srv, opts)
	late.synced(t)
	for _, n := range []*process{a, b, late} {
		n.want(t, "k", e, Invalid)
		n.want(t, "x", &store.Entry{Stamp: e.Stamp, Tags: []string{"t"}}, Invalid)
		n.want(t, "x", unrelated, Valid)
	}
	if said := a.said() + b.said(); !strings.Contains(said, "rebased") || strings.Contains(said, "flushed") {
		t.Errorf("reported %q", said)
	}
}

func TestRedisPaused(t *testing.T) {
	srv := testserver.Redis(t)
	const beat = 300 * time.Millisecond
	n := overRedis(t, srv, FollowOptions{Heartbeat: beat})
	n.synced(t)
	e := n.stamped()
	until(t, "it is told", func() bool { return n.said() != "" })
	began := time.Now()
	srv.Pause()
	until(t, "it is blind", n.Blind)
	if took := time.Since(began); took < beat || took > 10*beat {
		t.Errorf("blind after %v with a heartbeat of %v", took, beat)
	} else {
		t.Logf("blind after %v with a heartbeat of %v", took, beat)
	}
	srv.Resume()
	began = time.Now()
	n.synced(t)
	t.Logf("sees again after %v", time.Since(began))
	n.want(t, "x", e, Valid)
}

func TestRedisRestartedWithoutTheLog(t *testing.T) {
	srv := testserver.Redis(t)
	opts := FollowOptions{Heartbeat: 100 * time.Millisecond}
	a, b := overRedis(t, srv, opts), overRedis(t, srv, opts)
	a.synced(t)
	b.synced(t)
	old := a.stamped()
	must(t, a.invalidate(t.Context(), key("k")))
	srv.Kill()
	until(t, "both are blind", func() bool { return a.Blind() && b.Blind() })
	srv.Restart()
	a.synced(t)
	b.synced(t)
	until(t, "both are in step", func() bool { return a.Applied() == b.Applied() })
	for _, n := range []*process{a, b} {
		n.want(t, "x", old, Invalid)
		n.want(t, "k", n.stamped(), Valid)
	}
	must(t, a.invalidate(t.Context(), key("k")))
	until(t, "the other hears of it", func() bool { return a.Applied() == b.Applied() })
}

// childEnv has this binary follow the log of a server, and tell on its output what it has applied.
const childEnv = "STRATA_MIRROR_FOLLOW"

func followAsChild(url string) int {
	s, err := redisstore.Open(url, redisstore.Options{})
	if err != nil {
		return 1
	}
	defer s.Close()
	m := New(Options{Applied: func(list []store.Invalidation) {
		for _, it := range list {
			_, _ = fmt.Println(it.Name)
		}
	}})
	f := NewFollower(m, s, FollowOptions{})
	defer f.Close()
	_, _ = io.Copy(io.Discard, os.Stdin) // until the parent has gone
	return 0
}

// BenchmarkPropagation measures from before an invalidation to when another process has applied it, and told
// over a pipe.
func BenchmarkPropagation(b *testing.B) {
	srv := testserver.Redis(b)
	n := overRedis(b, srv, FollowOptions{})
	n.synced(b)
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childEnv+"="+srv.URL())
	in, err := child.StdinPipe()
	must(b, err)
	out, err := child.StdoutPipe()
	must(b, err)
	must(b, child.Start())
	defer func() {
		_ = in.Close()
		must(b, child.Wait())
	}()
	lines := bufio.NewScanner(out)
	applied := func(name string) {
		for lines.Scan() {
			if lines.Text() == name {
				return
			}
		}
		b.Fatal("the other process has ended")
	}
	must(b, n.invalidate(b.Context(), key("ready")))
	applied("ready")
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		name := strconv.Itoa(i)
		began := time.Now()
		must(b, n.invalidate(b.Context(), key(name)))
		applied(name)
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}
