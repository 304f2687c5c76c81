package cache

import (
	"context"
	"errors"
	"fmt"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/guard/refresh"
)

// RefresherName is the name by which the kind's background refreshes travel to Options.Fleet.
func (k *Kind[K, V]) RefresherName() string {
	return k.space.prefix + "refresh"
}

// Refresher returns the name and the function under which a worker of Options.Fleet renews values of the
// kind: it loads the id that its argument stands for, and stores the value under the same guards as a
// refresh in this process.
//
//	err := queue.Register(users.Refresher())
func (k *Kind[K, V]) Refresher() (name string, refresh func(ctx context.Context, arg string) error) {
	return k.RefresherName(), k.refreshArg
}

func (k *Kind[K, V]) refreshArg(ctx context.Context, arg string) error {
	if k.parse == nil {
		return fmt.Errorf("cache: kind %q: KindOptions.ParseKey must say how an id is read", k.space.name)
	}
	id, err := k.parse(arg)
	if err != nil {
		return fmt.Errorf("cache: kind %q: refresh: %w", k.space.name, err)
	}
	return k.Refresh(ctx, id)
}

// Refresh loads the value for id now and stores it, whatever there is. Where another process is loading it
// nothing is done. It returns the loader's error; ErrNotFound is none, and is remembered.
func (k *Kind[K, V]) Refresh(ctx context.Context, id K) error {
	key, err := k.keyString(ctx, id)
	if err != nil {
		return err
	}
	if k.load == nil {
		return fmt.Errorf("cache: kind %q has no loader", k.space.name)
	}
	p := k.plan(key, id, k.load, k.whole)
	p.behind = true
	l := k.space.lookup(ctx, key)
	p.hung = l.hung
	err = p.runBehind(ctx, l)
	if errors.Is(err, refresh.ErrSkip) {
		err = nil
	}
	if err == nil {
		k.space.queue.Succeeded(key)
	}
	outcome := outcomeOf(err)
	k.space.Report(ctx, event.Call{Key: key, Op: event.OpSet, Outcome: outcome})
	return err
}
