package testserver_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/strata-cache/strata/internal/testserver"
)

// ask sends one inline command and returns the first line of the reply.
func ask(addr, command string, wait time.Duration) (string, error) {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(wait)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(conn, command+"\r\n"); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line), err
}

func want(t *testing.T, srv *testserver.Server, command, reply string) {
	t.Helper()
	if got, err := ask(srv.Addr, command, 5*time.Second); got != reply || err != nil {
		t.Errorf("%s: %q, %v, want %q", command, got, err, reply)
	}
}

func TestLifeOfAServer(t *testing.T) {
	srv := testserver.Redis(t, "--maxmemory", "5mb")
	addr, pid := srv.Addr, srv.PID()
	want(t, srv, "PING", "+PONG")
	want(t, srv, "SET k v", "+OK")
	if srv.URL() != "redis://"+addr {
		t.Errorf("URL = %q", srv.URL())
	}

	srv.Pause()
	if got, err := ask(addr, "PING", 50*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a paused server answers %q, %v", got, err)
	}
	srv.Resume()
	want(t, srv, "EXISTS k", ":1")

	srv.Kill()
	if srv.PID() != 0 {
		t.Error("a killed server has a process")
	}
	if got, err := ask(addr, "PING", time.Second); err == nil {
		t.Errorf("a killed server answers %q", got)
	}
	srv.Kill()
	srv.Restart()
	if srv.Addr != addr || srv.PID() == pid {
		t.Errorf("Restart: %s with pid %d, before %s with %d", srv.Addr, srv.PID(), addr, pid)
	}
	want(t, srv, "EXISTS k", ":0")

	srv.Pause()
	srv.Stop() // a paused process can be stopped
	srv.Stop()
}

func TestArgumentsReachTheServer(t *testing.T) {
	srv := testserver.Redis(t, "--requirepass", "secret")
	want(t, srv, "PING", "-NOAUTH Authentication required.")
}

func TestStopRemovesItsFiles(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	srv := testserver.Redis(t)
	srv.Stop()
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestAMissingBinaryNamesTheRemedy(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := testserver.Start()
	if err == nil {
		t.Fatal("no error")
	}
	for _, s := range []string{"redis-server", "apt-get install redis-server", "brew install redis", "make deps"} {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("the error does not mention %q: %v", s, err)
		}
	}
}

func TestAServerThatWillNotStartIsAnError(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a server")
	}
	if srv, err := testserver.Start("--no-such-directive", "1"); err == nil {
		srv.Stop()
		t.Fatal("no error")
	} else if !strings.Contains(err.Error(), "no-such-directive") {
		t.Errorf("the error does not show the server's log: %v", err)
	}
}

func TestLazyStartsOnce(t *testing.T) {
	var shared testserver.Lazy
	defer shared.Stop()
	a := shared.Redis(t)
	if b := shared.Redis(t); a != b {
		t.Error("two servers")
	}
	want(t, a, "PING", "+PONG")
	shared.Stop()
	shared.Stop()
}
