// Package processes_test runs the shop as processes. It lies beside the program so that the race detector,
// under which the tests run, does not have the whole of SQLite compiled a second time.
package processes_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds every wait. It is only spent where something is wrong.
const patience = 60 * time.Second

var (
	folder string
	build  = sync.OnceValues(func() (string, error) {
		// The go command runs a test again when a file has changed that the test itself looked at.
		sources, err := filepath.Glob("../*.go")
		for _, s := range sources {
			_, e := os.Stat(s)
			err = errors.Join(err, e)
		}
		if err != nil {
			return "", err
		}
		if folder, err = os.MkdirTemp("", "sqlshop-"); err != nil {
			return "", err
		}
		path := filepath.Join(folder, "sqlshop")
		if out, err := exec.Command("go", "build", "-o", path, "..").CombinedOutput(); err != nil {
			return "", fmt.Errorf("go build: %w\n%s", err, out)
		}
		return path, nil
	})
)

func TestMain(m *testing.M) {
	code := m.Run()
	if folder != "" {
		_ = os.RemoveAll(folder) // a leftover in the temporary directory is no reason to fail
	}
	os.Exit(code)
}

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	dieWithParent(cmd)
	return cmd
}

// shop is one running process.
type shop struct {
	t     *testing.T
	cmd   *exec.Cmd
	url   string
	lines chan string // of standard error; closed with it
	ended chan struct{}
}

var listening = regexp.MustCompile(`^listening on (http://\S+)$`)

// start runs a shop on a free port, and kills it when the test ends.
func start(t *testing.T, args ...string) *shop {
	t.Helper()
	// On a busy machine Redis may take long.
	args = append([]string{"-listen", "127.0.0.1:0", "-timeout", patience.String()}, args...)
	s := &shop{t: t, cmd: command(t, args...), lines: make(chan string, 1000), ended: make(chan struct{})}
	out, err := s.cmd.StderrPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for l := bufio.NewScanner(out); l.Scan(); {
			select {
			case s.lines <- l.Text():
			default: // nobody reads so many
			}
		}
		_ = s.cmd.Wait() // how it ended is in ProcessState
		close(s.lines)
		close(s.ended)
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill() // fails only if it has ended
		<-s.ended
	})
	s.url = s.await(listening)[1]
	return s
}

// await returns the match of the first line from now on that has one.
func (s *shop) await(line *regexp.Regexp) []string {
	s.t.Helper()
	late := time.After(patience)
	var seen []string
	for {
		select {
		case l, is := <-s.lines:
			if m := line.FindStringSubmatch(l); m != nil {
				return m
			}
			if !is {
				s.t.Fatalf("it has ended, without %v:\n%s", line, strings.Join(seen, "\n"))
			}
			seen = append(seen, l)
		case <-late:
			s.t.Fatalf("it has not written %v, but:\n%s", line, strings.Join(seen, "\n"))
		}
	}
}

var client = &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}

// look asks for a page, and returns it and how many queries this process has sent for answers.
func (s *shop) look(path string) (page string, queries int) {
	s.t.Helper()
	res, err := client.Get(s.url + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %s %q, %v", path, res.Status, body, err)
	}
	lines := strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")
	last := len(lines) - 1
	n, is := strings.CutSuffix(lines[last], " queries")
	queries, err = strconv.Atoi(n)
	if !is || err != nil {
		s.t.Fatalf("%s: %q", path, body)
	}
	return strings.Join(lines[:last], ", "), queries
}

// post sends a form and returns the status.
func (s *shop) post(path string, form url.Values) (int, error) {
	res, err := client.PostForm(s.url+path, form)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, res.Body.Close()
}

func (s *shop) mustPost(path string, form url.Values, want int) {
	s.t.Helper()
	if status, err := s.post(path, form); err != nil || status != want {
		s.t.Fatalf("POST %s: %d, %v, want %d", path, status, err, want)
	}
}

// soon asks until it is so.
func soon(t *testing.T, what string, is func() bool) {
	t.Helper()
	late := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("it does not come to pass that " + what)
		}
	}
}
