package stats_test

import (
	"context"
	"fmt"
	"reflect"
	"testing"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/stats"
)

// TestEveryCallbackIsCounted reports each event of an Observer by itself: one that is added to it and
// forgotten here fails.
func TestEveryCallbackIsCounted(t *testing.T) {
	typ := reflect.TypeFor[event.Observer]()
	for field := range typ.Fields() {
		t.Run(field.Name, func(t *testing.T) {
			r := newRecorder(t, stats.Options{})
			callback := reflect.ValueOf(r.Observer()).Elem().FieldByIndex(field.Index)
			if callback.IsNil() {
				t.Fatal("the recorder does not observe it")
			}
			ctx, trace := stats.WithTrace(t.Context())
			var args []reflect.Value
			for in := range field.Type.Ins() {
				if in == reflect.TypeFor[context.Context]() {
					args = append(args, reflect.ValueOf(ctx))
				} else {
					args = append(args, reflect.Zero(in))
				}
			}
			callback.Call(args)
			s := r.Snapshot()
			if len(s.Series)+len(s.Events) != 1 {
				t.Errorf("counted as %+v, %+v", s.Series, s.Events)
			}
			if steps := len(trace.Steps()); steps != len(args)-1 {
				t.Errorf("%d steps in the trace of the context that it came with", steps)
			}
		})
	}
}

// values returns all values of a type that have a name.
func values[T interface {
	~uint8
	fmt.Stringer
}]() (all []T) {
	for v := T(0); v.String() != "unknown"; v++ {
		all = append(all, v)
	}
	return all
}

// TestEveryValueIsKnown reports each named value of the events' types by itself: one that is added and
// forgotten here is counted as unknown, in the place of another one, or nowhere.
func TestEveryValueIsKnown(t *testing.T) {
	lookups := values[event.Outcome]()[event.OutcomeHit:] // none ends in OutcomeOK
	each(t, lookups, func(o *event.Observer, ctx context.Context, v event.Outcome) {
		o.Call(ctx, event.Call{Outcome: v})
	})
	each(t, values[event.Op](), func(o *event.Observer, ctx context.Context, v event.Op) {
		o.Call(ctx, event.Call{Op: v})
	})
	each(t, values[event.LoadResult](), func(o *event.Observer, ctx context.Context, v event.LoadResult) {
		o.Load(ctx, event.Load{Result: v})
	})
	each(t, values[event.RefreshState](), func(o *event.Observer, ctx context.Context, v event.RefreshState) {
		o.Refresh(ctx, event.Refresh{State: v})
	})
	each(t, values[event.LogState](), func(o *event.Observer, _ context.Context, v event.LogState) {
		o.Log(event.Log{State: v})
	})
	each(t, values[event.FilterState](), func(o *event.Observer, _ context.Context, v event.FilterState) {
		o.Filter(event.Filter{State: v})
	})
	each(t, []breakerState{true, false}, func(o *event.Observer, _ context.Context, v breakerState) {
		o.Breaker(event.Breaker{Open: bool(v)})
	})
}

type breakerState bool

func (s breakerState) String() string {
	if s {
		return "open"
	}
	return "closed"
}

// each reports the values with a recorder of their own each: all must be counted, apart from one another, and
// none as unknown.
func each[T fmt.Stringer](t *testing.T, all []T, report func(*event.Observer, context.Context, T)) {
	t.Helper()
	type counted struct {
		stats.Counts
		stats.Tally
	}
	seen := map[counted]T{}
	for _, v := range all {
		r := newRecorder(t, stats.Options{})
		report(r.Observer(), t.Context(), v)
		s := r.Snapshot()
		is := counted{Counts: s.Total()}
		if len(s.Events) > 0 {
			is.Tally = s.Events[0]
			if is.State != v.String() {
				t.Errorf("%T %v is counted as state %q", v, v, is.State)
			}
		}
		if is == (counted{}) {
			t.Errorf("%T %v is not counted", v, v)
		}
		if is.Lookups.Unknown+is.Writes.Unknown.Done+is.Loads.Unknown > 0 {
			t.Errorf("%T %v is counted as unknown", v, v)
		}
		if other, ok := seen[is]; ok {
			t.Errorf("%T %v and %v are counted as one", v, other, v)
		}
		seen[is] = v
	}
}
