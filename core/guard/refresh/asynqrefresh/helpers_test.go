package asynqrefresh

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"

	"github.com/strata-cache/strata/internal/testserver"
)

const (
	// patience bounds every wait. It is only spent where something is wrong.
	patience = time.Minute
	// fast is the poll of workers in tests.
	fast = 20 * time.Millisecond
	// roleEnv names the part that this binary plays in another process.
	roleEnv = "ASYNQREFRESH_ROLE"
)

var shared testserver.Lazy

func TestMain(m *testing.M) {
	logging.Disable()
	if role := os.Getenv(roleEnv); role != "" {
		if err := roles[role](os.Args[1], os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	shared.Stop()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// open returns a queue of the test's own on the shared server.
func open(t *testing.T, opts Options) (*Queue, redis.UniversalClient) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: shared.Redis(t).Addr})
	opts.Redis = asynq.RedisClientOpt{Addr: client.Options().Addr}
	if opts.Queue == "" {
		opts.Queue = strings.ReplaceAll(t.Name(), "/", ".")
		opts.Queue = opts.Queue[:min(len(opts.Queue), maxQueue)]
	}
	if opts.Poll == 0 {
		opts.Poll = fast
	}
	q, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
		_ = client.Close()
	})
	return q, client
}

// work runs q until the test ends.
func work(t *testing.T, q *Queue) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- q.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// await polls until what holds does.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-late.C:
			t.Fatalf("it does not happen: %s", what)
		}
	}
}

// receive waits for ch.
func receive[T any](t *testing.T, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("it does not happen: %s", what)
		panic("unreachable")
	}
}

// lines is a logger's output.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// process is this binary, playing a role elsewhere.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	said  chan string
	ended chan struct{}
}

func start(t *testing.T, role, addr, queue string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(os.Args[0], addr, queue), said: make(chan string, 1000), ended: make(chan struct{})}
	p.cmd.Env = append(slices.Clone(os.Environ()), roleEnv+"="+role)
	p.cmd.Stderr = os.Stderr
	dieWithParent(p.cmd)
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.read(out)
	t.Cleanup(p.kill)
	return p
}

func (p *process) read(out io.Reader) {
	for s := bufio.NewScanner(out); s.Scan(); {
		p.said <- s.Text()
	}
	_ = p.cmd.Wait() // how it ended is in ProcessState
	close(p.ended)
}

// line returns the next line that the process writes.
func (p *process) line() string {
	p.t.Helper()
	return receive(p.t, "the process writes a line", p.said)
}

// kill is kill -9, and waits for the end.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // fails only if it has ended
	<-p.ended
}
