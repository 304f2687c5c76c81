package keyrule

import "testing"

// TestHasControl places every byte at every place of keys of every length that matters to a look at eight
// bytes at a time, among bytes that a borrow could run through.
func TestHasControl(t *testing.T) {
	for _, fill := range []byte{' ', 'a', 0x7e, 0x80, 0xff} {
		for length := 1; length <= 25; length++ {
			for at := range length {
				for b := range 256 {
					key := make([]byte, length)
					for i := range key {
						key[i] = fill
					}
					key[at] = byte(b)
					if got, want := hasControl(key), b < 0x20 || b == 0x7f; got != want {
						t.Fatalf("%d bytes of %#x with %#x at %d: %t", length, fill, b, at, got)
					}
				}
			}
		}
	}
}
