package codec

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/strata-cache/strata/core/store"
)

// DecodeFrame returns the entry in frame, which must be the one that was written under key; every error
// Is store.ErrCorrupt. Value and nothing else aliases frame, which must not be modified afterwards.
//
// What it allocates is bounded by the length of frame, whatever the frame claims: the entry, one string
// with all labels, and the slice that they are cut into. A frame that is accepted is the one that
// AppendFrame writes for the entry, byte for byte.
func DecodeFrame(key string, frame []byte) (*store.Entry, error) {
	if err := checkHeader(frame); err != nil {
		return nil, err
	}
	be := binary.BigEndian
	keyLen := int64(be.Uint32(frame[72:]))
	tags, deps := int(be.Uint16(frame[76:])), int(be.Uint16(frame[78:]))
	valueLen := int64(be.Uint32(frame[80:]))
	body := frame[HeaderSize:]
	labelsLen := int64(len(body)) - keyLen - valueLen
	if labelsLen < 2*int64(tags+deps) {
		return nil, ErrTruncated
	}
	if crc32.Checksum(body, castagnoli) != be.Uint32(frame[bodySumAt:]) {
		return nil, ErrChecksum
	}
	if string(body[:keyLen]) != key {
		return nil, ErrOtherKey
	}
	labels, err := cutLabels(body[keyLen:keyLen+labelsLen], tags+deps)
	if err != nil {
		return nil, err
	}
	e := headerEntry(frame)
	if tags > 0 {
		e.Tags = labels[:tags:tags]
	}
	if deps > 0 {
		e.Deps = labels[tags:]
	}
	if valueLen > 0 {
		e.Value = body[keyLen+labelsLen : len(body) : len(body)]
	}
	return e, nil
}

// cutLabels returns the n labels that b consists of.
func cutLabels(b []byte, n int) ([]string, error) {
	if n == 0 {
		if len(b) > 0 {
			return nil, ErrTruncated
		}
		return nil, nil
	}
	text, labels := string(b), make([]string, n)
	for i := range labels {
		if len(text) < 2 {
			return nil, ErrTruncated
		}
		end := 2 + (int(text[0])<<8 | int(text[1]))
		if len(text) < end {
			return nil, ErrTruncated
		}
		labels[i], text = text[2:end], text[end:]
	}
	if text != "" {
		return nil, ErrTruncated
	}
	return labels, nil
}
