package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/redisstore"
	"github.com/strata-cache/strata/internal/testserver"
)

// calls is how often INFO commandstats says that a command was called.
func calls(info, command string) int {
	for line := range strings.Lines(info) {
		if rest, ok := strings.CutPrefix(line, "cmdstat_"+command+":calls="); ok {
			n, _, _ := strings.Cut(rest, ",")
			count, _ := strconv.Atoi(n)
			return count
		}
	}
	return 0
}

func TestRoundTripsOfGuards(t *testing.T) {
	s, h := taped(t)
	ctx := context.Background()
	for _, call := range guards(s) { // the first call of each script teaches it to the server
		if err := call(ctx); err != nil {
			t.Fatal(err)
		}
	}
	h.take()
	for name, call := range guards(s) {
		want := []string{"evalsha"}
		switch name {
		case "LogEnds":
			want = []string{"xrange xrevrange"}
		case "ReadLog":
			want = []string{"xrange"}
		case "ReadLog that waits":
			want = nil // on its own connection: see below
		}
		err := call(ctx)
		if got := h.take(); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: round trips %q, error %v, want %q", name, got, err, want)
		}
	}
}

// TestRoundTripsOfAReader are counted by the server: it is asked once for each answer, on one connection.
func TestRoundTripsOfAReader(t *testing.T) {
	srv := testserver.Redis(t)
	s := open(t, srv.URL(), redisstore.Options{OpTimeout: patient})
	admin := redis.NewClient(&redis.Options{Addr: srv.Addr})
	defer admin.Close()
	ctx := t.Context()
	var end store.Position
	const n = 10
	for i := range n {
		a, err := s.Append(ctx, invalidate(fmt.Sprint(i)), end)
		if err != nil {
			t.Fatal(err)
		}
		records, err := s.ReadLog(ctx, end, patient)
		if err != nil || len(records) != len(a.Records) {
			t.Fatalf("ReadLog: %v, %v", records, err)
		}
		end = chained(t, end, records)
	}
	info, err := admin.Info(ctx, "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	if got := calls(info, "xread"); got != n {
		t.Errorf("%d XREAD, want %d", got, n)
	}
	// The script is loaded by one EVAL, and writes an origin and the records.
	if got := calls(info, "evalsha"); got != n {
		t.Errorf("%d EVALSHA, want %d", got, n)
	}
	if got := calls(info, "xadd"); got != n+1 {
		t.Errorf("%d XADD, want %d", got, n+1)
	}
	if got := calls(info, "hello"); got > 3 {
		t.Errorf("%d connections", got)
	}
}

// TestLeastPrivilegeOfGuards runs the guards as a user who may do no more than the package comment asks for.
func TestLeastPrivilegeOfGuards(t *testing.T) {
	srv := testserver.Redis(t)
	admin := redis.NewClient(&redis.Options{Addr: srv.Addr})
	defer admin.Close()
	rules := strings.Fields("on >s3cret ~shop:* &shop:* " +
		"+get +mget +set +unlink +getrange +setrange +exists +incrby +pttl +pexpire +persist " +
		"+eval +evalsha +scan +ping +hello +select " +
		"+incr +sadd +smembers +time +xadd +xtrim +xrange +xrevrange +xread +publish +subscribe")
	args := []any{"acl", "setuser", "shop"}
	for _, r := range rules {
		args = append(args, r)
	}
	if err := admin.Do(t.Context(), args...).Err(); err != nil {
		t.Fatal(err)
	}
	s := open(t, "redis://shop:s3cret@"+srv.Addr, redisstore.Options{Prefix: "shop:", OpTimeout: patient})
	ctx, cancel := context.WithCancel(t.Context())
	ended, ready, got := make(chan error, 1), make(chan struct{}), make(chan store.Wake, 100)
	go func() { ended <- s.Wakes(ctx, "node", func() { close(ready) }, func(w store.Wake) { got <- w }) }()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	for range 3 {
		for name, call := range guards(s) {
			if err := call(ctx); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		works(t, s)
	}
	if _, err := s.Lease(ctx, "woken", store.LeaseRequest{Token: "t", TTL: time.Minute}); err != nil {
		t.Error(err)
	}
	if _, err := s.Lease(ctx, "woken", store.LeaseRequest{Token: "u", TTL: time.Minute, Node: "node"}); err != nil {
		t.Error(err)
	}
	if ok, err := s.SetLeased(ctx, "woken", "t", entry("v")); !ok || err != nil {
		t.Errorf("SetLeased = %v, %v", ok, err)
	}
	for woken(t, got).Key != "woken" {
	}
	c := invalidate("k")
	c.Beyond = store.Position{Time: 1 << 45}
	if _, err := s.Append(ctx, c, store.Position{}); err != nil {
		t.Errorf("Append beyond the clock: %v", err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Wakes: %v", err)
	}
}

// TestEveryReaderSeesOneSequence: random appends of several clients; every reader sees the same records, in
// an unbroken chain, and what the appends have handed back is what is read.
func TestEveryReaderSeesOneSequence(t *testing.T) {
	t.Parallel()
	topologies(t, func(t *testing.T, open topology) {
		const clients = 3
		var all [clients]guarded
		rapid.Check(t, func(rt *rapid.T) {
			for i := range all {
				if all[i].Store == nil {
					all[i] = open(t, redisstore.Options{Prefix: all[0].prefix})
				}
			}
			begin := all[0].end()
			var at [clients]store.Position
			var read [clients][]store.Record
			for i := range at {
				at[i] = begin
			}
			var want []string
			for range rapid.IntRange(1, 12).Draw(rt, "steps") {
				i := rapid.IntRange(0, clients-1).Draw(rt, "client")
				s := all[i]
				switch rapid.IntRange(0, 3).Draw(rt, "what") {
				case 0:
					records, err := s.ReadLog(s.ctx, at[i], 0)
					if err != nil {
						rt.Fatal(err)
					}
					at[i], read[i] = chained(t, at[i], records), append(read[i], records...)
				default:
					var c store.Change
					for range rapid.IntRange(1, 3).Draw(rt, "items") {
						name := fmt.Sprint(len(want))
						want = append(want, name)
						c.Items = append(c.Items, store.Invalidation{Kind: store.InvalidateTag, Name: name})
					}
					c.Delete = rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 3).Draw(rt, "delete")
					a := s.append(c, at[i])
					at[i], read[i] = chained(t, at[i], a.Records), append(read[i], a.Records...)
				}
			}
			for i, s := range all {
				records, err := s.ReadLog(s.ctx, at[i], 0)
				if err != nil {
					rt.Fatal(err)
				}
				chained(t, at[i], records)
				var got []string
				for _, r := range append(read[i], records...) {
					for _, it := range r.Items {
						got = append(got, it.Name)
					}
				}
				if !slices.Equal(got, want) {
					rt.Fatalf("client %d has seen %q, want %q", i, got, want)
				}
			}
		})
	})
}
