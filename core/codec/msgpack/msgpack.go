// Package msgpack is the MessagePack payload codec: more compact and faster than JSON, readable by other
// languages, and keeping bytes and integers apart from text and floats.
package msgpack

import (
	"bytes"
	"fmt"
	"reflect"
	"sync"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/strata-cache/strata/core/codec"
)

// New returns the codec of github.com/vmihailenco/msgpack/v5, with its struct tags and its interfaces
// for types that encode themselves. Structs are maps of their fields.
//
// Encoding is canonical. In a value of a type that can hold a Go map, at any depth and of any key type,
// all maps are written in the order of their encoded keys, structs included. A type's own EncodeMsgpack
// has to be canonical and must not rely on the order of map entries. A time is stored as an instant and
// comes back in the local zone. In an interface, integers come back as int8 to uint64 and maps as
// map[string]any; a map with other keys does not decode there.
//
// Decode reads exactly one value, never deeper than 10,000 levels, and allocates for no more elements than
// the data has bytes. Values that contain themselves are errors, and so are extensions other than time.
//
// Refused with codec.ErrUnsupportedType are the option intern; embedded pointers to structs without the
// option noinline, because nil would come back as a zero struct and the library would start a goroutine
// that never ends; and types whose pointer encodes itself by another method than they do, because the
// library takes the one or the other depending on what it has encoded before.
func New() codec.Codec { return &packer{} }

type packer struct {
	plans              sync.Map  // reflect.Type → *plan
	encoders, decoders sync.Pool // of *msgpack.Encoder and *msgpack.Decoder
}

func (*packer) Name() string { return "msgpack" }

// CheckType implements [codec.TypeChecker].
func (p *packer) CheckType(t reflect.Type) error { return p.plan(t).err }

func (p *packer) Append(dst []byte, v any) (out []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			out, err = dst, fmt.Errorf("msgpack: panic: %v", r)
		}
	}()
	var pl *plan
	if v != nil {
		r := reflect.ValueOf(v)
		if pl = p.plan(r.Type()); pl.err != nil {
			return dst, pl.err
		}
		if err := p.bounded(r, 0); err != nil {
			return dst, err
		}
		if k := r.Kind(); k == reflect.Struct || k == reflect.Array {
			// The library calls methods of pointers to fields only where it can take their address.
			c := reflect.New(r.Type())
			c.Elem().Set(r)
			v = c.Interface()
		}
	}
	e, _ := p.encoders.Get().(*msgpack.Encoder)
	if e == nil {
		e = msgpack.NewEncoder(nil)
	}
	s := &sink{b: dst}
	e.Reset(s)
	if err := e.Encode(v); err != nil {
		return dst, err
	}
	e.Reset(nil)
	p.encoders.Put(e)
	encoded := s.b[len(dst):]
	if pl != nil && pl.maps {
		sorted, err := sortMaps(make([]byte, 0, len(encoded)), encoded)
		if err != nil {
			return dst, err
		}
		copy(encoded, sorted)
	}
	if _, err := check(encoded); err != nil {
		return dst, err
	}
	return s.b, nil
}

func (p *packer) Decode(data []byte, v any) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("msgpack: panic: %v", r)
		}
	}()
	r := reflect.ValueOf(v)
	if r.Kind() != reflect.Pointer || r.IsNil() {
		return fmt.Errorf("msgpack: decode into a %T, which is not a pointer or nil", v)
	}
	if err := p.CheckType(r.Type().Elem()); err != nil {
		return err
	}
	times, err := check(data)
	if err != nil {
		return err
	}
	d, _ := p.decoders.Get().(*msgpack.Decoder)
	if d == nil {
		d = msgpack.NewDecoder(nil)
	}
	d.Reset(&source{Reader: bytes.NewReader(data), times: times})
	if err := d.Decode(v); err != nil {
		return err // and the decoder, which may be in the middle of something, is dropped
	}
	if len(data) <= kept {
		d.Reset(nil)
		p.decoders.Put(d)
	}
	return nil
}

// kept is the largest encoded value, in bytes, whose decoder stays in the pool with its buffer.
const kept = 1 << 18

// sink appends what is written to it to b.
type sink struct{ b []byte }

func (s *sink) Write(p []byte) (int, error) {
	s.b = append(s.b, p...)
	return len(p), nil
}

func (s *sink) WriteByte(c byte) error {
	s.b = append(s.b, c)
	return nil
}
