package examples_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/strata-cache/strata/internal/testserver"
)

// patience bounds every wait. It is only spent where something is wrong.
const patience = 60 * time.Second

// redis is shared by the tests that do not harm it.
var redis testserver.Lazy

func TestMain(m *testing.M) {
	code := m.Run()
	redis.Stop()
	if bin != "" {
		_ = os.RemoveAll(bin) // a leftover in the temporary directory is no reason to fail
	}
	os.Exit(code)
}

var bin string // the folder of the programs, once one is built

// folder makes it, the first time.
var folder = sync.OnceValues(func() (string, error) {
	err := look()
	if err == nil {
		bin, err = os.MkdirTemp("", "examples-")
	}
	return bin, err
})

// builds has, by name, one function for each program that was asked for: a test waits for its own alone.
var builds sync.Map

// build builds the program, the first time, and returns its path.
func build(name string) (string, error) {
	once, _ := builds.LoadOrStore(name, sync.OnceValues(func() (string, error) {
		dir, err := folder()
		if err != nil {
			return "", err
		}
		pkg := "./" + name
		switch _, err := os.Stat(name); {
		case errors.Is(err, fs.ErrNotExist):
			pkg = "./quickstart/" + name
		case err != nil:
			return "", err
		}
		path := filepath.Join(dir, name)
		if out, err := exec.Command("go", "build", "-o", path, pkg).CombinedOutput(); err != nil {
			return "", fmt.Errorf("go build: %w\n%s", err, out)
		}
		return path, nil
	}))
	return once.(func() (string, error))()
}

// look touches what programs are made of. The go command re-runs a test when a file has changed that the
// test itself looked at; what a child process reads it does not see.
func look() error {
	return filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != "..":
			return filepath.SkipDir
		}
		switch filepath.Ext(path) {
		case ".go", ".html", ".mod":
			_, err = os.Stat(path)
		}
		return err
	})
}

// built returns the path of a program.
func built(t *testing.T, name string) string {
	t.Helper()
	path, err := build(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// program is one running example.
type program struct {
	t     *testing.T
	name  string
	cmd   *exec.Cmd
	url   string // where it listens
	ended chan struct{}

	mu      sync.Mutex
	log     []string      // standard error, by lines
	changed chan struct{} // closed when log grows or ends
}

var listening = regexp.MustCompile(`listening on (http://127\.0\.0\.1:\d+)`)

// start runs an example on a free port, and kills it when the test ends.
func start(t *testing.T, name string, args ...string) *program {
	t.Helper()
	p := launch(t, name, append([]string{"-listen", "127.0.0.1:0"}, args...)...)
	p.url = p.await(listening)[1]
	return p
}

// launch is start for a program that may not listen.
func launch(t *testing.T, name string, args ...string) *program {
	t.Helper()
	p := &program{t: t, name: name, cmd: exec.Command(built(t, name), args...), ended: make(chan struct{}), changed: make(chan struct{})}
	dieWithParent(p.cmd)
	out, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.read(out)
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // fails only if it has ended
		<-p.ended
		if t.Failed() {
			t.Logf("%s wrote:\n%s", p.name, strings.Join(p.log, "\n"))
		}
	})
	return p
}

func (p *program) read(stderr io.Reader) {
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		p.mu.Lock()
		p.log = append(p.log, lines.Text())
		close(p.changed)
		p.changed = make(chan struct{})
		p.mu.Unlock()
	}
	_ = p.cmd.Wait() // how it ended is in ProcessState
	close(p.ended)
}

// await waits for a line that matches and returns the match with its groups.
func (p *program) await(line *regexp.Regexp) []string {
	p.t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for seen, over := 0, false; ; {
		p.mu.Lock()
		fresh, changed := p.log[seen:], p.changed
		p.mu.Unlock()
		for _, l := range fresh {
			if m := line.FindStringSubmatch(l); m != nil {
				return m
			}
		}
		seen += len(fresh)
		if over {
			p.t.Fatalf("%s has ended (%v) and not written %v", p.name, p.cmd.ProcessState, line)
		}
		select {
		case <-changed:
		case <-p.ended:
			over = true // but its last lines may not have been looked at
		case <-late.C:
			p.t.Fatalf("%s has not written %v", p.name, line)
		}
	}
}

// terminate sends SIGTERM and waits until the program drains.
func (p *program) terminate() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	p.await(regexp.MustCompile(`^draining$`))
}

// wantExit waits for the end of the program.
func (p *program) wantExit(code int) {
	p.t.Helper()
	select {
	case <-p.ended:
		if got := p.cmd.ProcessState.ExitCode(); got != code {
			p.t.Errorf("%s: exit status %d, want %d", p.name, got, code)
		}
	case <-time.After(patience):
		p.t.Fatalf("%s does not end", p.name)
	}
}

// answer is a response that was read to its end.
type answer struct {
	*http.Response
	body string
	err  error // of reading the body
}

func (a *answer) cacheStatus() string { return a.Header.Get("Cache-Status") }

func (a *answer) hit() bool { return strings.HasPrefix(a.cacheStatus(), "strata; hit") }

// client follows no redirects and reuses no connections, so that a program which drains has none to close.
var client = &http.Client{
	Timeout:       patience,
	Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// do sends a request; each header is "Name: value".
func (p *program) do(method, path, body string, headers ...string) *answer {
	p.t.Helper()
	a, err := p.try(method, path, body, headers...)
	if err != nil {
		p.t.Fatal(err)
	}
	return a
}

func (p *program) try(method, path, body string, headers ...string) (*answer, error) {
	r, err := http.NewRequest(method, p.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
		if name == "Host" {
			r.Host = value
		}
	}
	res, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return &answer{res, string(b), err}, nil
}

func (p *program) get(path string, headers ...string) *answer {
	p.t.Helper()
	return p.do(http.MethodGet, path, "", headers...)
}

// wantUsageError runs an example with a bad command line.
func wantUsageError(t *testing.T, name, want string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, built(t, name), args...)
	dieWithParent(cmd)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != 2 {
		t.Errorf("%v, want exit status 2", err)
	}
	got := stderr.String()
	if !strings.HasPrefix(got, name+": ") || !strings.Contains(got, want) || strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, "\n") {
		t.Errorf("standard error is %q, want one line with %q", got, want)
	}
	if stdout.Len() > 0 {
		t.Errorf("standard output is %q", &stdout)
	}
}
