package codec

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"math/bits"
	"reflect"
	"sync"
)

// gobPlan is how values of one type are encoded in this process. They travel as the only element of a
// slice, so that top-level structs and other values look the same, and so that the description of the
// type can be had without a value: an empty slice gives it.
type gobPlan struct {
	err   error        // why the type is refused
	typ   reflect.Type // not a pointer
	slice reflect.Type // []typ
	id    [8]byte      // identifies the type, in the same way in every process
	types []byte       // the messages that describe slice, as this process numbers and names types
	head  []byte       // what opens the message of a slice with one element

	encoders, decoders sync.Pool // of *gobEncoder and *gobDecoder, which have seen types
}

// gobKept is the largest value, in bytes, whose buffers stay in a pool.
const gobKept = 1 << 18

type gobEncoder struct {
	enc *gob.Encoder
	out bytes.Buffer
}

type gobDecoder struct {
	dec *gob.Decoder
	in  bytes.Buffer
}

var errGobStream = errors.New("codec: gob: encoding/gob wrote a stream of an unknown form")

func newGobPlan(t reflect.Type) *gobPlan {
	p := &gobPlan{typ: t}
	if p.err = refusal(t, map[reflect.Type]bool{}, map[reflect.Type]bool{}); p.err != nil {
		return p
	}
	p.slice = reflect.SliceOf(t)
	binary.BigEndian.PutUint64(p.id[:], Fingerprint(t, "gob"))
	e, err := p.newEncoder()
	if err != nil {
		p.err = fmt.Errorf("%w: %w", ErrUnsupportedType, err)
		return p
	}
	// Each message is a length and a content. Type descriptions come first; the last one is the value:
	// the slice's type number, a zero, and the number of elements.
	for rest := e.out.Bytes(); ; {
		msg, after, ok := gobMessage(rest)
		if !ok {
			p.err = errGobStream
			return p
		}
		if len(after) == 0 {
			if msg[len(msg)-1] != 0 {
				p.err = errGobStream
			}
			p.head = append(bytes.Clone(msg[:len(msg)-1]), 1)
			p.types = bytes.Clone(e.out.Bytes()[:e.out.Len()-len(rest)])
			return p
		}
		rest = after
	}
}

func (p *gobPlan) newEncoder() (*gobEncoder, error) {
	e := new(gobEncoder)
	e.enc = gob.NewEncoder(&e.out)
	return e, e.enc.EncodeValue(reflect.MakeSlice(p.slice, 0, 0))
}

// append appends the form of the only element of one.
func (p *gobPlan) append(dst []byte, one reflect.Value) ([]byte, error) {
	e, _ := p.encoders.Get().(*gobEncoder)
	if e == nil {
		var err error
		if e, err = p.newEncoder(); err != nil {
			return dst, err
		}
	}
	e.out.Reset()
	if err := e.enc.EncodeValue(one); err != nil {
		return dst, err // and the encoder, whose state is not known, is dropped
	}
	msg, rest, ok := gobMessage(e.out.Bytes())
	if !ok || len(rest) > 0 || !bytes.HasPrefix(msg, p.head) {
		return dst, errGobStream
	}
	dst = append(dst, p.id[:]...)
	dst = append(dst, msg[len(p.head):]...)
	if len(msg) <= gobKept {
		p.encoders.Put(e)
	}
	return dst, nil
}

// decode stores what data holds in the only element of one.
func (p *gobPlan) decode(data []byte, one reflect.Value) error {
	d, _ := p.decoders.Get().(*gobDecoder)
	if d == nil {
		d = new(gobDecoder)
		d.dec = gob.NewDecoder(&d.in)
		d.in.Write(p.types)
	}
	d.in.Write(appendGobUint(d.in.AvailableBuffer(), uint64(len(p.head)+len(data))))
	d.in.Write(p.head)
	d.in.Write(data)
	target := reflect.New(p.slice)
	target.Elem().Set(one)
	if err := d.dec.DecodeValue(target); err != nil {
		return err // and the decoder, whose state is not known, is dropped
	}
	if len(data) <= gobKept {
		d.in.Reset()
		p.decoders.Put(d)
	}
	return nil
}

// gobMessage cuts the first message off b.
func gobMessage(b []byte) (msg, rest []byte, ok bool) {
	if len(b) == 0 {
		return nil, nil, false
	}
	n, b := uint64(b[0]), b[1:]
	if n > 0x7f {
		size := int(-int8(n)) // the number's length in bytes, negated
		if size > 8 || size > len(b) {
			return nil, nil, false
		}
		n = 0
		for _, c := range b[:size] {
			n = n<<8 | uint64(c)
		}
		b = b[size:]
	}
	if n == 0 || n > uint64(len(b)) {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}

func appendGobUint(dst []byte, n uint64) []byte {
	if n <= 0x7f {
		return append(dst, byte(n))
	}
	size := (bits.Len64(n) + 7) / 8
	dst = append(dst, byte(-size))
	for i := size - 1; i >= 0; i-- {
		dst = append(dst, byte(n>>(8*i)))
	}
	return dst
}
