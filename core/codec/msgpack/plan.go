package msgpack

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/strata-cache/strata/core/codec"
)

// plan is what is known of a type before any value is seen.
type plan struct {
	err    error // why the type is refused
	maps   bool  // a map can occur in its encoding, other than a struct
	cyclic bool  // a value can contain itself: it is measured before it is encoded
	opaque bool  // it encodes itself
}

func (p *packer) plan(t reflect.Type) *plan {
	if pl, ok := p.plans.Load(t); ok {
		return pl.(*plan)
	}
	pl := &plan{opaque: encodesItself(t)}
	pl.survey(t, map[reflect.Type]bool{})
	kept, _ := p.plans.LoadOrStore(t, pl)
	return kept.(*plan)
}

// survey adds what t can contain to the plan. met is true for a type that contains t, false for one that
// was surveyed before.
func (pl *plan) survey(t reflect.Type, met map[reflect.Type]bool) {
	if within, ok := met[t]; ok {
		pl.cyclic = pl.cyclic || within
		return
	}
	if encodesItself(t) {
		if own := ownMethod(t); own >= 0 && own != ownMethod(reflect.PointerTo(t)) {
			pl.err = fmt.Errorf("%w: msgpack: %v and its pointer encode themselves by different methods", codec.ErrUnsupportedType, t)
		}
		return
	}
	met[t] = true
	switch t.Kind() {
	case reflect.Interface:
		pl.maps, pl.cyclic = true, true
	case reflect.Map:
		pl.maps = true
		pl.survey(t.Key(), met)
		pl.survey(t.Elem(), met)
	case reflect.Pointer, reflect.Slice, reflect.Array:
		pl.survey(t.Elem(), met)
	case reflect.Struct:
		for f := range t.Fields() {
			sent, options := field(f)
			if !sent {
				continue
			}
			switch {
			case slices.Contains(options, "intern"):
				pl.err = fmt.Errorf("%w: msgpack: intern, on field %s of %v", codec.ErrUnsupportedType, f.Name, t)
			case f.Anonymous && f.Type.Kind() == reflect.Pointer && f.Type.Elem().Kind() == reflect.Struct &&
				!encodesItself(f.Type.Elem()) && !slices.Contains(options, "noinline"):
				pl.err = fmt.Errorf("%w: msgpack: embedded pointer %s in %v without noinline", codec.ErrUnsupportedType, f.Name, t)
			}
			pl.survey(f.Type, met)
		}
	default:
	}
	met[t] = false
}

// field reports whether the library sends a field, and returns the options of its tag.
func field(f reflect.StructField) (sent bool, options []string) {
	name, rest, _ := strings.Cut(f.Tag.Get("msgpack"), ",")
	return name != "-" && (f.IsExported() || f.Anonymous), strings.Split(rest, ",")
}

var ownMethods = [...]reflect.Type{
	reflect.TypeFor[msgpack.CustomEncoder](), reflect.TypeFor[msgpack.Marshaler](),
	reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[encoding.TextMarshaler](),
}

// encodesItself reports whether the library asks t, or *t, for its encoding. For a pointer, its element
// answers.
func encodesItself(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface {
		return false
	}
	return t == reflect.TypeFor[time.Time]() || ownMethod(reflect.PointerTo(t)) >= 0
}

// ownMethod returns which of ownMethods, in the library's order of preference, t has first; -1 is none.
func ownMethod(t reflect.Type) int { return slices.IndexFunc(ownMethods[:], t.Implements) }

// bounded returns errDepth for a value that contains itself, which the library would follow until the
// stack ends.
func (p *packer) bounded(v reflect.Value, depth int) error {
	pl := p.plan(v.Type())
	switch {
	case pl.err != nil:
		return pl.err // found in an interface
	case pl.opaque || !pl.cyclic:
		return nil
	case depth > maxDepth:
		return errDepth
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return p.bounded(v.Elem(), depth+1)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if err := p.bounded(v.Index(i), depth+1); err != nil {
				return err
			}
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			if err := p.bounded(it.Key(), depth+1); err != nil {
				return err
			}
			if err := p.bounded(it.Value(), depth+1); err != nil {
				return err
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if sent, _ := field(v.Type().Field(i)); sent {
				if err := p.bounded(v.Field(i), depth+1); err != nil {
					return err
				}
			}
		}
	default:
	}
	return nil
}
