package event_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/strata-cache/strata/core/event"
)

type contextKey struct{}

// fill sets everything in v to something that is not zero, and different from its neighbours.
func fill(t *testing.T, v reflect.Value, n int64) {
	t.Helper()
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), n+int64(i))
		}
	case reflect.String:
		v.SetString(fmt.Sprint("text ", n))
	case reflect.Int, reflect.Int64:
		v.SetInt(n)
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(uint64(n))
	case reflect.Float64:
		v.SetFloat(float64(n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Interface:
		v.Set(reflect.ValueOf(fmt.Errorf("error %d", n)))
	default:
		t.Fatalf("fill does not know %v", v.Type())
	}
}

// TestJoinCoversEveryCallback joins observers that have one callback each. A callback that is added to
// Observer and forgotten in Join fails here.
func TestJoinCoversEveryCallback(t *testing.T) {
	typ := reflect.TypeFor[event.Observer]()
	ctx := context.WithValue(t.Context(), contextKey{}, "the caller's")
	for i := range typ.NumField() {
		field := typ.Field(i)
		t.Run(field.Name, func(t *testing.T) {
			var calls []string
			var got []reflect.Value
			observer := func(name string) *event.Observer {
				o := &event.Observer{}
				reflect.ValueOf(o).Elem().Field(i).Set(reflect.MakeFunc(field.Type, func(args []reflect.Value) []reflect.Value {
					calls = append(calls, name)
					got = append(got, args...)
					return nil
				}))
				return o
			}
			joined := event.Join(observer("first"), nil, &event.Observer{}, observer("second"), observer("third"))

			v := reflect.ValueOf(joined).Elem()
			for j := range v.NumField() {
				if set := !v.Field(j).IsNil(); set != (i == j) {
					t.Errorf("callback %s is set: %v", typ.Field(j).Name, set)
				}
			}
			if t.Failed() {
				return
			}
			args := make([]reflect.Value, field.Type.NumIn())
			for k := range args {
				if field.Type.In(k) == reflect.TypeFor[context.Context]() {
					args[k] = reflect.ValueOf(ctx)
					continue
				}
				args[k] = reflect.New(field.Type.In(k)).Elem()
				fill(t, args[k], 1)
			}
			v.Field(i).Call(args)
			if want := []string{"first", "second", "third"}; !slices.Equal(calls, want) {
				t.Errorf("called %v, want %v", calls, want)
			}
			for k, arg := range got {
				if want := args[k%len(args)]; !reflect.DeepEqual(arg.Interface(), want.Interface()) {
					t.Errorf("received %+v, want %+v", arg, want)
				}
			}
		})
	}
}

func TestJoinOfFew(t *testing.T) {
	one := &event.Observer{}
	tests := []struct {
		name string
		in   []*event.Observer
		want *event.Observer
	}{
		{"none", nil, nil},
		{"nil", []*event.Observer{nil, nil}, nil},
		{"one", []*event.Observer{one}, one},
		{"one among nil", []*event.Observer{nil, one, nil}, one},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := event.Join(tt.in...); got != tt.want {
				t.Errorf("Join = %p, want %p", got, tt.want)
			}
		})
	}
}

func TestJoinOfJoined(t *testing.T) {
	n := 0
	count := &event.Observer{Evict: func(event.Evict) { n++ }}
	event.Join(event.Join(count, count), count).Evict(event.Evict{})
	if n != 3 {
		t.Errorf("%d calls, want 3", n)
	}
}

// TestJoinedEventsDoNotAllocate: events are reported on hit paths.
func TestJoinedEventsDoNotAllocate(t *testing.T) {
	n := 0
	o := &event.Observer{
		Call:  func(context.Context, event.Call) { n++ },
		Evict: func(event.Evict) { n++ },
	}
	joined := event.Join(o, o)
	ctx := t.Context()
	if allocs := testing.AllocsPerRun(100, func() {
		joined.Call(ctx, event.Call{Cache: "c", Key: "k"})
		joined.Evict(event.Evict{Store: "s"})
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
	if n == 0 {
		t.Error("nothing was called")
	}
}
