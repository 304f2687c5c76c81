package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"time"

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

// Limits of what DecodeFrame accepts and AppendFrame writes.
const (
	// MaxKey is the longest key in bytes.
	MaxKey = 1 << 16
	// MaxLabels is how many tags, and how many deps, an entry may have.
	MaxLabels = 4096
	// MaxLabel is the longest tag or dep in bytes.
	MaxLabel = 1<<16 - 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errFrame is the base of the reasons why bytes are not a frame of ours. All of them are
// store.ErrCorrupt.
type errFrame string

func (e errFrame) Error() string        { return "codec: " + string(e) }
func (e errFrame) Is(target error) bool { return target == store.ErrCorrupt }

// The reasons why DecodeFrame refuses bytes. errors.Is(err, store.ErrCorrupt) holds for all.
const (
	ErrForeign   = errFrame("not a frame of this kit")
	ErrVersion   = errFrame("frame of a newer version")
	ErrFlags     = errFrame("frame with flags of a newer version")
	ErrTruncated = errFrame("frame is truncated or too long")
	ErrChecksum  = errFrame("frame fails its checksum")
	ErrOtherKey  = errFrame("frame belongs to another key")
	ErrMalformed = errFrame("frame is malformed")
)

// ErrUnencodable is returned by AppendFrame for an entry that a frame cannot hold.
var ErrUnencodable = errors.New("codec: entry does not fit into a frame")

// AppendFrame appends the frame of e under key to dst. The same key and entry give the same bytes.
func AppendFrame(dst []byte, key string, e *store.Entry) ([]byte, error) {
	if err := encodable(key, e); err != nil {
		return dst, err
	}
	start := len(dst)
	dst = append(dst, make([]byte, HeaderSize)...)
	dst = append(dst, key...)
	dst = appendLabels(dst, e.Tags)
	dst = appendLabels(dst, e.Deps)
	dst = append(dst, e.Value...)
	putHeader(dst[start:start+HeaderSize], len(key), e)
	sign(dst[start:], crc32.Checksum(dst[start+HeaderSize:], castagnoli))
	return dst, nil
}

// FrameSize returns the length of the frame of e under key, in bytes.
func FrameSize(key string, e *store.Entry) int {
	n := HeaderSize + len(key) + len(e.Value)
	for _, l := range e.Tags {
		n += 2 + len(l)
	}
	for _, l := range e.Deps {
		n += 2 + len(l)
	}
	return n
}

func encodable(key string, e *store.Entry) error {
	switch {
	case len(key) > MaxKey:
		return fmt.Errorf("%w: key of %d bytes", ErrUnencodable, len(key))
	case len(e.Tags) > MaxLabels || len(e.Deps) > MaxLabels:
		return fmt.Errorf("%w: %d tags and %d deps", ErrUnencodable, len(e.Tags), len(e.Deps))
	case len(e.Value) > maxFrameSize-HeaderSize-MaxKey:
		return fmt.Errorf("%w: value of %d bytes", ErrUnencodable, len(e.Value))
	case e.Flags&^knownFlags != 0 || !e.Priority.Valid():
		return fmt.Errorf("%w: flags %#x, priority %d", ErrUnencodable, e.Flags, e.Priority)
	}
	for _, labels := range [][]string{e.Tags, e.Deps} {
		for _, l := range labels {
			if len(l) > MaxLabel {
				return fmt.Errorf("%w: label of %d bytes", ErrUnencodable, len(l))
			}
		}
	}
	return nil
}

func appendLabels(dst []byte, labels []string) []byte {
	for _, l := range labels {
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(l)))
		dst = append(dst, l...)
	}
	return dst
}

func putHeader(h []byte, keyLen int, e *store.Entry) {
	be := binary.BigEndian
	copy(h, magic)
	h[versionAt] = FrameVersion
	be.PutUint16(h[4:], uint16(e.Flags))
	h[6] = byte(e.Priority)
	putTimes(h, e.Times)
	be.PutUint64(h[40:], e.Stamp.Time)
	be.PutUint64(h[48:], e.Stamp.Seq)
	be.PutUint64(h[56:], e.Schema)
	be.PutUint64(h[64:], uint64(e.LoadCost))
	be.PutUint32(h[72:], uint32(keyLen))
	be.PutUint16(h[76:], uint16(len(e.Tags)))
	be.PutUint16(h[78:], uint16(len(e.Deps)))
	be.PutUint32(h[80:], uint32(len(e.Value)))
}

func putTimes(h []byte, t store.Times) {
	be := binary.BigEndian
	be.PutUint64(h[FreshOffset:], uint64(t.Fresh))
	be.PutUint64(h[16:], uint64(t.Gone))
	be.PutUint64(h[24:], uint64(t.Created))
	be.PutUint64(h[32:], uint64(t.Refresh))
}

func sign(h []byte, bodySum uint32) {
	binary.BigEndian.PutUint32(h[bodySumAt:], bodySum)
	binary.BigEndian.PutUint32(h[headerSumAt:], crc32.Checksum(h[:headerSumAt], castagnoli))
}

