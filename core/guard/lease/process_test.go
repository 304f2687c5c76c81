package lease_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/strata-cache/strata/core/guard/lease"
	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/redisstore"
)

// The environment of a process that the tests start: what it does, and with which server.
const (
	childRole = "LEASE_TEST_ROLE"
	childURL  = "LEASE_TEST_URL"
)

const (
	callers   = 50 // of each process
	holderTTL = time.Second
)

// child is the main function of the test binary in another process. It says "ready", and begins when it is
// sent a line.
func child(role string) int {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, err := redisstore.Open(os.Getenv(childURL), redisstore.Options{OpTimeout: 5 * time.Second})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer s.Close()
	opts := lease.Options{}
	if role == "holder" {
		opts.TTL = holderTTL
	}
	l, err := lease.New(s, opts)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer l.Close()
	in := bufio.NewReader(os.Stdin)
	fmt.Println("ready")
	if _, err := in.ReadString('\n'); err != nil {
		return 1
	}
	switch role {
	case "callers":
		err = loadTogether(ctx, l)
	case "holder":
		var out lease.Outcome
		if out, err = l.Acquire(ctx, "k", nil, 0, nil); err == nil {
			fmt.Println(out.Status)
			_, _ = in.ReadString('\n') // until it is killed
		}
	case "counter":
		err = countUp(ctx, l)
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// loadTogether has many callers ask for one key, and says what they got.
func loadTogether(ctx context.Context, l *lease.Leases) error {
	var granted, found, other atomic.Int32
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			out, err := l.Acquire(ctx, "k", nil, 0, nil)
			switch {
			case err != nil:
				other.Add(1)
			case out.Status == lease.Granted:
				granted.Add(1)
				begin := time.Now()
				pause(200 * ms)
				if ok, err := out.Held.Store(ctx, forever("v")); !ok || err != nil {
					other.Add(1)
					fmt.Fprintf(os.Stderr, "Store: %v, %v after %v\n", ok, err, time.Since(begin))
				}
			case out.Status == lease.Found && string(out.Entry.Value) == "v":
				found.Add(1)
			default:
				other.Add(1)
			}
		})
	}
	wg.Wait()
	fmt.Println(granted.Load(), found.Load(), other.Load())
	return nil
}

// countUp adds to a number that only the lock guards.
func countUp(ctx context.Context, l *lease.Leases) error {
	opts, err := redis.ParseURL(os.Getenv(childURL))
	if err != nil {
		return err
	}
	client := redis.NewClient(opts)
	defer client.Close()
	mu, err := l.Mutex("name", lease.MutexOptions{TTL: 5 * time.Second})
	if err != nil {
		return err
	}
	for range 25 {
		k, err := mu.Lock(ctx)
		if err != nil {
			return err
		}
		n, err := client.Get(ctx, "number").Int()
		if err != nil && err != redis.Nil {
			return err
		}
		fence, err := client.Get(ctx, "fence").Int64()
		if err != nil && err != redis.Nil {
			return err
		}
		if k.Fence() <= fence {
			return fmt.Errorf("fence %d after %d", k.Fence(), fence)
		}
		if err := client.MSet(ctx, "number", n+1, "fence", k.Fence()).Err(); err != nil {
			return err
		}
		if err := k.Unlock(ctx); err != nil {
			return err
		}
	}
	fmt.Println("done")
	return nil
}

func forever(v string) *store.Entry {
	return &store.Entry{Value: []byte(v), Times: store.Times{Created: time.Now().UnixMilli()}}
}

// process is a running child.
type process struct {
	tb  testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// start starts a child, which is ready when start returns and has begun after p.begin.
func startProcess(tb testing.TB, role, url string) *process {
	tb.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childRole+"="+role, childURL+"="+url)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	p := &process{tb, cmd, in, bufio.NewReader(out)}
	tb.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill() // if it has not ended
		_ = cmd.Wait()
	})
	if line := p.line(); line != "ready" {
		tb.Fatalf("a %s says %q", role, line)
	}
	return p
}

func (p *process) begin() { _, _ = io.WriteString(p.in, "\n") }

func (p *process) line() string {
	line, err := p.out.ReadString('\n')
	if err != nil && line == "" {
		p.tb.Errorf("a process has ended: %v", err)
	}
	return strings.TrimSpace(line)
}
