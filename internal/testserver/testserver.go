// Package testserver starts real servers for tests: each on a free loopback port, in a temporary
// directory, without persistence, stopped with the test. It needs the standard library and the
// server's own binary in PATH; a missing binary fails the test and says how to install it. Under
// go test -short no server is started: the tests that ask for one are left out.
package testserver

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

const (
	// patience is how long a server may take to answer.
	patience = 10 * time.Second
	// attempts is how many ports are tried: between finding a free one and listening on it another
	// process may take it.
	attempts = 5
)

// Server is one server process, and a goroutine that waits for its end. Addr and URL may be used
// concurrently, the other methods may not.
type Server struct {
	// Addr is the host and port. It never changes, not even by Restart.
	Addr string

	tb   testing.TB // whom a failing method fails; nil panics
	bin  string
	args []string
	dir  string
	log  string
	cmd  *exec.Cmd // nil while none runs
	// ended is closed when cmd has ended.
	ended chan struct{}
}

// Redis starts a redis-server for one test, with further command line arguments such as "--maxmemory",
// "1mb". Under -short it skips the test.
func Redis(tb testing.TB, args ...string) *Server {
	tb.Helper()
	need(tb)
	s, err := Start(args...)
	if err != nil {
		tb.Fatal(err)
	}
	s.tb = tb
	tb.Cleanup(s.Stop)
	return s
}

// need leaves a test out that a -short run has no server for.
func need(tb testing.TB) {
	tb.Helper()
	if testing.Short() {
		tb.Skip("needs a server")
	}
}

// Start is Redis without a test to belong to: whoever calls it calls Stop. Its methods panic where
// those of Redis's fail the test.
func Start(args ...string) (*Server, error) {
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errors.New("testserver: no redis-server in PATH: run `apt-get install redis-server` " +
			"(Debian, Ubuntu), `brew install redis` (macOS) or `make deps`")
	}
	dir, err := os.MkdirTemp("", "testserver-")
	if err != nil {
		return nil, fmt.Errorf("testserver: %w", err)
	}
	s := &Server{bin: bin, args: args, dir: dir, log: filepath.Join(dir, "log")}
	for range attempts {
		if s.Addr, err = freeAddr(); err != nil {
			break
		}
		if err = s.run(); !errors.Is(err, errTaken) {
			break
		}
	}
	if err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("testserver: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// run starts the process and waits until it answers. The caller stops it if it does not.
func (s *Server) run() error {
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("testserver: %w", err)
	}
	defer func() { _ = log.Close() }()
	_, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return fmt.Errorf("testserver: %w", err)
	}
	cmd := exec.Command(s.bin, append([]string{
		"--port", port, "--bind", "127.0.0.1", "--dir", s.dir,
		"--save", "", "--appendonly", "no", "--daemonize", "no",
	}, s.args...)...)
	cmd.Stdout, cmd.Stderr = log, log // files, so that no goroutine copies
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("testserver: %w", err)
	}
	s.cmd, s.ended = cmd, make(chan struct{})
	go func(ended chan<- struct{}) {
		_ = cmd.Wait() // how it ended is in its log
		close(ended)
	}(s.ended)
	if err := s.awaitReady(); err != nil {
		s.kill()
		return err
	}
	return nil
}

// URL is the server's address in the form redis://127.0.0.1:port.
func (s *Server) URL() string { return "redis://" + s.Addr }

// PID is the id of the running process, or 0.
func (s *Server) PID() int {
	if s.cmd == nil {
		return 0
	}
	return s.cmd.Process.Pid
}

// Port is the port of Addr.
func (s *Server) Port() int {
	_, port, _ := net.SplitHostPort(s.Addr)
	n, _ := strconv.Atoi(port)
	return n
}

// Pause stops the process in its tracks (SIGSTOP): connections stay open, nothing answers.
func (s *Server) Pause() { s.signal("pause", pause) }

// Resume lets a paused process go on (SIGCONT).
func (s *Server) Resume() { s.signal("resume", resume) }

func (s *Server) signal(what string, send func(*os.Process) error) {
	if s.tb != nil {
		s.tb.Helper()
	}
	if s.cmd == nil {
		s.fail(fmt.Errorf("testserver: %s: no process runs", what))
	} else if err := send(s.cmd.Process); err != nil {
		s.fail(fmt.Errorf("testserver: %s: %w", what, err))
	}
}

// Kill ends the process (SIGKILL) and waits for its end. Its data is lost. One that does not run is
// left alone.
func (s *Server) Kill() { s.kill() }

func (s *Server) kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // fails only if it has ended already
	<-s.ended
	s.cmd = nil
}

// Restart kills the process, if one runs, and starts an empty one on the same port.
func (s *Server) Restart() {
	if s.tb != nil {
		s.tb.Helper()
	}
	s.kill()
	if err := s.run(); err != nil {
		s.fail(err)
	}
}

// Stop kills the process and removes its files. It is idempotent.
func (s *Server) Stop() {
	s.kill()
	_ = os.RemoveAll(s.dir) // a leftover in the temporary directory is no reason to fail
}

func (s *Server) fail(err error) {
	if s.tb == nil {
		panic(err)
	}
	s.tb.Helper()
	s.tb.Fatal(err)
}
