package cache_test

import (
	"io"
	"net"
	"sync"
	"testing"
)

// wireState is what a wire does with what it carries.
type wireState int

const (
	carries  wireState = iota // it is as if it was not there
	refuses                   // connections are closed
	swallows                  // connections are accepted, and nothing that is sent ever arrives
	stalls                    // what is sent waits until the wire carries again
)

// wire is the connection between caches and a server, which can be cut without the server's knowing. What is
// behind it may change: the address stays.
type wire struct {
	l  net.Listener
	wg sync.WaitGroup

	mu      sync.Mutex
	target  string
	state   wireState
	changed chan struct{} // closed when the state changes
	conns   map[net.Conn]struct{}
	closed  bool
}

// wireTo returns a wire to the server at addr, which is gone with the test.
func wireTo(tb testing.TB, addr string) *wire {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(tb, err)
	w := &wire{l: l, target: addr, changed: make(chan struct{}), conns: make(map[net.Conn]struct{})}
	w.wg.Go(w.accept)
	tb.Cleanup(func() {
		_ = l.Close()
		w.mu.Lock()
		w.closed = true
		w.cut()
		close(w.changed)
		w.mu.Unlock()
		w.wg.Wait()
	})
	return w
}

func (w *wire) url() string { return "redis://" + w.l.Addr().String() }

// to changes the state. Connections do not outlive a state in which something of theirs is lost.
func (w *wire) to(s wireState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s == refuses || w.state == swallows {
		w.cut()
	}
	w.state = s
	close(w.changed)
	w.changed = make(chan struct{})
}

// turn leads to another server from now on.
func (w *wire) turn(addr string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.target = addr
	w.cut()
}

func (w *wire) cut() {
	for c := range w.conns {
		_ = c.Close()
	}
}

func (w *wire) accept() {
	for {
		conn, err := w.l.Accept()
		if err != nil {
			return
		}
		w.wg.Go(func() { w.serve(conn) })
	}
}

func (w *wire) serve(conn net.Conn) {
	if !w.enter(conn) {
		return
	}
	defer w.leave(conn)
	if w.pass() == swallows {
		_, _ = io.Copy(io.Discard, conn)
		return
	}
	w.mu.Lock()
	target := w.target
	w.mu.Unlock()
	server, err := net.Dial("tcp", target)
	if err != nil || !w.enter(server) {
		return
	}
	var back sync.WaitGroup
	back.Go(func() { w.carry(conn, server) })
	w.carry(server, conn)
	back.Wait()
	w.leave(server)
}

// enter reports whether conn may begin.
func (w *wire) enter(conn net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.state == refuses {
		_ = conn.Close()
		return false
	}
	w.conns[conn] = struct{}{}
	return true
}

func (w *wire) leave(conn net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = conn.Close()
	delete(w.conns, conn)
}

func (w *wire) carry(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && w.pass() != swallows {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// pass waits while the wire stalls, and returns what it does then.
func (w *wire) pass() wireState {
	for {
		w.mu.Lock()
		state, changed, closed := w.state, w.changed, w.closed
		w.mu.Unlock()
		if state != stalls || closed {
			return state
		}
		<-changed
	}
}
