package redisstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/strata-cache/strata/core/store"
)

// wakeProbe is how long a subscription may be silent before it is asked whether it still lives, and how often
// a Ring is asked for its shards.
const wakeProbe = 2 * time.Second

// errSubscription ends a subscription that was not lost with its connection.
var errSubscription = errors.New("the subscription does not reach all servers any more")

// Wakes subscribes on a connection of its own, on a Ring on one for each shard that is up. It does not
// subscribe again by itself: between two subscriptions wake-ups are lost, and the caller has to know. A silent
// connection is probed every two seconds. Node may be any string; a node that is empty is never woken.
func (s *Store) Wakes(ctx context.Context, node string, ready func(), wake func(store.Wake)) error {
	if s.closed.Load() {
		return errClosed
	}
	run, cancel := s.untilClosed(ctx)
	defer cancel()
	subs, still, err := s.subscribe(run, s.channels()+node)
	if err == nil {
		err = s.listen(run, subs, still, ready, wake)
	}
	return s.failure(ctx, "wakes", err)
}

// untilClosed returns a context that also ends with the store. cancel must be called, and waits for the
// goroutine behind it.
func (s *Store) untilClosed(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-s.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		cancel()
		<-done
	}
}

// subscribe sends the subscriptions. still reports whether they are those that are wanted.
func (s *Store) subscribe(ctx context.Context, channel string) (subs []*redis.PubSub, still func() bool, err error) {
	still = func() bool { return true }
	ring, isRing := s.client.(*redis.Ring)
	if !isRing {
		subs = []*redis.PubSub{s.client.Subscribe(ctx)}
	} else {
		// A script publishes where its key lies, and servers of a Ring know nothing of one another.
		shards := 0
		for _, shard := range ring.GetShardClients() {
			subs = append(subs, shard.Subscribe(ctx))
			shards++
		}
		still = func() bool { return ring.Len() == shards }
		if shards == 0 {
			return nil, nil, errSubscription
		}
	}
	timed, cancel, err := s.begin(ctx)
	if err != nil {
		closeAll(subs)
		return nil, nil, err
	}
	defer cancel()
	for _, sub := range subs {
		if err := sub.Subscribe(timed, channel); err != nil {
			closeAll(subs)
			return nil, nil, err
		}
	}
	return subs, still, nil
}

// closeAll closes the subscriptions; that interrupts who reads from them.
func closeAll(subs []*redis.PubSub) {
	for _, sub := range subs {
		_ = sub.Close() // it fails only where it was closed before
	}
}

// listen receives from all subscriptions until ctx ends or one of them fails. It closes them.
func (s *Store) listen(ctx context.Context, subs []*redis.PubSub, still func() bool, ready func(), wake func(store.Wake)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	confirmed := make(chan struct{}, len(subs))
	ended := make(chan struct{}, len(subs))
	messages := make(chan string)
	for _, sub := range subs {
		go func() {
			defer func() { ended <- struct{}{} }()
			cancel(s.receive(ctx, sub, still, func() { confirmed <- struct{}{} }, messages))
		}()
	}
	for missing := len(subs); ctx.Err() == nil; {
		select {
		case <-confirmed:
			if missing--; missing == 0 {
				ready()
			}
		case m := <-messages:
			if w, ok := s.decodeWake(m); ok {
				wake(w)
			}
		case <-ctx.Done():
		}
	}
	cancel(nil)
	closeAll(subs)
	for range subs {
		<-ended
	}
	return context.Cause(ctx)
}

// receive hands on what one subscription receives, and reports its confirmation. It returns why it ended.
func (s *Store) receive(ctx context.Context, sub *redis.PubSub, still func() bool, confirmed func(), messages chan<- string) error {
	confirmation := s.opts.OpTimeout
	if confirmation == 0 {
		confirmation = wakeProbe
	}
	wait, probed := confirmation, true // the confirmation itself is what must come
	for {
		m, err := sub.ReceiveTimeout(ctx, wait)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && isTimeout(err) && !probed:
			if !still() {
				return errSubscription
			}
			if err := sub.Ping(ctx); err != nil {
				return err
			}
			wait, probed = wakeProbe, true
			continue
		case err != nil:
			return err
		}
		wait, probed = wakeProbe, false
		switch m := m.(type) {
		case *redis.Subscription:
			confirmed()
		case *redis.Message:
			select {
			case messages <- m.Payload:
			case <-ctx.Done():
				return ctx.Err()
			}
		case *redis.Pong:
		default:
			return fmt.Errorf("unexpected message of type %T", m)
		}
	}
}
