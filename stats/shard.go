package stats

import (
	"math/bits"
	"runtime"
	"unsafe"
)

const (
	wordBits = bits.UintSize
	// mix is the odd integer next to 2^wordBits divided by the golden ratio: multiplying by it spreads
	// neighbouring numbers over the high bits (Knuth, TAOCP 3, §6.4).
	mix = 0x9E3779B97F4A7C15>>(64-wordBits) | 1
)

// shardCount is twice the number of CPUs in use, as a power of two, at most 32.
func shardCount() int {
	n := 2 * min(runtime.GOMAXPROCS(0), 16)
	return 1 << bits.Len(uint(n-1))
}

// shard returns a number that differs between goroutines and rarely changes for one: a hash of where the
// goroutine's stack is. It spreads counters without asking the scheduler which CPU this is.
func shard() uintptr {
	var here byte
	return uintptr(unsafe.Pointer(&here)) >> 11 * mix >> (wordBits - 8)
}
