package cache_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/store/memstore"
	"github.com/strata-cache/strata/core/store/redisstore"
	"github.com/strata-cache/strata/core/store/tiered"
)

// The environment of a process that the tests start: what it does, and with which server.
const (
	otherRole = "CACHE_TEST_ROLE"
	otherURL  = "CACHE_TEST_URL"
)

// otherCallers is how many callers each process has.
const otherCallers = 50

// otherProcess is the main function of the test binary in another process of a fleet. It says "ready", and
// begins when it is sent a line.
func otherProcess(role string) int {
	c, err := otherCache(os.Getenv(otherURL))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer c.Close()
	_, _ = c.Has(ctx, "warm") // who finds no log makes one, and what is older is not known to be valid
	fmt.Println("ready")
	in := bufio.NewReader(os.Stdin)
	if _, err := in.ReadString('\n'); err != nil {
		return 1
	}
	switch role {
	case "callers":
		fetchTogether(c)
	case "writer":
		_ = c.Update(ctx, "k", func(context.Context) error {
			fmt.Println("committed")
			_, _ = in.ReadString('\n') // until it is killed
			return nil
		})
	}
	return 0
}

func otherCache(url string) (*cache.Cache, error) {
	front, err := memstore.New(memstore.Options{})
	if err != nil {
		return nil, err
	}
	opts := patient()
	remote, err := redisstore.Open(url, redisstore.Options{Prefix: "fleet:", OpTimeout: opts.StoreTimeout})
	if err != nil {
		return nil, err
	}
	st, err := tiered.New(tiered.Options{Tiers: []tiered.Tier{{Store: front}, {Store: remote}}})
	if err != nil {
		return nil, err
	}
	return cache.New(st, opts)
}

// fetchTogether has many callers ask for one key, and says how many loads there were, and what all got.
func fetchTogether(c *cache.Cache) {
	var loads atomic.Int32
	var mu sync.Mutex
	got := map[string]int{}
	var wg sync.WaitGroup
	for range otherCallers {
		wg.Go(func() {
			v, err := cache.Fetch(ctx, c, "k", func(ctx context.Context) (string, error) {
				loads.Add(1)
				return fmt.Sprint(os.Getpid()), pause(ctx, 200*time.Millisecond)
			})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				v = strings.ReplaceAll(err.Error(), " ", "_")
			}
			got[v]++
		})
	}
	wg.Wait()
	fmt.Print(loads.Load())
	for v, n := range got {
		fmt.Printf(" %dx%s", n, v)
	}
	fmt.Println()
}

// other is a running process.
type other struct {
	tb  testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// startOther starts a process, which becomes ready, and begins after begin.
func startOther(tb testing.TB, role, url string) *other {
	tb.Helper()
	exe, err := os.Executable()
	must(tb, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), otherRole+"="+role, otherURL+"="+url)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(tb, err)
	out, err := cmd.StdoutPipe()
	must(tb, err)
	must(tb, cmd.Start())
	p := &other{tb, cmd, in, bufio.NewReader(out)}
	tb.Cleanup(p.kill)
	return p
}

// kill ends the process (SIGKILL), if it runs.
func (p *other) kill() {
	_ = p.in.Close()
	_ = p.cmd.Process.Kill() // an error says that it has ended
	_ = p.cmd.Wait()
}

func (p *other) begin() { _, _ = io.WriteString(p.in, "\n") }

func (p *other) line() string {
	p.tb.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		p.tb.Fatal(err)
	}
	return strings.TrimSpace(line)
}

func (p *other) expect(line string) {
	p.tb.Helper()
	if got := p.line(); got != line {
		p.tb.Fatalf("a process says %q, not %q", got, line)
	}
}
