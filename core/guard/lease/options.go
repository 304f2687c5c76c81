package lease

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/strata-cache/strata/core/store"
)

// Defaults of Options.
const (
	// DefaultTTL is how long a lease or lock lasts that is not renewed.
	DefaultTTL = 10 * time.Second
	// DefaultPoll is the first pause of a waiter that cannot be woken.
	DefaultPoll = 25 * time.Millisecond
	// DefaultPollMax is the longest pause of a waiter.
	DefaultPollMax = 200 * time.Millisecond
	// DefaultIdle is how long the connection for wake-ups stays open while nobody waits.
	DefaultIdle = time.Minute
)

// minTTL is the shortest TTL that can be renewed in time.
const minTTL = 10 * time.Millisecond

// maxNode is the longest name of a node in bytes.
const maxNode = 64

// Options configure Leases. The zero value is the defaults above.
type Options struct {
	// TTL is how long a lease outlives a holder that has died. A live one renews it at a third. At least 10
	// milliseconds. Zero means DefaultTTL.
	TTL time.Duration
	// Poll is how long a waiter pauses before it asks again while it cannot be woken, because the connection
	// for wake-ups is not up; each pause is twice the one before, up to PollMax. Zero means DefaultPoll;
	// negative means that waiters do not poll at all, and ask again only when woken, or when the holder's
	// lease runs out.
	Poll time.Duration
	// PollMax is how long a waiter pauses that can be woken, in case a wake-up is lost. Zero means
	// DefaultPollMax, or Poll if that is longer.
	PollMax time.Duration
	// Idle is for how long nobody must have waited before the connection for wake-ups is closed. Zero means
	// DefaultIdle, negative means that it stays open until Close, once it was opened.
	Idle time.Duration
	// Node is the name by which the store wakes this process. No other process may have it. At most 64 bytes.
	// Empty means a random one, which nearly always is the right choice.
	Node string
	// Locker serves Mutex. Nil means the store itself, if it is one.
	Locker store.Locker
	// Logger hears of the connection for wake-ups failing, once for each time that it had been up. Nil is
	// silent.
	Logger *slog.Logger
}

func (o Options) withDefaults() (Options, error) {
	if o.TTL == 0 {
		o.TTL = DefaultTTL
	}
	if o.TTL < minTTL {
		return o, fmt.Errorf("lease: TTL %v, the shortest is %v", o.TTL, minTTL)
	}
	if o.Poll == 0 {
		o.Poll = DefaultPoll
	}
	if o.PollMax == 0 {
		o.PollMax = max(DefaultPollMax, o.Poll)
	}
	if o.PollMax < o.Poll {
		return o, fmt.Errorf("lease: PollMax %v is shorter than Poll %v", o.PollMax, o.Poll)
	}
	if o.PollMax < 0 {
		return o, fmt.Errorf("lease: PollMax %v", o.PollMax)
	}
	if o.Idle == 0 {
		o.Idle = DefaultIdle
	}
	if o.Node == "" {
		o.Node = newToken()
	}
	if len(o.Node) > maxNode {
		return o, fmt.Errorf("lease: Node of %d bytes, the limit is %d", len(o.Node), maxNode)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}
