package redisstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/strata-cache/strata/core/store"
)

const (
	// readRecords is how many records one ReadLog returns at most.
	readRecords = 1000
	// readPoll is how often a client that is not go-redis's own is asked for new records.
	readPoll = 50 * time.Millisecond
)

// logReader keeps the connection on which ReadLog waits: a client of its own, which takes none from the pool
// of the others and can be closed under a read, the only way to interrupt one.
type logReader struct {
	mu     sync.Mutex
	idle   *redis.Client // nil while it is in use, or where there is none
	closed bool
	tail   store.Position // the newest record that this process knows of
}

// take returns the idle client, or nil.
func (r *logReader) take() *redis.Client {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.idle
	r.idle = nil
	return c
}

// give keeps the client for the next ReadLog, or closes it.
func (r *logReader) give(c *redis.Client) {
	r.mu.Lock()
	if r.idle == nil && !r.closed {
		r.idle, c = c, nil
	}
	r.mu.Unlock()
	if c != nil {
		_ = c.Close() // it only fails where it was closed before
	}
}

func (r *logReader) close() {
	r.mu.Lock()
	c := r.idle
	r.idle, r.closed = nil, true
	r.mu.Unlock()
	if c != nil {
		_ = c.Close()
	}
}

// know notes the end of the log.
func (r *logReader) know(tail store.Position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tail = tail
}

// known returns the noted end of the log.
func (r *logReader) known() store.Position {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tail
}

// ReadLog is one XREAD of at most 1,000 records, on a connection of its own, which is kept for the next call:
// it takes none from the pool that the other calls share. A caller that cancels is let go at once; without an
// answer it takes wait and OpTimeout. Where wait is not positive it is one XRANGE on a shared connection. A
// client that is not go-redis's own is asked every 50 ms.
func (s *Store) ReadLog(ctx context.Context, after store.Position, wait time.Duration) ([]store.Record, error) {
	if wait <= 0 {
		return s.rangeLog(ctx, after)
	}
	if s.closed.Load() {
		return nil, errClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, s.failure(ctx, "read log", err)
	}
	c := s.reader.take()
	if c == nil {
		o, err := s.readerOptions(ctx)
		if err != nil {
			return nil, err
		}
		if o == nil {
			return s.pollLog(ctx, after, wait)
		}
		c = redis.NewClient(o)
	}
	before := s.reader.known()
	records, interrupted, err := s.awaitLog(ctx, c, after, wait)
	switch {
	case err != nil, interrupted, len(records) == 0 && before.Compare(after) > 0 && s.reader.known() == before:
		// In the latter case others have seen a record that this server does not have: after a failover the
		// connection may still lead to the old master.
		_ = c.Close() // awaitLog may have closed it
	default:
		s.reader.give(c)
	}
	if err != nil {
		return nil, s.failure(ctx, "read log", err)
	}
	return records, nil
}

// rangeLog returns the records behind after, and does not wait.
func (s *Store) rangeLog(ctx context.Context, after store.Position) ([]store.Record, error) {
	behind, ok := next(after)
	if !ok {
		behind = after
	}
	var reply any
	err := s.do(ctx, "read log", func(ctx context.Context) (err error) {
		reply, err = s.client.Do(ctx, "xrange", s.logKey(), streamID(behind), "+", "count", readRecords).Result()
		return err
	})
	if err != nil {
		return nil, err
	}
	records, err := recordsOf(reply)
	if err != nil {
		return nil, fmt.Errorf("redisstore: read log: %w", err)
	}
	return records, nil
}

// pollLog is ReadLog over a client whose connections are not known.
func (s *Store) pollLog(ctx context.Context, after store.Position, wait time.Duration) ([]store.Record, error) {
	end := time.NewTimer(wait)
	defer end.Stop()
	tick := time.NewTicker(readPoll)
	defer tick.Stop()
	for {
		if records, err := s.rangeLog(ctx, after); err != nil || len(records) > 0 {
			return records, err
		}
		select {
		case <-tick.C:
		case <-end.C:
			return nil, nil
		case <-s.ended:
			return nil, errClosed
		case <-ctx.Done():
			return nil, s.failure(ctx, "read log", ctx.Err())
		}
	}
}

// readerOptions returns the options of a client for the server that holds the log, or nil where the store's
// client is not go-redis's own.
func (s *Store) readerOptions(ctx context.Context) (*redis.Options, error) {
	var node *redis.Client
	err := s.do(ctx, "read log", func(ctx context.Context) (err error) {
		switch c := s.client.(type) {
		case *redis.Client:
			node = c
		case *redis.ClusterClient:
			node, err = c.MasterForKey(ctx, s.logKey())
		case *redis.Ring:
			node, err = c.GetShardClientForKey(s.logKey())
		}
		return err
	})
	if err != nil || node == nil {
		return nil, err
	}
	o := *node.Options()
	o.PoolSize, o.MinIdleConns, o.MaxIdleConns, o.MaxActiveConns = 1, 0, 0, 0
	o.MaxConcurrentDials = 1
	o.MaxRetries = -1 // the reader calls again
	o.ContextTimeoutEnabled = true
	o.ReadTimeout = -1 // the context's deadline knows how long a read may wait
	o.ClientSideCacheConfig = nil
	o.PushNotificationProcessor = nil // belongs to one client
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return &o, nil
}

// readerPatience is how long an answer may take beyond the wait where OpTimeout sets no limit.
const readerPatience = 5 * time.Second

// awaitLog is one XREAD. If the caller or the store ends before its answer, c is closed and interrupted set.
func (s *Store) awaitLog(
	ctx context.Context, c *redis.Client, after store.Position, wait time.Duration,
) (records []store.Record, interrupted bool, err error) {
	answer := s.opts.OpTimeout
	if answer == 0 {
		answer = readerPatience
	}
	run, cancel := s.untilClosed(ctx)
	defer cancel()
	timed, stop := context.WithTimeout(run, wait+answer)
	defer stop()
	stopWatch := make(chan struct{})
	watched := make(chan bool)
	go func() {
		select {
		case <-stopWatch:
			watched <- false
		case <-run.Done():
			_ = c.Close() // it interrupts the read
			watched <- true
		}
	}()
	reply, err := c.Do(timed, "xread", "count", readRecords, "block", max(wait.Milliseconds(), 1),
		"streams", s.logKey(), streamID(after)).Result()
	close(stopWatch)
	interrupted = <-watched
	switch {
	case errors.Is(err, redis.Nil):
		return nil, interrupted, nil
	case err != nil && interrupted:
		return nil, true, context.Cause(run) // and not that the client is closed
	case err != nil:
		return nil, false, err
	}
	list, err := streamOf(reply)
	if err != nil {
		return nil, interrupted, err
	}
	records, err = recordsOf(list)
	return records, interrupted, err
}
