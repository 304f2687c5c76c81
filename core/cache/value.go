package cache

import (
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"sync"
	"time"
	"unsafe"

	"github.com/strata-cache/strata/core/codec"
	"github.com/strata-cache/strata/core/store"
)

// valueType is how values of one Go type are encoded, and how decoded ones are shared. It is made once
// for a kind, and once for a type and cache by the untyped verbs.
type valueType[V any] struct {
	codec  codec.Codec
	schema uint64
	// memo says that the decoded form stays with the entry. Readers then get it as it is, or through
	// clone where that is set.
	memo  bool
	clone func(V) V
	// integer says that the untyped verbs store the value as a counter.
	integer bool
	nilable bool
}

func newValueType[V any](c codec.Codec, shared bool) *valueType[V] {
	t := reflect.TypeFor[V]()
	if isRaw(t) {
		c = codec.Raw()
	}
	vt := &valueType[V]{codec: c, schema: codec.Fingerprint(t, c.Name()), memo: shared || pointerFree(t)}
	switch t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		vt.integer = !t.Implements(jsonMarshaler) && !t.Implements(textMarshaler)
	case reflect.Pointer, reflect.Interface, reflect.Map, reflect.Slice:
		vt.nilable = true
	default:
	}
	if !vt.memo {
		if _, ok := any(*new(V)).(interface{ Clone() V }); ok {
			vt.memo = true
			vt.clone = func(v V) V {
				if isNil(&v) {
					return v
				}
				return any(v).(interface{ Clone() V }).Clone()
			}
		}
	}
	return vt
}

var (
	jsonMarshaler = reflect.TypeFor[interface{ MarshalJSON() ([]byte, error) }]()
	textMarshaler = reflect.TypeFor[interface{ MarshalText() ([]byte, error) }]()
)

func isRaw(t reflect.Type) bool {
	return t == reflect.TypeFor[string]() || t == reflect.TypeFor[[]byte]()
}

// pointerFree reports whether a shallow copy of a t shares nothing with the original that its holder
// could modify. Strings and the listed types of the standard library are immutable.
func pointerFree(t reflect.Type) bool {
	switch t {
	case reflect.TypeFor[time.Time](), reflect.TypeFor[netip.Addr](), reflect.TypeFor[netip.AddrPort](), reflect.TypeFor[netip.Prefix]():
		return true
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.UnsafePointer, reflect.Slice, reflect.Map, reflect.Chan, reflect.Func, reflect.Interface:
		return false
	case reflect.Array:
		return pointerFree(t.Elem())
	case reflect.Struct:
		for f := range t.Fields() {
			if !pointerFree(f.Type) {
				return false
			}
		}
	default:
	}
	return true
}

// encode returns the stored form of v. asCounter allows an integer to be stored as a counter.
func (t *valueType[V]) encode(v V, asCounter bool) (value []byte, flags store.Flags, err error) {
	switch {
	case t.nilable && isNil(&v):
		return nil, store.FlagNil, nil
	case t.integer && asCounter:
		value, ok := appendInteger(v)
		if ok {
			return value, store.FlagCounter, nil
		}
	}
	value, err = t.codec.Append(nil, v)
	if err != nil {
		return nil, 0, fmt.Errorf("cache: encode %T: %w", v, err)
	}
	return value, 0, nil
}

// entry returns the entry of v. With keep, v itself becomes the decoded form that readers share, where the
// type allows that; nobody may modify it any more.
func (t *valueType[V]) entry(v V, asCounter, keep bool) (*store.Entry, error) {
	value, flags, err := t.encode(v, asCounter)
	if err != nil {
		return nil, err
	}
	e := &store.Entry{Value: value, Flags: flags, Schema: t.schema}
	if flags&store.FlagCounter != 0 {
		e.Schema = 0
		return e, nil
	}
	if t.memo {
		e.MemoSize = t.memoSize(len(value))
		if keep && t.clone == nil {
			e.SetMemo(&v)
		}
	}
	return e, nil
}

// memoSize is what a decoded value is expected to take, beside its encoded form of n bytes.
func (t *valueType[V]) memoSize(n int) int { return int(unsafe.Sizeof(*new(V))) + n }

// ready returns the decoded form that an earlier reader left with e, or nil.
func (t *valueType[V]) ready(e *store.Entry) *V {
	if !t.memo {
		return nil
	}
	p, _ := e.Memo().(*V)
	return p
}

// decode returns the value of e, which is not a negative entry.
func (t *valueType[V]) decode(e *store.Entry) (V, error) {
	if p := t.ready(e); p != nil {
		return t.own(*p), nil
	}
	return t.decodeNew(e)
}

// memo is a decoded value and the reference to it that an entry keeps, side by side: a hit follows one
// after the other.
type memo[V any] struct {
	ref any // &v
	v   V
}

func (t *valueType[V]) decodeNew(e *store.Entry) (V, error) {
	m := &memo[V]{}
	v := &m.v
	switch {
	case e.Flags&store.FlagNil != 0:
		if !t.nilable {
			return *v, errSchema
		}
		return *v, nil
	case e.Flags&store.FlagCounter != 0:
		decode := t.codec.Decode
		if t.integer {
			decode = setInteger[V]
		}
		if err := decode(e.Value, v); err != nil {
			return *new(V), err
		}
		return *v, nil
	case e.Schema != t.schema:
		return *v, errSchema
	}
	if err := t.codec.Decode(e.Value, v); err != nil {
		return *new(V), err
	}
	if t.memo {
		m.ref = v
		e.SetMemoAt(&m.ref)
		return t.own(*v), nil
	}
	return *v, nil
}

func (t *valueType[V]) own(v V) V {
	if t.clone != nil {
		return t.clone(v)
	}
	return v
}

// errSchema is why a value of another type, or of another shape of the same type, is not decoded.
var errSchema = schemaError{}

type schemaError struct{}

func (schemaError) Error() string        { return "cache: entry was written for another type or codec" }
func (schemaError) Is(target error) bool { return target == store.ErrCorrupt }

func isNil[V any](v *V) bool {
	switch r := reflect.ValueOf(v).Elem(); r.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Map, reflect.Slice:
		return r.IsNil()
	default:
		return false
	}
}

// appendInteger returns v in decimal, if it fits into an int64.
func appendInteger(v any) ([]byte, bool) {
	r := reflect.ValueOf(v)
	if r.CanInt() {
		return strconv.AppendInt(nil, r.Int(), 10), true
	}
	if u := r.Uint(); u <= 1<<63-1 {
		return strconv.AppendUint(nil, u, 10), true
	}
	return nil, false
}

// setInteger is codec.Codec.Decode for counters; v is a *V.
func setInteger[V any](decimal []byte, v any) error {
	r := reflect.ValueOf(v.(*V)).Elem()
	if r.CanInt() {
		n, err := strconv.ParseInt(string(decimal), 10, r.Type().Bits())
		if err == nil {
			r.SetInt(n)
		}
		return err
	}
	n, err := strconv.ParseUint(string(decimal), 10, r.Type().Bits())
	if err == nil {
		r.SetUint(n)
	}
	return err
}

// typeTable holds the value types that the untyped verbs have met in one cache.
type typeTable struct{ m sync.Map }

// typeOf returns the value type of V in the cache.
func typeOf[V any](e *engine) *valueType[V] {
	key := reflect.TypeFor[V]()
	if vt, ok := e.types.m.Load(key); ok {
		return vt.(*valueType[V])
	}
	vt, _ := e.types.m.LoadOrStore(key, newValueType[V](e.opts.Codec, e.opts.Policy.Shared))
	return vt.(*valueType[V])
}
