package examples_test

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/strata-cache/strata/internal/testserver"
)

var says = regexp.MustCompile(`^Product 42 costs 42\.\d\d, says process (\d+), \S+ ago\n$`)

// maker asks for product 42 and returns the process that made it.
func (p *program) maker() int {
	p.t.Helper()
	a := p.get("/product/42")
	m := says.FindStringSubmatch(a.body)
	if a.StatusCode != http.StatusOK || m == nil {
		p.t.Fatalf("%s %q", a.Status, a.body)
	}
	pid, err := strconv.Atoi(m[1])
	if err != nil {
		p.t.Fatal(err)
	}
	return pid
}

// TestWorkerRenewsWhatWebProcessesServe: however many of them ask for what is due, one job is queued, and a
// worker does it.
func TestWorkerRenewsWhatWebProcessesServe(t *testing.T) {
	srv := testserver.Redis(t) // its own: the program's names on the server are fixed
	// On a busy machine Redis may take long, and a process that does not wait for it makes products itself.
	args := []string{"-redis", srv.URL(), "-soft", "200ms", "-query", "50ms", "-timeout", patience.String()}
	a, b := start(t, "worker", args...), start(t, "worker", args...)
	first := a.maker()
	if first != a.cmd.Process.Pid {
		t.Errorf("made by %d, want the process that was asked, %d", first, a.cmd.Process.Pid)
	}
	queue := asynq.NewInspector(asynq.RedisClientOpt{Addr: srv.Addr})
	defer queue.Close()
	waiting := func() int {
		names, err := queue.Queues()
		if err == nil && !slices.Contains(names, "worker") {
			return 0 // the first job makes the queue
		}
		info, err := queue.GetQueueInfo("worker")
		if err != nil {
			t.Fatal(err)
		}
		return info.Size
	}
	soon(t, "a job is queued", func() bool { return b.maker() == first && waiting() > 0 })
	for range 50 {
		if p, q := a.maker(), b.maker(); p != first || q != first {
			t.Fatalf("made by %d and %d, though no worker runs", p, q)
		}
	}
	if n := waiting(); n != 1 {
		t.Errorf("%d jobs are queued", n)
	}

	w := launch(t, "worker", append(args, "-worker")...)
	w.await(regexp.MustCompile(`^working$`))
	soon(t, "the worker makes the product", func() bool {
		return a.maker() == w.cmd.Process.Pid && b.maker() == w.cmd.Process.Pid
	})
	for _, path := range []string{"/product/0", "/product/x", "/other"} {
		if got := a.get(path); got.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, got.Status)
		}
	}
	for _, p := range []*program{a, b, w} {
		p.terminate()
		p.wantExit(0)
	}
}

// soon asks until it is so.
func soon(t *testing.T, what string, is func() bool) {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-late.C:
			t.Fatal("it does not come to pass that " + what)
		}
	}
}

func TestWorkerUsage(t *testing.T) {
	tests := []struct {
		name, want string
		args       []string
	}{
		{"soft", "-soft has to lie between", []string{"-soft", "0s"}},
		{"longer than the TTL", "-soft has to lie between", []string{"-soft", "1h"}},
		{"query", "-query and -timeout", []string{"-query", "-1s"}},
		{"redis", "-redis: ", []string{"-redis", "http://secret@127.0.0.1"}},
		{"argument", `unexpected argument "x"`, []string{"x"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantUsageError(t, "worker", tt.want, tt.args...) })
	}
}
