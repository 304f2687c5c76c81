package redisstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/strata-cache/strata/core/store"
)

// Store keeps entries on a Redis server under one prefix. It is safe for concurrent use. Goroutines live no
// longer than the call of ReadLog or Wakes that starts them. Make one with Open or New.
type Store struct {
	client redis.UniversalClient
	opts   Options
	// single says that any keys may stand in one command: the client speaks to one server.
	single bool

	reader logReader

	closed      atomic.Bool
	closing     sync.Once
	ended       chan struct{} // closed by Close
	closeClient func() error  // nil where the client is the caller's
}

var (
	_ store.Store   = (*Store)(nil)
	_ store.Batcher = (*Store)(nil)
	_ store.Adder   = (*Store)(nil)
	_ store.Toucher = (*Store)(nil)
	_ store.Counter = (*Store)(nil)
	_ store.Scanner = (*Store)(nil)
	_ store.Pinger  = (*Store)(nil)
	_ store.Log     = (*Store)(nil)
	_ store.Leaser  = (*Store)(nil)
	_ store.Locker  = (*Store)(nil)
)

// New opens a store over a client that stays the caller's: Close leaves it open. Unless OpTimeout is
// negative, the client's options must have ContextTimeoutEnabled; Tune sets this and more. Nothing is
// asked of the server yet.
func New(client redis.UniversalClient, opts Options) (*Store, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	keeps, err := keepsDeadlines(client)
	if err != nil {
		return nil, err
	}
	if !keeps && opts.OpTimeout > 0 {
		return nil, errors.New("redisstore: the client ignores deadlines, so OpTimeout would be ignored: " +
			"set ContextTimeoutEnabled in its options, or a negative OpTimeout")
	}
	_, single := client.(*redis.Client)
	return &Store{client: client, opts: opts, single: single, ended: make(chan struct{})}, nil
}

// keepsDeadlines reports whether the client heeds a context's deadline. Of a client that is not
// go-redis's own it is believed.
func keepsDeadlines(client redis.UniversalClient) (bool, error) {
	errNil := errors.New("redisstore: no client")
	switch c := client.(type) {
	case nil:
		return false, errNil
	case *redis.Client:
		if c == nil {
			return false, errNil
		}
		return c.Options().ContextTimeoutEnabled, nil
	case *redis.ClusterClient:
		if c == nil {
			return false, errNil
		}
		return c.Options().ContextTimeoutEnabled, nil
	case *redis.Ring:
		if c == nil {
			return false, errNil
		}
		return c.Options().ContextTimeoutEnabled, nil
	default:
		return true, nil
	}
}

// begin gives a round trip its time. On an error there is none.
func (s *Store) begin(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if s.closed.Load() {
		return nil, nil, errClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	if s.opts.OpTimeout == 0 {
		return ctx, func() {}, nil
	}
	if d, ok := ctx.Deadline(); ok && time.Until(d) <= s.opts.OpTimeout {
		return ctx, func() {}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.opts.OpTimeout)
	return ctx, cancel, nil
}

// do runs one round trip and gives its error the form that callers see. A nil reply (redis.Nil) is
// returned as it is.
func (s *Store) do(ctx context.Context, op string, roundTrip func(ctx context.Context) error) error {
	timed, cancel, err := s.begin(ctx)
	if err != nil {
		return s.failure(ctx, op, err)
	}
	defer cancel()
	err = roundTrip(timed)
	if err == nil || errors.Is(err, redis.Nil) {
		return err
	}
	return s.failure(ctx, op, err)
}

// Get is one GET, for a counter one more round trip.
func (s *Store) Get(ctx context.Context, key string) (*store.Entry, error) {
	var data string
	err := s.do(ctx, "get", func(ctx context.Context) (err error) {
		data, err = s.client.Get(ctx, s.name(key)).Result()
		return err
	})
	switch {
	case errors.Is(err, redis.Nil):
		return nil, store.ErrMiss
	case err != nil:
		return nil, err
	case isInteger(data):
		return s.getCounter(ctx, key)
	}
	e, err := entryOf(key, data, time.Now().UnixMilli())
	if errors.Is(err, store.ErrCorrupt) {
		err = fmt.Errorf("redisstore: get: %w", err)
	}
	return e, err
}

// Set is one SET with the expiry in milliseconds.
func (s *Store) Set(ctx context.Context, key string, e *store.Entry) error {
	f, refused := s.formOf(key, e, time.Now().UnixMilli())
	err := s.do(ctx, "set", func(ctx context.Context) error {
		return put(ctx, s.client, s.name(key), f).Err()
	})
	if refused != nil {
		return errors.Join(fmt.Errorf("redisstore: set: %w", refused), err)
	}
	return err
}

// put stores f, or removes what is there where f is gone. On a pipeline it only queues the command.
func put(ctx context.Context, c redis.Cmdable, name string, f form) redis.Cmder {
	if f.px == gone {
		return c.Unlink(ctx, name)
	}
	return c.Set(ctx, name, f.data, time.Duration(f.px)*time.Millisecond)
}

// Ping asks the server for an answer; on a Cluster one of them.
func (s *Store) Ping(ctx context.Context) error {
	return s.do(ctx, "ping", func(ctx context.Context) error { return s.client.Ping(ctx).Err() })
}

// Close closes the client that Open has made, and leaves New's alone. Calls under way return
// store.ErrClosed, or what they have got. What is stored stays.
func (s *Store) Close() error {
	var err error
	s.closing.Do(func() {
		s.closed.Store(true)
		close(s.ended)
		s.reader.close()
		if s.closeClient != nil {
			err = s.closeClient()
		}
	})
	if err != nil {
		return fmt.Errorf("redisstore: close: %w", err)
	}
	return nil
}
