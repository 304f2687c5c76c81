package filter

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/store/redisstore"
	"github.com/strata-cache/strata/internal/testserver"
)

// peerEnv tells a test binary that it is another process of a fleet: URL and prefix of its store.
const peerEnv = "STRATA_FILTER_PEER"

// TestPeer is the other process. It takes orders from its input, one a line, and answers each.
func TestPeer(t *testing.T) {
	url, prefix, is := strings.Cut(os.Getenv(peerEnv), " ")
	if !is {
		return // of its own, it has nothing to do
	}
	s, err := redisstore.Open(url, redisstore.Options{Prefix: prefix, OpTimeout: patient})
	must(t, err)
	defer s.Close()
	db := newTable(names("user", 1000)...)
	hang := make(chan struct{})
	o := Options{
		Source: db.source, Shared: s, Capacity: 10_000, CommitWithin: 100 * time.Millisecond, CheckTimeout: patient,
		Watch: 20 * time.Millisecond, SelfCheck: -1, HoldTTL: 300 * time.Millisecond,
	}
	if strings.HasSuffix(prefix, "hang:") {
		o.Source = func(context.Context) iter.Seq2[string, error] {
			fmt.Println("building")
			<-hang
			return nil
		}
	}
	f := start(t, o)
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		switch order, keys, _ := strings.Cut(in.Text(), " "); order {
		case "ready":
			works(t, f)
			fmt.Println("ready")
		case "add":
			fmt.Println("added", f.Add(t.Context(), strings.Fields(keys)...))
		case "ask":
			fmt.Println("refused", refused(f, strings.Fields(keys)))
		}
	}
}

// peer is a running process.
type peer struct {
	t   testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func startPeer(t testing.TB, url, prefix string) *peer {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPeer$")
	cmd.Env = append(os.Environ(), peerEnv+"="+url+" "+prefix)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		in.Close()
		for s := bufio.NewScanner(out); s.Scan(); {
			if line := s.Text(); strings.Contains(line, "FAIL") || strings.Contains(line, "_test.go") {
				t.Error("a peer: " + line)
			}
		}
		_ = cmd.Wait() // one that was killed has an error
	})
	return &peer{t, cmd, in, bufio.NewScanner(out)}
}

func (p *peer) order(line, want string) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.in, line); err != nil {
		p.t.Fatal(err)
	}
	p.expect(want)
}

func (p *peer) expect(want string) {
	p.t.Helper()
	if !p.out.Scan() || p.out.Text() != want {
		p.t.Fatalf("a peer says %q, want %q", p.out.Text(), want)
	}
}

// TestProcesses: what one process adds, each of the others knows at once.
func TestProcesses(t *testing.T) {
	srv := testserver.Redis(t)
	var peers []*peer
	for range 3 {
		peers = append(peers, startPeer(t, srv.URL(), "shop:"))
	}
	for _, p := range peers {
		p.order("ready", "ready")
	}
	absent := names("absent", 20)
	peers[0].order("ask "+strings.Join(absent, " "), "refused 20")
	for round := range 30 {
		keys := names(fmt.Sprint("new", round), 20)
		line := strings.Join(keys, " ")
		peers[round%3].order("add "+line, "added <nil>")
		for _, p := range peers {
			p.order("ask "+line, "refused 0")
			p.order("ask "+strings.Join(names("user", 1000)[round*30:][:30], " "), "refused 0")
		}
	}
}

// TestKilledBuilder: a process that is killed while it builds is replaced after HoldTTL.
func TestKilledBuilder(t *testing.T) {
	srv := testserver.Redis(t)
	const prefix = "hang:"
	p := startPeer(t, srv.URL(), prefix)
	p.expect("building")
	c := newFleet(t, srv, names("user", 100)...)
	c.prefix = prefix
	f := c.join()
	must(t, f.Add(t.Context(), "new"))
	c.db.commit("new")
	if err := f.sync(t.Context()); err != nil || f.Ready() || c.db.sources() != 0 {
		t.Errorf("%v; ready %v, %d sources, while another process builds", err, f.Ready(), c.db.sources())
	}
	must(t, p.cmd.Process.Kill())
	works(t, f)
	if n := refused(f, c.db.all()); n != 0 || c.db.sources() != 1 {
		t.Errorf("%d keys that exist are refused, %d sources", n, c.db.sources())
	}
}
