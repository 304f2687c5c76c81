package codec

import (
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
)

// Fingerprint returns a number for the shape of t as the codec called name encodes it: the names, tags
// and types of its fields, at every depth. A type whose shape changes gets another number, so that bytes
// of the old one are not decoded into the new one. It is the same in every process and never 0.
//
// A type that encodes itself (MarshalJSON, MarshalText, MarshalBinary, GobEncode, EncodeMsgpack) stands
// for itself by its name: what its methods do cannot be seen.
func Fingerprint(t reflect.Type, name string) uint64 {
	h := sha256.New()
	fmt.Fprintf(h, "%q", name)
	describe(h, t, map[reflect.Type]int{})
	return max(1, binary.BigEndian.Uint64(h.Sum(nil)))
}

var selfEncoding = []reflect.Type{
	reflect.TypeFor[json.Marshaler](), reflect.TypeFor[encoding.TextMarshaler](),
	reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[gob.GobEncoder](),
}

func encodesItself(t reflect.Type) bool {
	if t.Kind() == reflect.Interface {
		return false
	}
	p := reflect.PointerTo(t)
	for _, i := range selfEncoding {
		if t.Implements(i) || p.Implements(i) {
			return true
		}
	}
	_, ok := p.MethodByName("EncodeMsgpack")
	return ok
}

// describe writes an unambiguous description of t. A type that is being described already is written as
// its place in the description, which ends the recursion.
func describe(w io.Writer, t reflect.Type, open map[reflect.Type]int) {
	if at, ok := open[t]; ok {
		fmt.Fprintf(w, "(%d)", at)
		return
	}
	if t.Name() != "" && encodesItself(t) {
		fmt.Fprintf(w, "self %q.%q ", t.PkgPath(), t.Name())
		return
	}
	open[t] = len(open)
	switch t.Kind() {
	case reflect.Struct:
		fmt.Fprintf(w, "struct %d{", t.NumField())
		for i := range t.NumField() {
			f := t.Field(i)
			fmt.Fprintf(w, "%q %q %t ", f.Name, string(f.Tag), f.Anonymous)
			describe(w, f.Type, open)
		}
		fmt.Fprint(w, "}")
	case reflect.Array:
		fmt.Fprintf(w, "[%d]", t.Len())
		describe(w, t.Elem(), open)
	case reflect.Pointer, reflect.Slice, reflect.Chan:
		fmt.Fprintf(w, "%v ", t.Kind())
		describe(w, t.Elem(), open)
	case reflect.Map:
		fmt.Fprint(w, "map ")
		describe(w, t.Key(), open)
		describe(w, t.Elem(), open)
	default:
		fmt.Fprintf(w, "%v ", t.Kind())
	}
	delete(open, t)
}
