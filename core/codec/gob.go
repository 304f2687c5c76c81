package codec

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"reflect"
	"sync"
)

// Gob returns a codec of encoding/gob values. It takes more Go types than JSON and is compact.
//
// A gob stream as such is not canonical: it numbers types in the order in which the process met them,
// names them by the way it met them, and writes maps in random order. Therefore only the value is stored,
// after 8 bytes that identify its type; the stream's description of the type, which both sides can make
// for themselves, is left out. It follows that
//   - no other program reads these bytes as a gob, and a type whose shape changed cannot read old ones;
//   - types that contain a map, an interface or themselves are refused with ErrUnsupportedType: a map has
//     no order, an interface brings type numbers into the value, and recursion has no bound;
//   - a value that was passed as an interface does not decode into a variable of interface type.
//
// What gob does not tell apart comes back as one: a pointer to a zero value is nil, a field that is an
// empty slice is nil, -0 in a field is 0. A type's own GobEncode or MarshalBinary has to be canonical.
func Gob() Codec { return new(gobCodec) }

type gobCodec struct {
	plans sync.Map // reflect.Type without pointers → *gobPlan
}

func (*gobCodec) Name() string { return "gob" }

// CheckType implements [TypeChecker].
func (c *gobCodec) CheckType(t reflect.Type) error { return c.plan(t).err }

func (c *gobCodec) plan(t reflect.Type) *gobPlan {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if p, ok := c.plans.Load(t); ok {
		return p.(*gobPlan)
	}
	p, _ := c.plans.LoadOrStore(t, newGobPlan(t))
	return p.(*gobPlan)
}

func (c *gobCodec) Append(dst []byte, v any) (out []byte, err error) {
	defer recovered(&out, dst, &err)
	r := reflect.ValueOf(v)
	for r.Kind() == reflect.Pointer && !r.IsNil() {
		r = r.Elem()
	}
	if !r.IsValid() || r.Kind() == reflect.Pointer {
		return dst, errors.New("codec: gob cannot encode nil")
	}
	p := c.plan(r.Type())
	if p.err != nil {
		return dst, p.err
	}
	var one reflect.Value
	if r.CanAddr() {
		one = reflect.SliceAt(p.typ, r.Addr().UnsafePointer(), 1)
	} else {
		one = reflect.MakeSlice(p.slice, 1, 1)
		one.Index(0).Set(r)
	}
	return p.append(dst, one)
}

func (c *gobCodec) Decode(data []byte, v any) (err error) {
	defer recovered(nil, nil, &err)
	r := reflect.ValueOf(v)
	if r.Kind() != reflect.Pointer || r.IsNil() {
		return fmt.Errorf("codec: gob: decode into a %T, which is not a pointer or nil", v)
	}
	p := c.plan(r.Type())
	if p.err != nil {
		return p.err
	}
	for r = r.Elem(); r.Kind() == reflect.Pointer; r = r.Elem() {
		if r.IsNil() {
			r.Set(reflect.New(r.Type().Elem()))
		}
	}
	if len(data) <= len(p.id) || !bytes.Equal(data[:len(p.id)], p.id[:]) {
		return fmt.Errorf("codec: gob: not a value of type %v as it is now", p.typ)
	}
	return p.decode(data[len(p.id):], reflect.SliceAt(p.typ, r.Addr().UnsafePointer(), 1))
}

// recovered turns a panic of the library, or of a type's own methods, into an error.
//
//nolint:gocritic,revive // it is deferred itself, and has to reach its caller's results
func recovered(out *[]byte, dst []byte, err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("codec: gob: panic: %v", r)
		if out != nil {
			*out = dst
		}
	}
}

// refusal returns why values of type t have no canonical gob, or nil. within holds the types that
// contain t; done those that are known to be fine.
func refusal(t reflect.Type, within, done map[reflect.Type]bool) error {
	switch {
	case done[t] || t.Kind() != reflect.Interface && encodesAsGob(t):
		return nil
	case within[t]:
		return fmt.Errorf("%w: gob: %v contains itself", ErrUnsupportedType, t)
	}
	within[t] = true
	var err error
	switch t.Kind() {
	case reflect.Map, reflect.Interface:
		err = fmt.Errorf("%w: gob: %v is not encoded in the same way in every process", ErrUnsupportedType, t)
	case reflect.Pointer, reflect.Slice, reflect.Array:
		err = refusal(t.Elem(), within, done)
	case reflect.Struct:
		for i := 0; i < t.NumField() && err == nil; i++ {
			if f := t.Field(i); gobSends(f) {
				if err = refusal(f.Type, within, done); err != nil {
					err = fmt.Errorf("%w, in field %s of %v", err, f.Name, t)
				}
			}
		}
	default:
	}
	delete(within, t)
	done[t] = err == nil
	return err
}

func encodesAsGob(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(reflect.TypeFor[gob.GobEncoder]()) ||
		p.Implements(reflect.TypeFor[interface{ MarshalBinary() ([]byte, error) }]())
}

// gobSends reports whether gob transmits a field: it ignores channels and functions.
func gobSends(f reflect.StructField) bool {
	t := f.Type
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return f.IsExported() && t.Kind() != reflect.Chan && t.Kind() != reflect.Func
}
