package mirror

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/strata-cache/strata/core/store"
)

var errDown = errors.New("memlog: down")

// server is a log in memory, and what can go wrong with it. Its clock is its own. The zero value is empty.
type server struct {
	mu      sync.Mutex
	records []store.Record
	changed chan struct{}  // closed with the next record
	tick    *atomic.Uint64 // its clock; nil: made when needed
	down    bool           // everything fails at once
	hung    bool           // nothing answers
	refuse  int            // so many appends are refused after they were carried out
	few     int            // records that a read returns at most; 0: all
	reads   atomic.Int64
	deleted []string
}

// client is a way to a server, which may change.
type client struct {
	mu sync.Mutex
	to *server
}

func (c *client) server() *server {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.to
}

func (c *client) turnTo(s *server) {
	c.mu.Lock()
	old := c.to
	c.to = s
	c.mu.Unlock()
	old.wake()
}

func (s *server) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rouse()
}

func (s *server) rouse() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// fork returns a server that has the first n records.
func (s *server) fork(n int) *server {
	s.mu.Lock()
	defer s.mu.Unlock()
	n = max(0, min(n, len(s.records)))
	return &server{records: slices.Clone(s.records[:n]), tick: s.tick, few: s.few}
}

// late gives the server a clock that says what it said at its last record.
func (s *server) late() *server {
	s.tick = new(atomic.Uint64)
	s.tick.Store(max(1, s.last().Position.Time))
	return s
}

func (s *server) set(change func(s *server)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
	s.rouse()
}

// enter takes the lock, unless the server does not answer.
func (s *server) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	if s.hung {
		s.mu.Unlock()
		<-ctx.Done()
		return ctx.Err()
	}
	if s.down {
		s.mu.Unlock()
		return errDown
	}
	return nil
}

func (s *server) last() (r store.Record) {
	if n := len(s.records); n > 0 {
		r = s.records[n-1]
	}
	return r
}

// put appends a record behind beyond.
func (s *server) put(items []store.Invalidation, beyond store.Position) {
	if s.tick == nil {
		s.tick = new(atomic.Uint64)
	}
	pos := store.Position{Time: s.tick.Add(1)}
	for _, p := range [...]store.Position{s.last().Position, beyond} {
		if !before(p, pos) {
			pos = store.Position{Time: p.Time, Seq: p.Seq + 1}
		}
	}
	s.records = append(s.records, store.Record{Position: pos, Prev: s.last().Position, Items: slices.Clone(items)})
}

func (c *client) Append(ctx context.Context, ch store.Change, after store.Position) (a store.Appended, err error) {
	s := c.server()
	if err := s.enter(ctx); err != nil {
		return a, err
	}
	defer s.mu.Unlock()
	if ch.Beyond.IsZero() && before(s.last().Position, after) {
		return a, store.ErrLogLost
	}
	s.deleted = append(s.deleted, ch.Delete...)
	if len(ch.Items) == 0 {
		return a, nil
	}
	if len(s.records) == 0 {
		s.put(nil, store.Position{})
	}
	s.put(ch.Items, ch.Beyond)
	s.rouse()
	if s.refuse > 0 {
		s.refuse--
		return a, errDown
	}
	a.Records = slices.Clone(s.behind(after))
	return a, nil
}

func (s *server) behind(after store.Position) []store.Record {
	for i := range s.records {
		if before(after, s.records[i].Position) {
			return s.records[i:]
		}
	}
	return nil
}

func (c *client) ReadLog(ctx context.Context, after store.Position, wait time.Duration) ([]store.Record, error) {
	s := c.server()
	timer := time.NewTimer(max(wait, 0))
	defer timer.Stop()
	for {
		if s != c.server() {
			return nil, errDown // the connection is cut
		}
		if err := s.enter(ctx); err != nil {
			return nil, err
		}
		s.reads.Add(1)
		records := slices.Clone(s.behind(after))
		if s.few > 0 && len(records) > s.few {
			records = records[:s.few]
		}
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		changed := s.changed
		s.mu.Unlock()
		if len(records) > 0 || wait <= 0 {
			return records, nil
		}
		select {
		case <-changed:
		case <-timer.C:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (c *client) LogEnds(ctx context.Context) (first, last store.Record, err error) {
	s := c.server()
	if err := s.enter(ctx); err != nil {
		return first, last, err
	}
	defer s.mu.Unlock()
	if len(s.records) > 0 {
		first, last = s.records[0], s.last()
	}
	return first, last, nil
}
