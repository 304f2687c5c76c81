package processes_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// postgresFolders are where packages put the programs of the server that they do not put into PATH.
var postgresFolders = []string{
	"/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin",
}

// postgresFolder returns the folder of initdb and postgres, with a slash; empty where they are in PATH.
func postgresFolder(t *testing.T) string {
	t.Helper()
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err != nil { // initdb looks for its files beside it
			t.Fatal(err)
		}
		return filepath.Dir(path) + "/"
	}
	for _, pattern := range postgresFolders {
		found, err := filepath.Glob(pattern + "/postgres")
		if err != nil {
			t.Fatal(err)
		}
		if len(found) > 0 {
			return filepath.Dir(found[len(found)-1]) + "/"
		}
	}
	t.Fatal("no postgres: run `apt-get install postgresql` (Debian, Ubuntu), `brew install postgresql@17` (macOS) or `make deps`")
	return ""
}

var ready = regexp.MustCompile(`database system is ready to accept connections`)

// postgres starts a PostgreSQL server of the test's own, without regard for durability, and returns the URL of
// its database.
func postgres(t *testing.T) string {
	t.Helper()
	bin := postgresFolder(t)
	dir, err := os.MkdirTemp("", "sqlshop-postgres-") //nolint:usetesting // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	uid, gid, other := owner(t)
	if other {
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	program := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(bin+name, args...)
		cmd.Dir = dir
		dieWithParent(cmd)
		if other {
			runAs(cmd, uid, gid)
		}
		return cmd
	}
	data := filepath.Join(dir, "data")
	begin := time.Now()
	if out, err := program("initdb", "-D", data, "-U", "shop", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	made := time.Now()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := program("postgres", "-D", data, "-h", host, "-p", port, "-F", "-c", "unix_socket_directories=")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // the fast end, which takes its children with it
		<-ended
	})
	soon(t, "PostgreSQL starts", func() bool {
		text, err := os.ReadFile(log.Name())
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-ended:
			t.Fatalf("postgres has ended:\n%s", text)
		default:
		}
		return ready.MatchString(strings.TrimSpace(string(text)))
	})
	t.Logf("initdb took %v, the start %v", made.Sub(begin), time.Since(made))
	return "postgres://shop@" + net.JoinHostPort(host, port) + "/postgres?sslmode=disable"
}
