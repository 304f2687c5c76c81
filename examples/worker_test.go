package examples_test

import (
	"net/http"
	"regexp"
	"strconv"
	"testing"
	"time"

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

func TestWorkerRenewsWhatWebProcessesServe(t *testing.T) {
	url := testserver.Redis(t).URL() // its own: the program's names on the server are fixed
	a := start(t, "worker", "-redis", url, "-soft", "100ms")
	b := start(t, "worker", "-redis", url, "-soft", "100ms")
	first := a.maker()
	if first != a.cmd.Process.Pid {
		t.Errorf("made by %d, want the process that was asked, %d", first, a.cmd.Process.Pid)
	}
	w := launch(t, "worker", "-worker", "-redis", url)
	w.await(regexp.MustCompile(`^working$`))
	late := time.NewTimer(patience)
	defer late.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for b.maker() != w.cmd.Process.Pid { // on a busy machine the store's deadline passes, and b makes one itself
		select {
		case <-tick.C:
		case <-late.C:
			t.Fatal("the worker makes nothing")
		}
	}
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

func TestWorkerUsage(t *testing.T) {
	tests := []struct {
		name, want string
		args       []string
	}{
		{"soft", "-soft has to lie between", []string{"-soft", "0s"}},
		{"longer than the TTL", "-soft has to lie between", []string{"-soft", "1h"}},
		{"redis", "-redis: ", []string{"-redis", "http://secret@127.0.0.1"}},
		{"argument", `unexpected argument "x"`, []string{"x"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantUsageError(t, "worker", tt.want, tt.args...) })
	}
}
