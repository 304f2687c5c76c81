package codec

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/strata-cache/strata/core/store"
)

// Header returns the fixed header of the frame of e under key: it identifies the frame, since it holds
// the checksums of all the rest. A store uses it to compare and to change instants in place. The value is
// read, not copied.
func Header(key string, e *store.Entry) ([]byte, error) {
	if err := encodable(key, e); err != nil {
		return nil, err
	}
	index := appendIndex(make([]byte, 0, indexSize(key, e)), key, e)
	h := make([]byte, HeaderSize)
	putHeader(h, len(key), e)
	sign(h, crc32.Update(crc32.Checksum(index, castagnoli), castagnoli, e.Value))
	return h, nil
}

// Retime returns a copy of a frame's header with other instants, signed anew. Written over the old
// header it makes the frame of e.WithTimes(t). What follows the header in the slice is ignored; a shorter
// one panics.
func Retime(header []byte, t store.Times) []byte {
	h := bytes.Clone(header[:HeaderSize])
	putTimes(h, t)
	sign(h, binary.BigEndian.Uint32(h[bodySumAt:]))
	return h
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

// checkHeader checks everything that can be known without the body. What a newer version may have changed
// is looked at first, so that the reason is the most telling one.
func checkHeader(frame []byte) error {
	if !IsFrame(frame) {
		return ErrForeign
	}
	if len(frame) <= versionAt {
		return ErrTruncated
	}
	switch v := frame[versionAt]; {
	case v == 0:
		return ErrForeign
	case v > FrameVersion:
		return ErrVersion
	}
	if len(frame) < HeaderSize || len(frame) > maxFrameSize {
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