// Header returns the fixed header of the frame of e under key: it identifies the frame, since it holds
// the checksums of all the rest. A store uses it to compare and to change instants in place.
func Header(key string, e *store.Entry) ([]byte, error) {
	f, err := AppendFrame(make([]byte, 0, FrameSize(key, e)), key, e)
	if err != nil {
		return nil, err
	}
	return f[:HeaderSize:HeaderSize], nil
}

// Retime returns a copy of a frame's header with other instants, signed anew. Written over the old
// header it makes the frame of e.WithTimes(t).
func Retime(header []byte, t store.Times) []byte {
	h := bytes.Clone(header[:HeaderSize])
	putTimes(h, t)
	sign(h, binary.BigEndian.Uint32(h[bodySumAt:]))
	return h
}

// IsFrame reports whether b begins like a frame, of whatever version.
func IsFrame(b []byte) bool { return len(b) >= len(magic) && string(b[:len(magic)]) == magic }

// DecodeFrame returns the entry in frame, which must be the one that was written under key. Value and
// nothing else aliases frame, which must not be modified afterwards. What it allocates is bounded by
// the length of frame.
func DecodeFrame(key string, frame []byte) (*store.Entry, error) {
	if err := checkHeader(frame); err != nil {
		return nil, err
	}
	be := binary.BigEndian
	keyLen := int64(be.Uint32(frame[72:]))
	tags, deps := int(be.Uint16(frame[76:])), int(be.Uint16(frame[78:]))
	valueLen := int64(be.Uint32(frame[80:]))
	body := frame[HeaderSize:]
	if keyLen+2*int64(tags+deps)+valueLen > int64(len(body)) {
		return nil, ErrTruncated
	}
	if crc32.Checksum(body, castagnoli) != be.Uint32(frame[bodySumAt:]) {
		return nil, ErrChecksum
	}
	if string(body[:keyLen]) != key {
		return nil, ErrOtherKey
	}
	e := headerEntry(frame)
	rest := body[keyLen:]
	var err error
	if e.Tags, rest, err = takeLabels(rest, tags); err != nil {
		return nil, err
	}
	if e.Deps, rest, err = takeLabels(rest, deps); err != nil {
		return nil, err
	}
	if int64(len(rest)) != valueLen {
		return nil, ErrTruncated
	}
	if valueLen > 0 {
		e.Value = rest[:valueLen:valueLen]
	}
	return e, nil
}

// checkHeader checks everything that can be known without the body. The checksum comes last, so that
// the reason is the most telling one.
func checkHeader(frame []byte) error {
	if !IsFrame(frame) {
		return ErrForeign
	}
	if len(frame) <= versionAt {
		return ErrTruncated
	}
	if frame[versionAt] == 0 {
		return ErrForeign
	}
	if frame[versionAt] > FrameVersion {
		return ErrVersion
	}
	if len(frame) < HeaderSize {
		return ErrTruncated
	}
	be := binary.BigEndian
	if crc32.Checksum(frame[:headerSumAt], castagnoli) != be.Uint32(frame[headerSumAt:]) {
		return ErrChecksum
	}
	if store.Flags(be.Uint16(frame[4:]))&^knownFlags != 0 {
		return ErrFlags
	}
	if !store.Priority(frame[6]).Valid() || frame[7] != 0 || be.Uint32(frame[88:]) != 0 ||
		be.Uint32(frame[72:]) > MaxKey || be.Uint16(frame[76:]) > MaxLabels || be.Uint16(frame[78:]) > MaxLabels {
		return ErrMalformed
	}
	return nil
}

func headerEntry(h []byte) *store.Entry {
	be := binary.BigEndian
	return &store.Entry{
		Times: store.Times{
			Fresh:   int64(be.Uint64(h[FreshOffset:])),
			Gone:    int64(be.Uint64(h[16:])),
			Created: int64(be.Uint64(h[24:])),
			Refresh: int64(be.Uint64(h[32:])),
		},
		Stamp:    store.Position{Time: be.Uint64(h[40:]), Seq: be.Uint64(h[48:])},
		Schema:   be.Uint64(h[56:]),
		LoadCost: time.Duration(be.Uint64(h[64:])),
		Priority: store.Priority(h[6]),
		Flags:    store.Flags(be.Uint16(h[4:])),
	}
}

func takeLabels(b []byte, n int) (labels []string, rest []byte, err error) {
	if n == 0 {
		return nil, b, nil
	}
	labels = make([]string, n)
	for i := range labels {
		if len(b) < 2 {
			return nil, nil, ErrTruncated
		}
		l := int(binary.BigEndian.Uint16(b))
		if len(b)-2 < l {
			return nil, nil, ErrTruncated
		}
		labels[i] = string(b[2 : 2+l])
		b = b[2+l:]
	}
	return labels, b, nil
}
