package storetest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/store"
)

// patience is how long a case waits for anything before it calls it hung.
const patience = 30 * time.Second

// slack is how late an expiry may be noticed: a coarse clock and a loaded machine are forgiven.
const slack = 250 * time.Millisecond

// box is one opened store and the test it belongs to. Its methods fail the test on what no case
// expects.
type box struct {
	t   *testing.T
	s   store.Store
	ctx context.Context
}

func newBox(t *testing.T, open Open) box {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	s := open(t)
	if s == nil {
		t.Fatal("open returned no store")
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return box{t: t, s: s, ctx: ctx}
}

func (b box) set(key string, e *store.Entry) {
	b.t.Helper()
	if err := b.s.Set(b.ctx, key, e); err != nil {
		b.t.Fatalf("Set(%q): %v", short(key), err)
	}
}

// get returns nil for a miss.
func (b box) get(key string) *store.Entry {
	b.t.Helper()
	e, err := b.s.Get(b.ctx, key)
	switch {
	case errors.Is(err, store.ErrMiss):
		if e != nil {
			b.t.Fatalf("Get(%q): an entry beside ErrMiss", short(key))
		}
		return nil
	case err != nil:
		b.t.Fatalf("Get(%q): %v", short(key), err)
	case e == nil:
		b.t.Fatalf("Get(%q): neither entry nor error", short(key))
	}
	return e
}

func (b box) wantValue(key, want string) {
	b.t.Helper()
	e := b.get(key)
	if e == nil {
		b.t.Errorf("Get(%q): miss, want %q", short(key), short(want))
	} else if string(e.Value) != want {
		b.t.Errorf("Get(%q): value %q, want %q", short(key), short(string(e.Value)), short(want))
	}
}

func (b box) wantMiss(key string) {
	b.t.Helper()
	if e := b.get(key); e != nil {
		b.t.Errorf("Get(%q): value %q, want a miss", short(key), short(string(e.Value)))
	}
}

func (b box) wantEntry(key string, want *store.Entry) {
	b.t.Helper()
	e := b.get(key)
	if e == nil {
		b.t.Errorf("Get(%q): miss", short(key))
		return
	}
	b.wantEqual(key, e, want)
}

// wantEqual compares everything that a store has to keep. A nil slice equals an empty one; the memo and
// its size are local to the process and not compared.
func (b box) wantEqual(key string, got, want *store.Entry) {
	b.t.Helper()
	check := func(field string, ok bool, got, want any) {
		b.t.Helper()
		if !ok {
			b.t.Errorf("%q: %s is %v, want %v", short(key), field, got, want)
		}
	}
	check("Value", bytes.Equal(got.Value, want.Value), short(string(got.Value)), short(string(want.Value)))
	check("Times", got.Times == want.Times, got.Times, want.Times)
	check("Stamp", got.Stamp == want.Stamp, got.Stamp, want.Stamp)
	check("Schema", got.Schema == want.Schema, got.Schema, want.Schema)
	check("LoadCost", got.LoadCost == want.LoadCost, got.LoadCost, want.LoadCost)
	check("Priority", got.Priority == want.Priority, got.Priority, want.Priority)
	check("Flags", got.Flags == want.Flags, got.Flags, want.Flags)
	check("Tags", slices.Equal(got.Tags, want.Tags), got.Tags, want.Tags)
	check("Deps", slices.Equal(got.Deps, want.Deps), got.Deps, want.Deps)
}

// wantCounter checks a counter as Get returns it. life is its Fresh and Gone, 0 for ever.
func (b box) wantCounter(key, value string, life int64) {
	b.t.Helper()
	e := b.get(key)
	if e == nil {
		b.t.Errorf("Get(%q): miss, want the counter %s", short(key), value)
		return
	}
	b.wantCount(key, e, value, life)
}

// wantCount is wantCounter of an entry at hand. A server that counts natively knows how long a counter
// has still to live, and the instant only as well as its answer was fast.
func (b box) wantCount(key string, e *store.Entry, value string, life int64) {
	b.t.Helper()
	if e.Flags&store.FlagCounter == 0 {
		b.t.Errorf("%q: FlagCounter is not set", short(key))
	}
	if string(e.Value) != value {
		b.t.Errorf("%q: value %q, want %q", short(key), e.Value, value)
	}
	off := max(e.Gone-life, life-e.Gone)
	if e.Fresh != e.Gone || life == 0 && off != 0 || off > slack.Milliseconds() {
		b.t.Errorf("%q: Fresh %d, Gone %d, want %d for both", short(key), e.Fresh, e.Gone, life)
	}
}

// wantExpired waits until key, which goes at gone, is a miss, and fails if that is too early or too
// late.
func (b box) wantExpired(key string, gone int64) {
	b.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		before := time.Now().UnixMilli()
		e := b.get(key)
		after := time.Now().UnixMilli()
		switch {
		case e == nil && after < gone:
			b.t.Fatalf("%q: a miss %d ms before it goes", short(key), gone-after)
		case e == nil:
			return
		case before >= gone+slack.Milliseconds():
			b.t.Fatalf("%q: still there %d ms after it went", short(key), before-gone)
		}
		select {
		case <-tick.C:
		case <-b.ctx.Done():
			b.t.Fatal(b.ctx.Err())
		}
	}
}

