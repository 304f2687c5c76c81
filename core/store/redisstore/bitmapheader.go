package redisstore

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/strata-cache/strata/core/store"
)

// A bitmap on the server is one string, so that nothing can lose a part of it: a header, the bits, and a byte
// that is there only if all before it is. The header's numbers are big-endian:
//
//	0  "SBF", version 1     8  token     24  capacity    40  seq
//	4  state                16 bits      32  run         48  count
//	5  hashes, 6 zeros      56 zero
const (
	bitmapMagic   = 'S'<<24 | 'B'<<16 | 'F'<<8 | 1
	bitmapHeader  = 64
	bitmapEnd     = 0xa5
	bitmapOpen    = 1
	bitmapSealed  = 2
	bitmapSeqBit  = 40 * 8
	bitmapEndSize = 1
)

var errBitmapHeader = errors.New("redisstore: not the header of a bitmap")

// bitmapWord is the first word of a header.
func bitmapWord(sealed bool, hashes uint64) uint64 {
	state := uint64(bitmapOpen)
	if sealed {
		state = bitmapSealed
	}
	return bitmapMagic<<32 | state<<24 | hashes<<16
}

// encodeBitmapHeader is the reverse of decodeBitmapHeader.
func encodeBitmapHeader(m store.Bitmap) []byte {
	be := binary.BigEndian
	b := make([]byte, 0, bitmapHeader)
	for _, word := range []uint64{bitmapWord(m.Sealed, m.Hashes), m.Token, m.Bits, m.Capacity, m.Run, m.Seq, m.Count, 0} {
		b = be.AppendUint64(b, word)
	}
	return b
}

// decodeBitmapHeader takes nothing but what encodeBitmapHeader makes of a valid bitmap.
func decodeBitmapHeader(b []byte) (m store.Bitmap, err error) {
	if len(b) != bitmapHeader {
		return m, errBitmapHeader
	}
	word := func(i int) uint64 { return binary.BigEndian.Uint64(b[8*i:]) }
	m = store.Bitmap{
		Sealed: b[4] == bitmapSealed, Hashes: uint64(b[5]),
		Token: word(1), Bits: word(2), Capacity: word(3), Run: word(4), Seq: word(5), Count: word(6),
	}
	if word(0) != bitmapWord(m.Sealed, m.Hashes) || word(7) != 0 || validBitmap(m) != nil ||
		m.Token == 0 || m.Seq > math.MaxInt64 || m.Count > math.MaxInt64 {
		return store.Bitmap{}, errBitmapHeader
	}
	return m, nil
}

// validBitmap refuses sizes that no bitmap has.
func validBitmap(m store.Bitmap) error {
	if m.Bits == 0 || m.Bits > store.MaxBitmapBits || m.Bits%8 != 0 || m.Hashes == 0 || m.Hashes > math.MaxUint8 {
		return errors.New("redisstore: a bitmap of impossible size")
	}
	return nil
}

// bitmapLength is how long the string of a bitmap is.
func bitmapLength(m store.Bitmap) uint64 { return bitmapHeader + m.Bits/8 + bitmapEndSize }

// bitmapToken is how scripts compare a token: by its bytes.
func bitmapToken(m store.Bitmap) string {
	return string(binary.BigEndian.AppendUint64(nil, m.Token))
}
