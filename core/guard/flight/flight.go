// Package flight lets one caller load what many want: concurrent calls for one key share one load, in
// this process.
//
// It differs from the usual singleflight where that hurts in a server. The load runs on a context of
// its own, so the caller that happened to come first can leave without failing the others; it is
// cancelled when its last waiter has left, or at a hard timeout, which also releases waiters from a
// load that ignores its context. Each waiter leaves at its own deadline. A panic or runtime.Goexit in
// the load is an error for every waiter, and kills nobody. A load that asks, directly or through
// another load, for a key that is waiting for it runs on its own instead of waiting for ever.
//
// A failure is shared like a value: n waiters of a load that fails see one failed load, not n in a row.
package flight

import (
	"context"
	"errors"
	"hash/maphash"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// ErrTimeout is what waiters get when a load has not ended at its hard timeout. It is a
// context.DeadlineExceeded, as seen by errors.Is.
var ErrTimeout error = timeoutError{}

type timeoutError struct{}

func (timeoutError) Error() string        { return "flight: load exceeded its hard timeout" }
func (timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }
func (timeoutError) Timeout() bool        { return true }

// ErrAbandoned is the cancellation cause of a load whose last waiter has left.
var ErrAbandoned = errors.New("flight: the last waiter has left")

// errNoReturn stands for the result of a load until it returns, which after runtime.Goexit it never does.
var errNoReturn = errors.New("flight: load did not return")

const shards = 32

// Group coalesces the loads of one set of keys. Make it with New; it must not be copied. It has no
// goroutine of its own: each load's goroutine ends with the load.
type Group[K comparable, V any] struct {
	seed   maphash.Seed
	shards [shards]shard[K, V]
	graph  waitGraph[K, V]
}

type shard[K comparable, V any] struct {
	mu    sync.Mutex
	calls map[K]*Call[K, V]
	epoch atomic.Uint64
	// holds counts the writers of a key, see Hold; commits are the loads that are storing their result,
	// see Commit. Both are made when they are first needed.
	holds   map[K]int
	commits map[K]*commit[K, V]
	_       [24]byte // a cache line each: neighbours must not slow each other
}

// New returns an empty group.
func New[K comparable, V any]() *Group[K, V] {
	g := &Group[K, V]{seed: maphash.MakeSeed()}
	for i := range g.shards {
		g.shards[i].calls = make(map[K]*Call[K, V])
	}
	return g
}

func (g *Group[K, V]) shard(key K) *shard[K, V] {
	return &g.shards[maphash.Comparable(g.seed, key)%shards]
}

// Call is one load, running or done.
type Call[K comparable, V any] struct {
	group  *Group[K, V]
	key    K
	parent *link[K, V] // the load that the leader runs in, if any

	done   chan struct{}
	value  V
	err    error
	cancel context.CancelCauseFunc
	disarm func() bool

	forgotten atomic.Bool

	// Guarded by the shard's lock.
	waiters  int
	finished bool
}

// Do returns the value of the load for key: of the one that is running, which makes shared true, or of
// a new run of fn on a goroutine of its own. fn's context carries ctx's values but neither its deadline
// nor its cancellation; it ends at timeout (0 or negative: never) or when the last waiter has left.
//
// Do returns ctx.Err when ctx ends first. Errors of fn come back as they are, a panic as *PanicError, a
// load that exceeds timeout as ErrTimeout.
func (g *Group[K, V]) Do(ctx context.Context, key K, timeout time.Duration, fn func(context.Context) (V, error)) (v V, shared bool, err error) {
	if err := ctx.Err(); err != nil {
		return v, false, err
	}
	call, lctx, leader := g.Join(ctx, key, timeout)
	switch {
	case call == nil:
		v, err = Guard(ctx, fn)
		return v, false, err
	case leader:
		go call.run(lctx, fn)
		v, err = call.Result(ctx)
		return v, false, err
	default:
		v, err = call.Wait(ctx)
		return v, true, err
	}
}

// Join is the form for a load that must run on the goroutine of its first caller, such as an HTTP
// handler. It returns the running call, or makes a new one whose leader the caller is: the leader runs
// its load on lctx and must then call Finish, whatever happens; it may call Leave before. The others
// call Wait, exactly once.
//
// lctx ends when all waiters, the leader included, have left, or at timeout (0 or negative: never).
//
// A nil call means that waiting would be waiting for oneself: ctx belongs to a load which the one for
// key waits for. The caller then does the work alone.
func (g *Group[K, V]) Join(ctx context.Context, key K, timeout time.Duration) (call *Call[K, V], lctx context.Context, leader bool) {
	inside := g.inside(ctx)
	for l := inside; l != nil; l = l.outer {
		if l.call.key == key && !l.call.forgotten.Load() {
			return nil, nil, false
		}
	}
	s := g.shard(key)
	s.mu.Lock()
	if c := s.calls[key]; c != nil {
		c.waiters++
		s.mu.Unlock()
		if inside != nil && !g.graph.wait(inside, c) {
			c.Leave()
			return nil, nil, false
		}
		return c, nil, false
	}
	c := &Call[K, V]{group: g, key: key, parent: inside, done: make(chan struct{}), waiters: 1}
	if s.holds[key] > 0 {
		c.forgotten.Store(true)
	}
	s.calls[key] = c
	lctx = c.start(ctx, timeout)
	s.mu.Unlock()
	if inside != nil {
		g.graph.wait(inside, c)
	}
	return c, lctx, true
}

// start makes the load's context, whose end by timeout releases the waiters even when the load ignores
// it.
func (c *Call[K, V]) start(ctx context.Context, timeout time.Duration) context.Context {
	inner := context.WithValue(context.WithoutCancel(ctx), groupKey[K, V]{c.group}, &link[K, V]{c, c.parent})
	inner, c.cancel = context.WithCancelCause(inner)
	if timeout <= 0 {
		return inner
	}
	timed, stop := context.WithTimeoutCause(inner, timeout, ErrTimeout)
	c.disarm = context.AfterFunc(timed, func() {
		stop()
		if errors.Is(context.Cause(timed), ErrTimeout) {
			var zero V
			c.Finish(zero, ErrTimeout)
		}
	})
	return timed
}

func (c *Call[K, V]) run(ctx context.Context, fn func(context.Context) (V, error)) {
	var v V
	err := errNoReturn
	defer func() {
		if errors.Is(err, errNoReturn) {
			err = &PanicError{Stack: debug.Stack()}
		}
		c.Finish(v, err)
	}()
	v, err = Guard(ctx, fn)
}

// Wait returns the call's result to a follower, or ctx.Err if ctx ends first.
func (c *Call[K, V]) Wait(ctx context.Context) (V, error) {
	if inside := c.group.inside(ctx); inside != nil {
		defer c.group.graph.stop(inside, c)
	}
	return c.Result(ctx)
}

// Result is Wait for a leader that has left the load itself to another goroutine.
func (c *Call[K, V]) Result(ctx context.Context) (V, error) {
	select {
	case <-c.done:
		return c.value, c.err
	default:
	}
	select {
	case <-c.done:
		return c.value, c.err
	case <-ctx.Done():
		c.Leave()
		var zero V
		return zero, ctx.Err()
	}
}

// Leave takes one waiter off: a leader that has lost interest in the result, while its followers may
// not have. It must be called at most once, and by the leader only. The last waiter to leave cancels the
// load and takes it out of the way, so that the next caller does not join a dying one.
func (c *Call[K, V]) Leave() {
	s := c.group.shard(c.key)
	s.mu.Lock()
	c.waiters--
	abandoned := c.waiters == 0 && !c.finished
	if abandoned && s.calls[c.key] == c {
		delete(s.calls, c.key)
	}
	s.mu.Unlock()
	if abandoned {
		c.cancel(ErrAbandoned)
	}
}

// Finish delivers the result to all waiters and ends the call. Only the first Finish counts; it
// reports whether this one was.
func (c *Call[K, V]) Finish(v V, err error) bool {
	s := c.group.shard(c.key)
	s.mu.Lock()
	if c.finished {
		s.mu.Unlock()
		return false
	}
	c.finished = true
	c.value, c.err = v, err
	if s.calls[c.key] == c {
		delete(s.calls, c.key)
	}
	s.epoch.Add(1)
	s.mu.Unlock()
	close(c.done)
	if c.disarm != nil {
		c.disarm()
	}
	c.cancel(context.Canceled)
	if c.parent != nil {
		c.group.graph.stop(c.parent, c)
	}
	return true
}

// Epoch returns a number that changes when a load of key ends. A caller that looked a key up before it
// joined, and became leader, needs to look again only if the epoch moved since it began to look: only
// then can another load have stored what it missed.
func (g *Group[K, V]) Epoch(key K) uint64 { return g.shard(key).epoch.Load() }

// Forgotten reports whether the load that runs on ctx was forgotten.
func (g *Group[K, V]) Forgotten(ctx context.Context) bool {
	l := g.inside(ctx)
	return l != nil && l.call.forgotten.Load()
}

// Forgotten reports whether the call was forgotten: its result must not be stored. The answer may be
// out of date a moment later; what must not be, goes through Commit.
func (c *Call[K, V]) Forgotten() bool { return c.forgotten.Load() }
