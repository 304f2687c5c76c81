package event

import "context"

// Join returns an observer that passes each event to all of the given ones, in order. Nil observers
// are left out; Join of none is nil.
func Join(observers ...*Observer) *Observer {
	var all []*Observer
	for _, o := range observers {
		if o != nil {
			all = append(all, o)
		}
	}
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return &Observer{
		Call:       fan(all, func(o *Observer) func(context.Context, Call) { return o.Call }),
		Load:       fan(all, func(o *Observer) func(context.Context, Load) { return o.Load }),
		StoreError: fan(all, func(o *Observer) func(context.Context, StoreError) { return o.StoreError }),
		Corrupt:    fan(all, func(o *Observer) func(context.Context, Corrupt) { return o.Corrupt }),
		Rejected:   fan(all, func(o *Observer) func(context.Context, Rejected) { return o.Rejected }),
		Refused:    fan(all, func(o *Observer) func(context.Context, Refused) { return o.Refused }),
		Bypass:     fan(all, func(o *Observer) func(context.Context, Bypass) { return o.Bypass }),
		Evict:      plain(all, func(o *Observer) func(Evict) { return o.Evict }),
		Refresh:    fan(all, func(o *Observer) func(context.Context, Refresh) { return o.Refresh }),
		Log:        plain(all, func(o *Observer) func(Log) { return o.Log }),
		Filter:     plain(all, func(o *Observer) func(Filter) { return o.Filter }),
		Breaker:    plain(all, func(o *Observer) func(Breaker) { return o.Breaker }),
	}
}

func fan[E any](all []*Observer, field func(*Observer) func(context.Context, E)) func(context.Context, E) {
	var fns []func(context.Context, E)
	for _, o := range all {
		if f := field(o); f != nil {
			fns = append(fns, f)
		}
	}
	if len(fns) == 0 {
		return nil
	}
	return func(ctx context.Context, e E) {
		for _, f := range fns {
			f(ctx, e)
		}
	}
}

// plain is fan for callbacks without a context.
func plain[E any](all []*Observer, field func(*Observer) func(E)) func(E) {
	f := fan(all, func(o *Observer) func(context.Context, E) {
		one := field(o)
		if one == nil {
			return nil
		}
		return func(_ context.Context, e E) { one(e) }
	})
	if f == nil {
		return nil
	}
	return func(e E) { f(context.Background(), e) }
}
