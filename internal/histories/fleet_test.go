//go:build unix

package histories_test

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/strata-cache/strata/internal/histories"
	"github.com/strata-cache/strata/internal/testserver"
)

// mostProcesses is how many take part in a history.
const mostProcesses = 3

// fleet is the processes that play histories, one history at a time, with their server and their database.
type fleet struct {
	srv     *testserver.Server
	admin   *redis.Client
	db      *database
	members []*member
}

// member is one process.
type member struct {
	in  *gob.Encoder
	out *gob.Decoder
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{srv: testserver.Redis(t)}
	f.admin = redis.NewClient(&redis.Options{Addr: f.srv.Addr, MaxRetries: 5})
	t.Cleanup(func() { _ = f.admin.Close() })
	path, err := newDatabase(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	db, unmap, err := openDatabase(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(unmap)
	f.db = db
	for i := range mostProcesses {
		m, err := f.start(t, i, path)
		if err != nil {
			t.Fatal(err)
		}
		f.members = append(f.members, m)
	}
	return f
}

func (f *fleet) start(t *testing.T, number int, path string) (*member, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(),
		childProcess+"="+fmt.Sprint(number), childURL+"="+f.srv.URL(), childDatabase+"="+path)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		_ = in.Close()
		_, _ = io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			t.Errorf("process %d: %v", number, err)
		}
	})
	return &member{gob.NewEncoder(in), gob.NewDecoder(out)}, nil
}

// play lets the processes go through a history and returns what it came to.
func (f *fleet) play(ctx context.Context, s script) (histories.History, []account, error) {
	h := histories.History{Lag: s.lag(), Absent: s.absent}
	accounts := make([]account, s.Processes)
	if err := f.admin.FlushAll(ctx).Err(); err != nil {
		return h, nil, err
	}
	s.Origin = time.Now()
	f.db.reset(1)
	members := f.members[:s.Processes]
	for _, m := range members {
		if err := m.in.Encode(&s); err != nil {
			return h, nil, err
		}
	}
	acting := func() error { return ready(members) }
	if s.Cut {
		acting = func() error { return f.cut(ctx, &s, members) }
	}
	for _, step := range []func() error{
		func() error { return ready(members) }, func() error { return begin(members) }, acting,
		func() error { return begin(members) }, func() error { return ready(members) },
		func() error { return begin(members) }, func() error { return ready(members) },
	} {
		if err := step(); err != nil {
			return h, nil, err
		}
	}
	for i, m := range members {
		if err := m.out.Decode(&accounts[i]); err != nil {
			return h, nil, err
		}
		h.Reads, h.Barriers = append(h.Reads, accounts[i].Reads...), append(h.Barriers, accounts[i].Barriers...)
	}
	return h, accounts, nil
}

// ready waits until all members say that they are done with what they were told.
func ready(members []*member) error {
	for i, m := range members {
		var ok bool
		if err := m.out.Decode(&ok); err != nil {
			return fmt.Errorf("process %d: %w", i, err)
		}
	}
	return nil
}

// cut cuts the connections of the processes every few milliseconds, and lets the server stand still now and
// then, until they have acted.
func (f *fleet) cut(ctx context.Context, s *script, members []*member) error {
	acted := make(chan error, 1)
	go func() { acted <- ready(members) }()
	rng := rand.New(rand.NewPCG(s.Seed, 0))
	for {
		select {
		case err := <-acted:
			return err
		case <-time.After(time.Duration(2+rng.IntN(15)) * time.Millisecond):
		}
		if rng.IntN(20) == 0 {
			f.srv.Pause()
			_ = pause(ctx, time.Duration(50+rng.IntN(100))*time.Millisecond)
			f.srv.Resume()
			continue
		}
		kind := []string{"normal", "pubsub"}[rng.IntN(2)]
		// It fails where it cuts this connection too.
		_ = f.admin.ClientKillByFilter(ctx, "TYPE", kind, "SKIPME", "yes").Err()
	}
}

func begin(members []*member) error {
	var errs []error
	for _, m := range members {
		errs = append(errs, m.in.Encode(true))
	}
	return errors.Join(errs...)
}