// withShortLife calls write with an instant in the near future, and with a farther one again for as
// long as that instant had passed before it could be seen that alive held.
func (b box) withShortLife(write func(gone int64), alive func() bool) (gone int64) {
	b.t.Helper()
	for ttl := 50 * time.Millisecond; ttl < 10*time.Second; ttl *= 2 {
		gone = nowMs() + ttl.Milliseconds()
		write(gone)
		ok := alive()
		if nowMs() < gone {
			if !ok {
				b.t.Fatalf("not there, %v before it goes", ttl)
			}
			return gone
		}
	}
	b.t.Fatal("the machine is too slow to see an entry before it expires")
	return 0
}

// entry returns a fresh entry that lives for hours.
func entry(value string) *store.Entry {
	now := nowMs()
	return &store.Entry{Value: []byte(value), Times: lasting(now)}
}

func lasting(now int64) store.Times {
	return store.Times{Created: now, Refresh: now + 50*60_000, Fresh: now + 60*60_000, Gone: now + 120*60_000}
}

// stale returns an entry past Fresh that is far from Gone.
func stale(value string) *store.Entry {
	now := nowMs()
	return &store.Entry{Value: []byte(value), Times: store.Times{
		Created: now - 60_000, Refresh: now - 20_000, Fresh: now - 10_000, Gone: now + 60*60_000,
	}}
}

// gone returns an entry that is past Gone.
func gone(value string) *store.Entry {
	now := nowMs()
	return &store.Entry{Value: []byte(value), Times: store.Times{
		Created: now - 60_000, Refresh: now - 30_000, Fresh: now - 20_000, Gone: now - 10_000,
	}}
}

// full returns an entry with every field set to something that a careless encoding would lose.
func full(value string) *store.Entry {
	e := entry(value)
	e.Stamp = store.Position{Time: 1<<63 + 12345, Seq: 1<<64 - 1}
	e.Schema = 0xfedcba9876543210
	e.LoadCost = 1234567891 * time.Nanosecond
	e.Priority = store.PriorityImportant
	e.Tags = []string{"team:7", "a b", "ключ", "\x00\xff", "{brace}", "a*?[x]", ""}
	e.Deps = []string{"user:42", "user:43\r\n", "\xfe"}
	return e
}

// counter returns a FlagCounter entry; life is its Fresh and Gone, 0 for ever.
func counter(value string, life int64) *store.Entry {
	return &store.Entry{
		Value: []byte(value), Flags: store.FlagCounter,
		Times: store.Times{Created: nowMs(), Fresh: life, Gone: life},
	}
}

func nowMs() int64 { return time.Now().UnixMilli() }

// inAnHour is an instant in Unix milliseconds.
func inAnHour() int64 { return nowMs() + 3_600_000 }

// short keeps a megabyte out of a failure message.
func short(s string) string {
	if len(s) <= 80 {
		return s
	}
	return s[:60] + "…"
}
