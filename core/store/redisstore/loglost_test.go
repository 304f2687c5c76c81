package redisstore_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/redisstore"
)

// lost checks that s refuses c behind after, and did nothing.
func (g guarded) lost(after store.Position) {
	g.t.Helper()
	g.set("kept")
	end := g.end()
	for _, c := range []store.Change{
		{Delete: []string{"kept"}, Items: []store.Invalidation{{Kind: store.InvalidateKey, Name: "kept"}}},
		{Delete: []string{"kept"}},
		{Add: &store.Item{Key: "not added", Entry: entry("v")}, Items: []store.Invalidation{{Kind: store.InvalidateKey, Name: "not added"}}},
		{Set: []store.Item{{Key: "not set", Entry: entry("v")}}, Items: []store.Invalidation{{Kind: store.InvalidateKey, Name: "not set"}}},
	} {
		if a, err := g.Append(g.ctx, c, after); !errors.Is(err, store.ErrLogLost) {
			g.t.Errorf("Append behind %v to a log that ends at %v: %+v, %v", after, end, a, err)
		}
	}
	if have := g.has("kept", "not added", "not set"); have != "kept" {
		g.t.Errorf("afterwards there is %q", have)
	}
	if now := g.end(); now != end {
		g.t.Errorf("the log has grown from %v to %v", end, now)
	}
}

func logBehindDoesNothing(t *testing.T, open topology) {
	s := open(t, redisstore.Options{})
	s.append(invalidate("k"), store.Position{})
	end := s.end()
	s.append(invalidate("k"), end)
	end = s.end()
	for _, ahead := range []store.Position{
		{Time: end.Time, Seq: end.Seq + 1}, {Time: end.Time + 1}, {Time: 10 * end.Time}, {Time: 1 << 63}, {Time: end.Time, Seq: 1 << 63},
	} {
		s.lost(ahead)
	}
	for _, behind := range []store.Position{end, {Time: end.Time - 1, Seq: 1 << 63}, {Time: 9}} {
		s.append(invalidate("k"), behind)
	}
}

func logDeleted(t *testing.T, open topology) {
	s := open(t, redisstore.Options{})
	s.append(invalidate("k"), store.Position{})
	end := s.end()
	if err := s.raw.Del(s.ctx, s.prefix+"{log}").Err(); err != nil {
		t.Fatal(err)
	}
	s.lost(end)
	if s.exists("{log}") {
		t.Error("there is a log again")
	}
	c := invalidate("k")
	c.Beyond = end
	a := s.append(c, end)
	if len(a.Records) != 2 || a.Records[0].Position.Compare(end) <= 0 {
		t.Errorf("Append beyond %v: %+v", end, a)
	}
	chained(t, store.Position{}, a.Records)
}

func logRestored(t *testing.T, open topology) {
	s := open(t, redisstore.Options{})
	s.append(invalidate("k"), store.Position{})
	old := s.end()
	dump, err := s.raw.Dump(s.ctx, s.prefix+"{log}").Result()
	if err != nil {
		t.Fatal(err)
	}
	s.append(invalidate("l"), old)
	end := s.end()
	if err := s.raw.RestoreReplace(s.ctx, s.prefix+"{log}", 0, dump).Err(); err != nil {
		t.Fatal(err)
	}
	s.lost(end)
	c := invalidate("l")
	c.Beyond = end
	a := s.append(c, old)
	if len(a.Records) != 1 || a.Records[0].Position.Compare(end) <= 0 {
		t.Errorf("Append beyond %v: %+v", end, a)
	}
	chained(t, old, a.Records)
}

func logBeyondTheClock(t *testing.T, open topology) {
	s := open(t, redisstore.Options{})
	far := store.Position{Time: uint64(time.Now().Add(1000 * time.Hour).UnixMilli()), Seq: 7}
	c := invalidate("k")
	c.Beyond = far
	a := s.append(c, store.Position{})
	if len(a.Records) != 2 || a.Records[0].Position.Compare(far) <= 0 {
		t.Fatalf("Append beyond %v to a new log: %+v", far, a)
	}
	end := chained(t, store.Position{}, a.Records)
	b := s.append(invalidate("k"), end)
	end = chained(t, end, b.Records)
	// What the log has already passed asks nothing of it, not even the caller's end.
	c.Beyond = store.Position{Time: 1}
	end = chained(t, end, s.append(c, end).Records)
	further := store.Position{Time: 1 << 62, Seq: 1<<64 - 1}
	c.Beyond = store.Position{Time: 5}
	d := s.append(c, further)
	if len(d.Records) != 1 || d.Records[0].Position.Compare(further) <= 0 || d.Records[0].Prev != end {
		t.Errorf("Append beyond 5 behind %v: %+v", further, d)
	}
	last := store.Position{Time: 1<<64 - 1, Seq: 1<<64 - 1}
	if _, err := s.Append(s.ctx, invalidate("k"), last); err == nil {
		t.Error("Append behind the last position succeeds")
	}
	c.Beyond = last
	if _, err := s.Append(s.ctx, c, end); err == nil {
		t.Error("Append beyond the last position succeeds")
	}
}

// logWithoutItsTail: the log knows an id that was deleted, and takes none up to it.
func logWithoutItsTail(t *testing.T, open topology) {
	s := open(t, redisstore.Options{})
	far := store.Position{Time: uint64(time.Now().Add(1000 * time.Hour).UnixMilli())}
	s.append(invalidate("k"), store.Position{})
	end := s.end()
	c := invalidate("k")
	c.Beyond = far
	a := s.append(c, end)
	tail := a.Records[0].Position
	if err := s.raw.XDel(s.ctx, s.prefix+"{log}", fmt.Sprint(tail.Time, "-", tail.Seq)).Err(); err != nil {
		t.Fatal(err)
	}
	s.lost(tail)
	b := s.append(c, end)
	if len(b.Records) != 1 || b.Records[0].Position.Compare(tail) <= 0 || b.Records[0].Prev != end {
		t.Errorf("Append beyond %v: %+v", far, b)
	}
}
