package codec

import (
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// Fingerprint returns a number for the shape of t as the codec called name encodes it: the names, tags
// and types of its fields, at every depth. A type whose shape changes gets another number, so that bytes
// of the old one are not decoded into the new one. It is the same in every process and never 0.
//
// Unexported fields do not count, because no codec sees them, except in a type that encodes itself
// (MarshalJSON, MarshalText, MarshalBinary, GobEncode, EncodeMsgpack, MarshalMsgpack) and in what it
// consists of: what its methods do cannot be seen, so its name and all its fields stand for them. The
// types of package time, net/netip, math/big, sync and sync/atomic stand for their name alone, so that a
// new Go release does not change the number. The content of an interface does not count.
func Fingerprint(t reflect.Type, name string) uint64 {
	var text strings.Builder
	fmt.Fprintf(&text, "%q", name)
	shaper{w: &text, seen: map[seenShape]int{}}.describe(t, false)
	sum := sha256.Sum256([]byte(text.String()))
	return max(1, binary.BigEndian.Uint64(sum[:]))
}

// shaper writes an unambiguous description of a type to w. A type that it has met before is written as
// the number of the meeting: that ends recursion, and keeps the description as short as the type's source.
type shaper struct {
	w    *strings.Builder
	seen map[seenShape]int
}

// seenShape is a type in one of its two descriptions; whole is the one with the unexported fields.
type seenShape struct {
	t     reflect.Type
	whole bool
}

func (s shaper) describe(t reflect.Type, whole bool) {
	if t.Kind() == reflect.Struct && opaquePackage(t.PkgPath()) {
		fmt.Fprintf(s.w, "opaque %q.%q ", t.PkgPath(), t.Name())
		return
	}
	if encodesItself(t) {
		fmt.Fprintf(s.w, "self %q.%q ", t.PkgPath(), t.Name())
		whole = true
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Array, reflect.Pointer, reflect.Slice, reflect.Chan, reflect.Map:
	default:
		fmt.Fprintf(s.w, "%v ", t.Kind())
		return
	}
	at := seenShape{t, whole}
	if n, ok := s.seen[at]; ok {
		fmt.Fprintf(s.w, "(%d)", n)
		return
	}
	s.seen[at] = len(s.seen)
	fmt.Fprintf(s.w, "%v ", t.Kind())
	switch t.Kind() {
	case reflect.Struct:
		fmt.Fprint(s.w, "{")
		for f := range t.Fields() {
			if f.IsExported() || f.Anonymous || whole {
				fmt.Fprintf(s.w, "%q %q %t ", f.Name, string(f.Tag), f.Anonymous)
				s.describe(f.Type, whole)
			}
		}
		fmt.Fprint(s.w, "}")
	case reflect.Map:
		s.describe(t.Key(), whole)
		s.describe(t.Elem(), whole)
	case reflect.Array:
		fmt.Fprintf(s.w, "%d ", t.Len())
		s.describe(t.Elem(), whole)
	default:
		s.describe(t.Elem(), whole)
	}
}

func opaquePackage(path string) bool {
	switch path {
	case "time", "net/netip", "math/big", "sync", "sync/atomic":
		return true
	}
	return false
}

// encodesItself reports whether t or *t has a method that some codec calls to encode it. For a pointer,
// its element answers.
func encodesItself(t reflect.Type) bool {
	if t.Kind() == reflect.Interface || t.Kind() == reflect.Pointer {
		return false
	}
	p := reflect.PointerTo(t) // its method set includes that of t
	for _, i := range [...]reflect.Type{
		reflect.TypeFor[json.Marshaler](), reflect.TypeFor[encoding.TextMarshaler](),
		reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[gob.GobEncoder](),
		reflect.TypeFor[interface{ MarshalMsgpack() ([]byte, error) }](),
	} {
		if p.Implements(i) {
			return true
		}
	}
	_, ok := p.MethodByName("EncodeMsgpack") // its parameter is a type of a package that is not imported here
	return ok
}
