package cache

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/guard/flight"
	"github.com/strata-cache/strata/core/guard/refresh"
)

// GetMany returns the values for the ids; an id that does not exist is left out. What is cached is read
// in one round trip where the store can do that; only the rest is loaded, with LoadMany where the kind has
// one, and never an id that another caller is loading already. Repeated ids count once.
//
// Where loads fail the error is one of theirs, and the map holds what could be had.
func (k *Kind[K, V]) GetMany(ctx context.Context, ids []K) (map[K]V, error) {
	start := time.Now()
	found := make(map[K]V, len(ids))
	missing, hits, err := k.readMany(ctx, ids, found)
	if err != nil {
		return nil, err
	}
	if len(missing) > 0 && (k.opts.Load != nil || k.opts.LoadMany != nil) {
		err = k.loadMissing(ctx, missing, found)
	}
	k.space.reportMany(ctx, event.OpGet, hits, hits+len(missing), start, nil)
	return found, err
}

// wanted is one id that was not found fresh.
type wanted[K comparable] struct {
	id    K
	key   string
	epoch uint64
	seen  look // what cannot be served as it is
}

func (k *Kind[K, V]) wantedPlan(w wanted[K]) *plan[V] {
	p := k.plan(w.key, w.id, k.load, k.whole)
	p.hung, p.fallback = w.seen.hung, nil
	return p
}

// readMany reads what is cached into found. It returns what is missing, and how many ids the cache had an
// answer for, remembered ErrNotFound included.
func (k *Kind[K, V]) readMany(ctx context.Context, ids []K, found map[K]V) (missing []wanted[K], hits int, err error) {
	want := make([]wanted[K], 0, len(ids))
	keys := make([]string, 0, len(ids))
	known := make(map[K]bool, len(ids))
	for _, id := range ids {
		if known[id] {
			continue
		}
		known[id] = true
		key, err := k.keyString(ctx, id)
		if err != nil {
			return nil, 0, err
		}
		want = append(want, wanted[K]{id: id, key: key, epoch: k.space.flights.Epoch(key)})
		keys = append(keys, key)
	}
	looks := k.space.lookupMany(ctx, keys)
	missing = want[:0]
	now := k.space.clock.Now()
	for i, l := range looks {
		v, outcome, _ := serve(ctx, k.space, k.types, keys[i], l, now)
		if outcome == event.OutcomeMiss && l.entry == nil && k.absent(ctx, want[i]) {
			outcome = event.OutcomeNegative
		}
		switch outcome {
		case event.OutcomeHit:
			found[want[i].id] = v
			if p := k.wantedPlan(want[i]); p.due(l.entry) {
				p.renew(ctx, l)
			}
		case event.OutcomeNegative:
		default:
			want[i].seen = l
			missing = append(missing, want[i])
			continue
		}
		found := l.entry
		if found == nil {
			found = k.space.negative(keys[i])
		}
		k.space.note(ctx, keys[i], found, false)
	}
	return missing, len(keys) - len(missing), nil
}

// absent reports whether an id is known not to exist.
func (k *Kind[K, V]) absent(ctx context.Context, w wanted[K]) bool {
	if k.space.disabled(ctx) {
		return false
	}
	f := k.policy.Filter
	return k.space.negative(w.key) != nil || f != nil && !f.MayContain(ctx, string(k.append(nil, w.id)))
}

// gather collects the results of loads.
type gather[K comparable, V any] struct {
	mu    sync.Mutex
	found map[K]V
	err   error // the first
}

func (g *gather[K, V]) add(id K, v V, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case err == nil:
		g.found[id] = v
	case !errors.Is(err, ErrNotFound) && g.err == nil:
		g.err = err
	}
}

func (k *Kind[K, V]) loadMissing(ctx context.Context, missing []wanted[K], found map[K]V) error {
	g := &gather[K, V]{found: found}
	if k.opts.LoadMany == nil {
		k.loadEach(ctx, missing, g)
		return g.err
	}
	b := &batch[K, V]{kind: k}
	var follow []batchItem[K]
	for _, w := range missing {
		call, lctx, leader := k.space.flights.Join(ctx, w.key, k.policy.HardTimeout)
		if it := (batchItem[K]{wanted: w, call: call, ctx: lctx}); leader {
			b.items = append(b.items, it)
		} else {
			follow = append(follow, it)
		}
	}
	led := slices.Clone(b.items) // the batch goes on with its own
	if len(led) > 0 {
		go b.run()
	}
	for _, it := range led {
		res, err := it.call.Result(ctx)
		v, _, _, err := k.wantedPlan(it.wanted).result(ctx, res, false, it.seen, err)
		k.noteLoaded(ctx, it.key, res, err)
		g.add(it.id, v, err)
	}
	for _, it := range follow {
		p, shared := k.wantedPlan(it.wanted), it.call != nil
		var res loaded
		var err error
		if shared {
			res, err = it.call.Wait(ctx)
		} else {
			// It belongs to a load that waits for this one: it is made here, for this caller alone.
			res, err = flight.Guard(ctx, func(ctx context.Context) (loaded, error) { return p.run(ctx, it.seen) })
		}
		var v V
		if shared && ctx.Err() == nil && (errors.Is(err, refresh.ErrSkip) || !p.counts(res, err)) {
			// It began before an invalidation that came before this call.
			v, _, _, err = p.wait(ctx, it.epoch, it.seen)
		} else {
			v, _, _, err = p.result(ctx, res, shared, it.seen, err)
			k.noteLoaded(ctx, it.key, res, err)
		}
		g.add(it.id, v, err)
	}
	return g.err
}

// noteLoaded notes what a load has come to, for who collects.
func (k *Kind[K, V]) noteLoaded(ctx context.Context, key string, res loaded, err error) {
	if err == nil || errors.Is(err, ErrNotFound) {
		k.space.note(ctx, key, res.entry, res.outcome == event.OutcomeStale)
	}
}

// loadOne is Load, or LoadMany for one id.
func (k *Kind[K, V]) loadOne(ctx context.Context, id K) (V, error) {
	if k.opts.Load != nil {
		return k.opts.Load(ctx, id)
	}
	m, err := k.opts.LoadMany(ctx, []K{id})
	if err != nil {
		return *new(V), err
	}
	v, ok := m[id]
	if !ok {
		return v, ErrNotFound
	}
	return v, nil
}

// loadWidth is how many ids GetMany loads at a time where it must load one by one.
const loadWidth = 16

func (k *Kind[K, V]) loadEach(ctx context.Context, missing []wanted[K], g *gather[K, V]) {
	var loads errgroup.Group
	loads.SetLimit(loadWidth)
	for _, w := range missing {
		loads.Go(func() error {
			// Guard: what the values' own methods do must not end the process from a goroutine of ours.
			v, err := flight.Guard(ctx, func(ctx context.Context) (V, error) {
				v, _, _, err := fill(ctx, k.wantedPlan(w), w.epoch, w.seen)
				return v, err
			})
			g.add(w.id, v, err)
			return nil // one that fails does not stop the others
		})
	}
	_ = loads.Wait() // g has the errors
}
