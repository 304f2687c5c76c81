// Package keyrule decides which keys are let through to a store, before any store is asked. Keys are
// often made from what users typed: their length and alphabet are an attacker's choice until somebody
// checks them.
package keyrule

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// ErrRejected is what errors.Is finds in the error of every refused key.
var ErrRejected = errors.New("keyrule: key rejected")

// DefaultMaxLen is the longest final key, in bytes, where nothing else is said: memcached's limit.
const DefaultMaxLen = 250

// Mode says what happens to a key that breaks the rule's limits.
type Mode uint8

// The modes.
const (
	// Hash replaces an offending key by a digest of it, so that it works, is bounded, and cannot be
	// enumerated by its name any more.
	Hash Mode = iota
	// Reject refuses it with ErrRejected.
	Reject
)

// Rule is a limit on keys. The zero value hashes keys that are longer than 250 bytes or hold control
// characters. The empty key is refused in every mode: it is a key that somebody has forgotten to make. A Rule is immutable and safe for concurrent use.
type Rule struct {
	// MaxLen is the longest final key in bytes (not characters), namespace included. 0: 250, at least
	// 64 otherwise.
	MaxLen int
	// Mode says what to do with a key that is too long or holds control characters (bytes below 0x20,
	// and 0x7f).
	Mode Mode
	// Schema, where given, sees the user's own key before anything else, and refuses it by an error,
	// whatever the mode. It must be safe for concurrent use.
	Schema func(key string) error
}

// Validate reports whether the rule can be used.
func (r Rule) Validate() error {
	if r.MaxLen != 0 && r.MaxLen < 64 {
		return fmt.Errorf("keyrule: MaxLen %d is below 64, which a hashed key needs", r.MaxLen)
	}
	if r.Mode > Reject {
		return fmt.Errorf("keyrule: unknown mode %d", r.Mode)
	}
	return nil
}

// hashMark begins a hashed key. A user's key that begins with it is hashed too, so that nobody can
// write the hashed form of another key by hand.
const hashMark = '#'

// Append appends the final key to dst, which holds the namespace already, and returns the result. It
// allocates only when dst must grow, a key is hashed, or it is refused.
func (r Rule) Append(dst []byte, key string) ([]byte, error) {
	if r.Schema != nil {
		if err := r.Schema(key); err != nil {
			return dst, fmt.Errorf("%w: %w", ErrRejected, err)
		}
	}
	start := len(dst)
	dst = append(dst, key...)
	return r.Finish(dst, start)
}

// Finish applies the limits to a key whose user's part begins at start in buf, and was appended by the
// caller. It is Append for keys that are not strings; Schema is not asked.
func (r Rule) Finish(buf []byte, start int) ([]byte, error) {
	limit := r.MaxLen
	if limit == 0 {
		limit = DefaultMaxLen
	}
	key := buf[start:]
	clean := len(buf) <= limit && !hasControl(key)
	switch {
	case len(key) == 0:
		return buf[:start], fmt.Errorf("%w: it is empty", ErrRejected)
	case clean && key[0] != hashMark:
		return buf, nil
	case !clean && r.Mode == Reject:
		if len(buf) > limit {
			return buf[:start], fmt.Errorf("%w: %d bytes with its namespace, at most %d are allowed", ErrRejected, len(buf), limit)
		}
		return buf[:start], fmt.Errorf("%w: it holds control characters", ErrRejected)
	}
	sum := sha256.Sum256(key)
	buf = append(buf[:start], hashMark)
	return hex.AppendEncode(buf, sum[:16]), nil
}

// hasControl looks at eight bytes at a time: it is on the way of every hit. The terms are true where a byte
// of w is below 0x20, and where one is 0x7f; a byte above 0x7f is neither.
func hasControl(key []byte) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; len(key) >= 8; key = key[8:] {
		w := binary.LittleEndian.Uint64(key)
		del := w ^ 0x7f*ones
		if ((w-0x20*ones)&^w|(del-ones)&^del)&highs != 0 {
			return true
		}
	}
	for _, b := range key {
		if b < 0x20 || b == 0x7f {
			return true
		}
	}
	return false
}
