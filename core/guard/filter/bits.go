package filter

import (
	"encoding/binary"
	"math/bits"
	"sync"
	"unsafe"

	"github.com/bits-and-blooms/bloom/v3"
)

// lanes is how many locks share a copy's readers, so that cores do not fight for one.
const lanes = 8

// lane is a lock on a cache line of its own.
type lane struct {
	sync.RWMutex
	_ [128 - unsafe.Sizeof(sync.RWMutex{})]byte
}

// bitmap is a copy of a filter's bits in this process. Readers take one lock of many, writers all.
type bitmap struct {
	lanes [lanes]lane
	m, k  uint64
	words []uint64
	bloom *bloom.BloomFilter // over words
}

func newBitmap(m, k uint64) *bitmap {
	b := &bitmap{m: m, k: k, words: make([]uint64, (m+63)/64)}
	b.bloom = bloom.FromWithM(b.words, uint(m), uint(k))
	return b
}

func (b *bitmap) lock() {
	for i := range b.lanes {
		b.lanes[i].Lock()
	}
}

func (b *bitmap) unlock() {
	for i := range b.lanes {
		b.lanes[i].Unlock()
	}
}

// view is the bytes of key, which are only read.
func view(key string) []byte { return unsafe.Slice(unsafe.StringData(key), len(key)) }

// has reports whether all bits of key are set.
func (b *bitmap) has(key string) bool {
	l := &b.lanes[0]
	if key != "" {
		l = &b.lanes[(key[len(key)-1]^key[len(key)/2])%lanes]
	}
	l.RLock()
	defer l.RUnlock()
	return b.bloom.Test(view(key))
}

// add sets the bits of keys, and returns how many of the keys had one that was not set.
func (b *bitmap) add(keys ...string) (added uint64) {
	b.lock()
	defer b.unlock()
	for _, key := range keys {
		if !b.bloom.TestAndAdd(view(key)) {
			added++
		}
	}
	return added
}

// positions are the bits of keys, in the order of keys.
func (b *bitmap) positions(keys ...string) []uint64 {
	all := make([]uint64, 0, len(keys)*int(b.k))
	for _, key := range keys {
		for _, l := range bloom.Locations(view(key), uint(b.k)) {
			all = append(all, l%b.m)
		}
	}
	return all
}

// merge sets the bits that are set in data, from a byte on that is a multiple of 8. The first bit of a shared
// bitmap is the highest of its byte, that of a word the lowest.
func (b *bitmap) merge(offset uint64, data []byte) {
	b.lock()
	defer b.unlock()
	for i := 0; i+8 <= len(data); i += 8 {
		b.words[offset/8+uint64(i)/8] |= bits.Reverse64(binary.BigEndian.Uint64(data[i:]))
	}
}

// read appends n bytes from offset on to dst, in the form of merge, and reports whether one is not zero.
func (b *bitmap) read(dst []byte, offset uint64, n int) (_ []byte, some bool) {
	b.lanes[0].RLock()
	defer b.lanes[0].RUnlock()
	for _, w := range b.words[offset/8 : offset/8+uint64(n)/8] {
		some = some || w != 0
		dst = binary.BigEndian.AppendUint64(dst, bits.Reverse64(w))
	}
	return dst, some
}

// sizeFor returns how many bits a filter of n keys needs at the rate p, in whole words, and how many of them
// a key has.
func sizeFor(n uint64, p float64) (m, k uint64) {
	size, hashes := bloom.EstimateParameters(uint(n), p)
	return (uint64(size) + 63) / 64 * 64, min(max(uint64(hashes), 1), 32)
}
