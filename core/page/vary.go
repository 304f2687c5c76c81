package page

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"net/textproto"
	"slices"
)

// varyNames returns the header names in all lines of a Vary field, canonical, sorted and once each. ok is
// false where a response can never be reused: a member is '*' or is no header name (RFC 9110 §12.5.5).
func varyNames(lines []string) (names []string, ok bool) {
	ok = true
	lists(lines, func(name string) bool {
		if name == "*" || !isToken(name) {
			ok = false
			return false
		}
		names = append(names, textproto.CanonicalMIMEHeaderKey(name))
		return true
	})
	if !ok {
		return nil, false
	}
	slices.Sort(names)
	return slices.Compact(names), true
}

// union returns the names of two sorted lists, and whether that is more than a.
func union(a, b []string) (names []string, grown bool) {
	for _, name := range b {
		if _, found := slices.BinarySearch(a, name); !found {
			grown = true
		}
	}
	if !grown {
		return a, false
	}
	names = append(slices.Clone(a), b...)
	slices.Sort(names)
	return slices.Compact(names), true
}

// digest names a variant of a URL: 128 bits of SHA-256 over the framed header fields that select it.
type digest [16]byte

// appendVariant turns a primary key in buf into the key of the variant that r asks for, and returns the
// variant's digest.
func appendVariant(buf []byte, x *index, h http.Header) ([]byte, digest) {
	start := len(buf)
	for _, name := range x.vary {
		buf = appendField(buf, 'r', h, name)
	}
	sum := sha256.Sum256(buf[start:])
	var id [24]byte
	binary.BigEndian.PutUint64(id[:], x.generation)
	copy(id[8:], sum[:16])
	buf = append(buf[:start], "|~48:"...)
	return hex.AppendEncode(buf, id[:]), digest(sum[:16])
}
