package codec

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"

	"github.com/strata-cache/strata/core/store"
)

// The frame is the form in which an entry is written to a store outside the process. WIRE.md, beside
// this file, describes it byte by byte; the golden files under testdata hold it still.
const (
	// HeaderSize is the length of the fixed header, in bytes.
	HeaderSize = 96
	// FreshOffset is where Fresh lies in the header, as a big-endian signed 64-bit number of Unix
	// milliseconds, so that a script on a server can read it.
	FreshOffset = 8
	// FrameVersion is the version this package writes, and the newest it reads.
	FrameVersion = 1

	magic        = "\xf5ST"
	versionAt    = 3
	knownFlags   = store.FlagNil | store.FlagNegative | store.FlagCounter // 1<<15 is kept for an HMAC
	bodySumAt    = 84
	headerSumAt  = 92
	maxFrameSize = math.MaxInt32
)

// Limits of what DecodeFrame accepts and AppendFrame writes. The whole frame is below 2 GiB.
const (
	// MaxKey is the longest key in bytes.
	MaxKey = 1 << 16
	// MaxLabels is how many tags, and how many deps, an entry may have.
	MaxLabels = 4096
	// MaxLabel is the longest tag or dep in bytes.
	MaxLabel = 1<<16 - 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// AppendFrame appends the frame of e under key to dst. The same key and entry give the same bytes. After
// an error, which Is ErrUnencodable, dst is as it was.
func AppendFrame(dst []byte, key string, e *store.Entry) ([]byte, error) {
	if err := encodable(key, e); err != nil {
		return dst, err
	}
	start := len(dst)
	dst = slices.Grow(dst, FrameSize(key, e))
	dst = append(dst, make([]byte, HeaderSize)...)
	dst = appendIndex(dst, key, e)
	dst = append(dst, e.Value...)
	putHeader(dst[start:start+HeaderSize], len(key), e)
	sign(dst[start:], crc32.Checksum(dst[start+HeaderSize:], castagnoli))
	return dst, nil
}

// FrameSize returns the length of the frame of e under key, in bytes.
func FrameSize(key string, e *store.Entry) int { return HeaderSize + indexSize(key, e) + len(e.Value) }

func encodable(key string, e *store.Entry) error {
	switch {
	case len(key) > MaxKey:
		return fmt.Errorf("%w: key of %d bytes", ErrUnencodable, len(key))
	case len(e.Tags) > MaxLabels || len(e.Deps) > MaxLabels:
		return fmt.Errorf("%w: %d tags and %d deps", ErrUnencodable, len(e.Tags), len(e.Deps))
	case e.Flags&^knownFlags != 0 || !e.Priority.Valid():
		return fmt.Errorf("%w: flags %#x, priority %d", ErrUnencodable, e.Flags, e.Priority)
	}
	for _, labels := range [...][]string{e.Tags, e.Deps} {
		for _, l := range labels {
			if len(l) > MaxLabel {
				return fmt.Errorf("%w: label of %d bytes", ErrUnencodable, len(l))
			}
		}
	}
	if len(e.Value) > maxFrameSize-HeaderSize-indexSize(key, e) {
		return fmt.Errorf("%w: value of %d bytes", ErrUnencodable, len(e.Value))
	}
	return nil
}

// appendIndex appends what stands between the header and the value: key, tags and deps.
func appendIndex(dst []byte, key string, e *store.Entry) []byte {
	dst = append(dst, key...)
	for _, labels := range [...][]string{e.Tags, e.Deps} {
		for _, l := range labels {
			dst = binary.BigEndian.AppendUint16(dst, uint16(len(l)))
			dst = append(dst, l...)
		}
	}
	return dst
}

func indexSize(key string, e *store.Entry) int {
	n := len(key)
	for _, labels := range [...][]string{e.Tags, e.Deps} {
		for _, l := range labels {
			n += 2 + len(l)
		}
	}
	return n
}

// IsFrame reports whether b begins like a frame, of whatever version. No UTF-8 text does, and so no
// counter and no JSON.
func IsFrame(b []byte) bool { return len(b) >= len(magic) && string(b[:len(magic)]) == magic }
