package mirror

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
)

// Defaults of FollowOptions.
const (
	// DefaultHeartbeat is how often the end of the log is looked at.
	DefaultHeartbeat = time.Second
	// DefaultMissed is how many heartbeats may be missed.
	DefaultMissed = 3
	// DefaultBuffer is how many records are kept to be put back into a log that has lost them.
	DefaultBuffer = 4096
)

// The pauses between attempts to reach the log. Each is shortened by up to a half.
const (
	minRetry = 50 * time.Millisecond
	maxRetry = time.Second
)

// minPatience is the least that the log is given to answer, beyond what it was asked to wait.
const minPatience = 500 * time.Millisecond

// ErrClosed is returned by the methods of a closed Follower.
var ErrClosed = errors.New("mirror: the follower is closed")

// FollowOptions configure a Follower. The zero value is ready for use; what is negative counts as zero.
type FollowOptions struct {
	// Heartbeat is how long a read waits for records, and how often the end of the log is looked at. Default:
	// 1 second.
	Heartbeat time.Duration
	// Blind is how long after the last confirmation the mirror counts as blind; at least two heartbeats.
	// Default: 3 heartbeats.
	Blind time.Duration
	// Buffer is how many records are remembered, to be put back into a log that has lost them; and sixteen
	// times as many items. A log that has lost more is flushed. Default: 4,096.
	Buffer int
	// Trimmed is called when records were trimmed from the log before this process had read them: what is in
	// process may have been invalidated, and must go. It must not block. Nil: nobody is told.
	Trimmed func()
	// Notify is called with each change of how the mirror stands with the log, one at a time, in order; err
	// says why of LogBlind. It must neither block nor call the Follower. Nil: nobody is told.
	Notify func(state event.LogState, err error)
	// Logger hears of the same. Nil is silent.
	Logger *slog.Logger
}

