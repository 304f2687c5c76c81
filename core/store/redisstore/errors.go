package redisstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/strata-cache/strata/core/store"
)

// timeout is an error that says so to those who ask by net.Error's method.
type timeout string

func (e timeout) Error() string { return string(e) }
func (timeout) Timeout() bool   { return true }

// ErrTimeout is returned by a call that got no answer within the time that the store, or its client,
// allows. A caller whose own deadline has passed gets context.DeadlineExceeded instead, so that the two
// can be told apart: the one speaks of the server, the other of the caller.
const ErrTimeout = timeout("redisstore: no answer in time")

var (
	errClosed    = fmt.Errorf("redisstore: %w", store.ErrClosed)
	errWrongType = fmt.Errorf("%w: not a string", store.ErrCorrupt)
)

// failure is the error that op returns for err, which the client has returned. ctx is the caller's. It
// holds no key: neither do the server's texts.
func (s *Store) failure(ctx context.Context, op string, err error) error {
	switch {
	case s.closed.Load(), errors.Is(err, redis.ErrClosed):
		return errClosed
	case ended(ctx) != nil:
		return fmt.Errorf("redisstore: %s: %w", op, ended(ctx))
	case isTimeout(err):
		// Not wrapped: what the client's context says is not what the caller's says.
		return fmt.Errorf("%w: %s: %s", ErrTimeout, op, err.Error())
	case redis.HasErrorPrefix(err, "WRONGTYPE"):
		return fmt.Errorf("redisstore: %s: %w", op, errWrongType)
	case isReply(err) && !unavailable(err):
		return fmt.Errorf("redisstore: %s: %w: %w", op, store.ErrRefused, err)
	default:
		return fmt.Errorf("redisstore: %s: %w", op, err)
	}
}

// unavailable reports whether a reply says that the server cannot answer for now.
func unavailable(err error) bool {
	for _, prefix := range [...]string{"LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY"} {
		if redis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	return false
}

// ended is ctx.Err, but does not wait for ctx's timer where a socket's was faster.
func ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if d, ok := ctx.Deadline(); ok && !time.Now().Before(d) {
		return context.DeadlineExceeded
	}
	return nil
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, redis.ErrPoolTimeout) ||
		errors.As(err, &ne) && ne.Timeout()
}

// isReply reports whether err is an answer of the server, and not the want of one.
func isReply(err error) bool {
	var re redis.Error
	return errors.As(err, &re)
}

// distinct joins errors, each text once: a pipeline whose connection breaks fails with as many equal
// ones as it has commands.
type distinct struct {
	errs []error
	seen map[string]bool
}

func (d *distinct) add(err error) {
	text := err.Error()
	if d.seen[text] {
		return
	}
	if d.seen == nil {
		d.seen = map[string]bool{}
	}
	d.seen[text] = true
	d.errs = append(d.errs, err)
}

func (d *distinct) join() error { return errors.Join(d.errs...) }
