package cache

import (
	"reflect"
	"strconv"
	"unsafe"
)

// keyAppender returns how an id is written into a key: by the user's function, or by its own kind if that
// is a string or an integer. Nil: there is no obvious way.
//
// The conversions go through unsafe.Pointer because the alternatives, an interface or reflect, would
// allocate on every hit. Each reads exactly the type that reflect has just named.
func keyAppender[K comparable](user func(K) string) func([]byte, K) []byte {
	if user != nil {
		return func(b []byte, id K) []byte { return append(b, user(id)...) }
	}
	switch reflect.TypeFor[K]().Kind() {
	case reflect.String:
		return func(b []byte, id K) []byte { return append(b, *(*string)(unsafe.Pointer(&id))...) }
	case reflect.Int:
		return signed[K, int]
	case reflect.Int8:
		return signed[K, int8]
	case reflect.Int16:
		return signed[K, int16]
	case reflect.Int32:
		return signed[K, int32]
	case reflect.Int64:
		return signed[K, int64]
	case reflect.Uint:
		return unsigned[K, uint]
	case reflect.Uint8:
		return unsigned[K, uint8]
	case reflect.Uint16:
		return unsigned[K, uint16]
	case reflect.Uint32:
		return unsigned[K, uint32]
	case reflect.Uint64:
		return unsigned[K, uint64]
	case reflect.Uintptr:
		return unsigned[K, uintptr]
	default:
		return nil
	}
}

// keyParser returns the reverse of keyAppender, or nil.
func keyParser[K comparable](user func(K) string, parse func(string) (K, error)) func(string) (K, error) {
	if parse != nil || user != nil {
		return parse
	}
	t := reflect.TypeFor[K]()
	set := func(assign func(v reflect.Value, s string) error) func(string) (K, error) {
		return func(s string) (id K, err error) {
			err = assign(reflect.ValueOf(&id).Elem(), s)
			return id, err
		}
	}
	switch v := reflect.New(t).Elem(); {
	case t.Kind() == reflect.String:
		return set(func(v reflect.Value, s string) error { v.SetString(s); return nil })
	case v.CanInt():
		return set(func(v reflect.Value, s string) error {
			n, err := strconv.ParseInt(s, 10, t.Bits())
			v.SetInt(n)
			return err
		})
	case v.CanUint():
		return set(func(v reflect.Value, s string) error {
			n, err := strconv.ParseUint(s, 10, t.Bits())
			v.SetUint(n)
			return err
		})
	default:
		return nil
	}
}

func signed[K comparable, I int | int8 | int16 | int32 | int64](b []byte, id K) []byte {
	return strconv.AppendInt(b, int64(*(*I)(unsafe.Pointer(&id))), 10)
}

func unsigned[K comparable, U uint | uint8 | uint16 | uint32 | uint64 | uintptr](b []byte, id K) []byte {
	return strconv.AppendUint(b, uint64(*(*U)(unsafe.Pointer(&id))), 10)
}