func (o FollowOptions) withDefaults() FollowOptions {
	if o.Heartbeat <= 0 {
		o.Heartbeat = DefaultHeartbeat
	}
	if o.Blind <= 0 {
		o.Blind = DefaultMissed * o.Heartbeat
	}
	o.Blind = max(o.Blind, 2*o.Heartbeat)
	if o.Buffer <= 0 {
		o.Buffer = DefaultBuffer
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Follower keeps a Mirror in step with a log, from NewFollower until Close. It is safe for concurrent use.
//
// Until the log was read for the first time, and whenever it was not heard from for too long, the mirror is
// blind. A log that has lost records which the mirror knows gets them back, at new positions; where nobody
// knows what was lost, everything older is invalidated. Several processes may do so at the same time.
type Follower struct {
	m    *Mirror
	log  store.Log
	opts FollowOptions

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	done   sync.WaitGroup // the goroutine, and watch while it is armed

	// turn holds a token while nobody syncs.
	turn chan struct{}
	// asked counts the calls of Resync; served is the count at the start of the last sync that succeeded.
	asked  atomic.Uint64
	served uint64 // whoever has the turn
	// started is set once the mirror stands at a place in the log. Whoever has the turn.
	started bool

	mu        sync.Mutex
	closed    bool
	confirmed time.Time // never: when the Follower was made
	blind     bool
	told      bool          // of blindness
	synced    chan struct{} // closed while not blind
	trouble   error         // the last one
	watcher   *time.Timer
}

// NewFollower follows log with m, which becomes blind until the log was read. It waits for nothing; where
// the log is out of reach it tries again until it is not. No other Follower may have m.
func NewFollower(m *Mirror, log store.Log, opts FollowOptions) *Follower {
	f := &Follower{
		m: m, log: log, opts: opts.withDefaults(),
		turn: make(chan struct{}, 1), synced: make(chan struct{}), confirmed: time.Now(), blind: true,
	}
	f.turn <- struct{}{}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	m.remember(f.opts.Buffer)
	m.SetBlind(true)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done.Add(1)
	f.watcher = time.AfterFunc(f.opts.Blind, f.watch)
	f.done.Go(f.run)
	return f
}

// Close stops following, and waits until nothing runs any more. The mirror stays as it is, but for being
// blind. It is idempotent, and always returns nil.
func (f *Follower) Close() error {
	f.cancel()
	f.mu.Lock()
	f.closed = true
	if f.watcher.Stop() {
		f.done.Done()
	}
	f.mu.Unlock()
	f.done.Wait()
	f.m.SetBlind(true)
	return nil
}

// WaitSynced waits until the mirror is in step with the log: at once where it is.
func (f *Follower) WaitSynced(ctx context.Context) error {
	f.mu.Lock()
	synced := f.synced
	f.mu.Unlock()
	select {
	case <-f.ctx.Done():
		return ErrClosed
	default:
	}
	select {
	case <-synced:
		return nil
	default:
	}
	select {
	case <-synced:
		return nil
	case <-f.ctx.Done():
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run reads until Close.
func (f *Follower) run() {
	retry := minRetry
	for f.ctx.Err() == nil {
		err := f.follow()
		if f.ctx.Err() != nil {
			return
		}
		f.mu.Lock()
		f.trouble = err
		f.mu.Unlock()
		if f.wasSynced() {
			retry = minRetry
		}
		pause := time.NewTimer(retry - rand.N(retry/2))
		select {
		case <-pause.C:
		case <-f.ctx.Done():
			pause.Stop()
		}
		retry = min(2*retry, maxRetry)
	}
}

// wasSynced reports whether the log was heard from during the last heartbeats.
func (f *Follower) wasSynced() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.blind && time.Since(f.confirmed) < 2*f.opts.Heartbeat
}

// follow syncs and reads until something fails.
func (f *Follower) follow() error {
	for {
		if err := f.Resync(f.ctx); err != nil {
			return err
		}
		for beat := time.Now(); time.Since(beat) < f.opts.Heartbeat; {
			records, err := f.read(f.ctx, f.m.Applied(), f.opts.Heartbeat)
			if err != nil {
				return err
			}
			if len(records) == 0 || f.m.Apply(records...) != nil {
				break
			}
		}
	}
}

// confirm notes that everything was applied that was in the log at the time at; clock is the same by the
// mirror's clock.
func (f *Follower) confirm(at time.Time, clock int64) {
	f.m.confirmAt(clock)
	f.mu.Lock()
	defer f.mu.Unlock()
	if !at.After(f.confirmed) && !f.blind {
		return
	}
	age := time.Since(at)
	if f.closed || age >= f.opts.Blind {
		return // too late to mean anything
	}
	f.confirmed = at
	if f.watcher.Stop() {
		f.watcher.Reset(f.opts.Blind - age)
	}
	if f.blind {
		f.blind, f.told, f.trouble = false, false, nil
		f.m.SetBlind(false)
		f.report(event.LogSynced, nil)
		close(f.synced)
	}
}

// watch makes the mirror blind when nothing was confirmed for too long. It runs until Close.
func (f *Follower) watch() {
	defer f.done.Done()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	left := f.opts.Blind - time.Since(f.confirmed)
	if left <= 0 {
		if !f.blind {
			f.blind = true
			f.synced = make(chan struct{})
			f.m.SetBlind(true)
		}
		if !f.told {
			f.told = true
			f.report(event.LogBlind, cmp.Or(f.trouble, errSilent))
		}
		left = f.opts.Blind
	}
	f.done.Add(1)
	f.watcher.Reset(left)
}

// tell reports a state that is not about blindness.
func (f *Follower) tell(state event.LogState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.report(state, nil)
}

// report is called with f.mu held, so that reports come in order.
func (f *Follower) report(state event.LogState, err error) {
	switch state {
	case event.LogSynced:
		f.opts.Logger.Info("mirror: in step with the log")
	case event.LogBlind:
		f.opts.Logger.Warn("mirror: the log is out of reach; what is in process is served for a short time", "error", err)
	case event.LogTrimmed:
		f.opts.Logger.Warn("mirror: records were trimmed from the log before they were read; what is in process is dropped")
	case event.LogRebased:
		f.opts.Logger.Warn("mirror: the log had lost records, which are in it again")
	case event.LogFlushed:
		f.opts.Logger.Warn("mirror: the log had lost records that nobody knows; everything older is a miss")
	}
	if f.opts.Notify != nil {
		f.opts.Notify(state, err)
	}
}
