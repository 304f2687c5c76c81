package msgpack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
)

// maxDepth is how deep values may be nested, as in encoding/json.
const maxDepth = 10_000

var (
	errMalformed = errors.New("msgpack: not one well-formed value")
	errDepth     = errors.New("msgpack: nested too deeply, or a cycle")
	errExtension = errors.New("msgpack: extension type that is not a time")
)

// token is the beginning of one value: its code with all that belongs to it, and how many values follow as
// its content.
type token struct {
	size     int // bytes, payload included
	children int // of a map: keys and values
	isMap    bool
	time     int // of a time: where its payload begins; otherwise 0
}

// next reads the token at the beginning of b. The counts are bounded by the length of b.
func next(b []byte) (token, error) {
	if len(b) == 0 {
		return token{}, errMalformed
	}
	t := token{size: 1}
	switch c := b[0]; {
	case c <= 0x7f || c >= 0xe0 || c == 0xc0 || c == 0xc2 || c == 0xc3: // small integers, nil, booleans
	case c <= 0x8f:
		t.children, t.isMap = 2*int(c&0x0f), true
	case c <= 0x9f:
		t.children = int(c & 0x0f)
	case c <= 0xbf:
		t.size += int(c & 0x1f)
	case c == 0xc1:
		return token{}, errMalformed
	case c <= 0xc6: // bin
		return sized(t, b, 1<<(c-0xc4), 0)
	case c <= 0xc9: // ext
		return sized(t, b, 1<<(c-0xc7), 1)
	case c <= 0xcb: // float
		t.size += 4 << (c - 0xca)
	case c <= 0xcf: // uint
		t.size += 1 << (c - 0xcc)
	case c <= 0xd3: // int
		t.size += 1 << (c - 0xd0)
	case c <= 0xd8: // fixext
		t.time = 2
		t.size = 2 + 1<<(c-0xd4)
	case c <= 0xdb: // str
		return sized(t, b, 1<<(c-0xd9), 0)
	default: // 0xdc to 0xdf: array, map
		width := 2 << (c & 1)
		n, ok := number(b[1:], width)
		if !ok || n > uint64(len(b)) {
			return token{}, errMalformed
		}
		t.size, t.children = 1+width, int(n)
		if t.isMap = c >= 0xde; t.isMap {
			t.children *= 2
		}
	}
	return finish(t, b)
}

// sized adds a length of width bytes, the payload of that length, and an extension's type.
func sized(t token, b []byte, width, ext int) (token, error) {
	n, ok := number(b[1:], width)
	if !ok || n > uint64(len(b)) {
		return token{}, errMalformed
	}
	t.size = 1 + width + ext + int(n)
	if ext > 0 {
		t.time = 2 + width
	}
	return finish(t, b)
}

func finish(t token, b []byte) (token, error) {
	if t.size > len(b) || t.children > len(b)-t.size {
		return token{}, errMalformed
	}
	if t.time > 0 && b[t.time-1] != 0xff {
		return token{}, errExtension
	}
	return t, nil
}

func number(b []byte, width int) (uint64, bool) {
	if len(b) < width {
		return 0, false
	}
	switch width {
	case 1:
		return uint64(b[0]), true
	case 2:
		return uint64(binary.BigEndian.Uint16(b)), true
	default:
		return uint64(binary.BigEndian.Uint32(b)), true
	}
}

// check reports whether b is one value of bounded depth, and returns where the payloads of times begin.
func check(b []byte) (times []int, err error) {
	open := make([]int, 1, 32) // how many values are still to come on each level
	open[0] = 1
	for at := 0; ; {
		for open[len(open)-1] == 0 {
			if open = open[:len(open)-1]; len(open) == 0 {
				if at != len(b) {
					return nil, errMalformed
				}
				return times, nil
			}
		}
		open[len(open)-1]--
		t, err := next(b[at:])
		if err != nil {
			return nil, err
		}
		if t.time > 0 {
			times = append(times, at+t.time)
		}
		at += t.size
		if t.children > 0 {
			if len(open) > maxDepth {
				return nil, errDepth
			}
			open = append(open, t.children)
		}
	}
}

// source feeds the library. Where that expects a map and meets an extension, it skips the header and takes
// the payload for the map, with whatever size stands there. It then reads a single byte where a time's
// payload begins, which it never does to read a time.
type source struct {
	*bytes.Reader
	times []int // ascending
}

func (s *source) ReadByte() (byte, error) {
	if len(s.times) > 0 {
		if _, is := slices.BinarySearch(s.times, int(s.Size())-s.Len()); is {
			return 0, errExtension
		}
	}
	return s.Reader.ReadByte()
}

var _ io.ByteScanner = (*source)(nil)
