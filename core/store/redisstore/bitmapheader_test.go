package redisstore

import (
	"bytes"
	"testing"

	"github.com/strata-cache/strata/core/store"
)

func FuzzBitmapHeader(f *testing.F) {
	m := store.Bitmap{Token: 3, Bits: 64, Hashes: 7, Capacity: 10, Run: 1 << 63, Seq: 5, Count: 6}
	f.Add(encodeBitmapHeader(m))
	m.Sealed = true
	f.Add(encodeBitmapHeader(m))
	f.Add(encodeBitmapHeader(m)[:63])
	f.Add(make([]byte, bitmapHeader))
	f.Add([]byte("SBF\x02"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeBitmapHeader(b)
		if err != nil {
			if m != (store.Bitmap{}) {
				t.Errorf("%+v beside %v", m, err)
			}
			return
		}
		if validBitmap(m) != nil || m.Token == 0 || !bytes.Equal(encodeBitmapHeader(m), b) {
			t.Errorf("%x was taken for %+v", b, m)
		}
	})
}

func TestBitmapHeader(t *testing.T) {
	good := store.Bitmap{Token: 3, Bits: 64, Hashes: 7, Capacity: 10, Run: 9, Sealed: true, Seq: 5, Count: 6}
	if m, err := decodeBitmapHeader(encodeBitmapHeader(good)); m != good || err != nil {
		t.Fatalf("%+v, %v", m, err)
	}
	for name, change := range map[string]func(b []byte){
		"another magic":   func(b []byte) { b[0] = 'X' },
		"another version": func(b []byte) { b[3]++ },
		"unknown state":   func(b []byte) { b[4] = 3 },
		"no hashes":       func(b []byte) { b[5] = 0 },
		"reserved":        func(b []byte) { b[7] = 1 },
		"no token":        func(b []byte) { copy(b[8:], make([]byte, 8)) },
		"no bits":         func(b []byte) { b[23] = 0 },
		"half a byte":     func(b []byte) { b[23] = 65 },
		"too many bits":   func(b []byte) { b[17] = 1 },
		"negative seq":    func(b []byte) { b[40] = 0x80 },
		"negative count":  func(b []byte) { b[48] = 0x80 },
		"behind":          func(b []byte) { b[63] = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			b := encodeBitmapHeader(good)
			change(b)
			if m, err := decodeBitmapHeader(b); err == nil {
				t.Errorf("%+v", m)
			}
		})
	}
}
