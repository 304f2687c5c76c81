package cache

import "sync"

// keyBuf is where the final key of one call is built. A look-up through an interface would send a stack
// buffer to the heap, so the buffers are pooled.
type keyBuf struct{ b []byte }

// keyBufSize holds every key that is not hashed with the default limit, before it is checked.
const keyBufSize = 512

var keyBufs = sync.Pool{New: func() any { return &keyBuf{make([]byte, 0, keyBufSize)} }}

func getKeyBuf() *keyBuf { return keyBufs.Get().(*keyBuf) }

func (k *keyBuf) put() {
	if cap(k.b) <= keyBufSize {
		keyBufs.Put(k)
	}
}
