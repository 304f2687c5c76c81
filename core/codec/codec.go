// Package codec holds the two encodings of the kit: payload codecs, which turn a user's value into
// bytes, and the frame, which wraps those bytes with an entry's metadata for stores outside the process.
package codec

import "reflect"

// Codec turns values into bytes and back. Implementations are safe for concurrent use.
//
// Encoding is canonical: equal values give equal bytes, on every node and in every process, because a
// change of bytes is taken for a change of the value.
type Codec interface {
	// Name identifies the encoding, its options included. It is part of an entry's schema fingerprint:
	// bytes of another codec are a miss.
	Name() string
	// Append appends the encoding of v to dst and returns the result; after an error, dst as it was.
	Append(dst []byte, v any) ([]byte, error)
	// Decode stores the value encoded in data into v, a non-nil pointer to a zero value of the type
	// that was encoded. It must not keep a reference to data, nor modify it, unless its documentation
	// says that what it decodes aliases data. After an error *v may be half filled.
	Decode(data []byte, v any) error
}

// TypeChecker is a codec that knows which types it takes.
type TypeChecker interface {
	// CheckType returns an error that Is ErrUnsupportedType if Append would fail for every value of
	// type t, or Decode for every pointer to one.
	CheckType(t reflect.Type) error
}
