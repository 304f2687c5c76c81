package store

import (
	"context"
	"errors"
	"time"
)

// ErrBitmapChanged is what errors.Is finds in the error of an operation on a bitmap that is not there any
// more as the caller knows it: it was lost, replaced, sealed, or restored from an older copy. Nothing was
// done. LoadBitmaps tells what there is.
var ErrBitmapChanged = errors.New("store: the bitmap has changed")

// Bitmaps keeps, under each name, up to two bitmaps whose bits several processes set and test: a sealed one,
// which its makers have called complete, and an open one, which is to take its place. Bits are only ever
// set. A bitmap holds its own description, so that both are lost together or not at all, and every operation
// checks it in the step in which it is done: bits are never set in, nor read from, a bitmap that was lost and
// made anew.
//
// A bitmap is at most MaxBitmapBits long. An ErrClosed store does nothing.
type Bitmaps interface {
	// LoadBitmaps returns the valid bitmaps under name, in no order, and which run of the server holds them.
	// What is there but is no bitmap, or not whole, is left out.
	LoadBitmaps(ctx context.Context, name string) (BitmapSet, error)
	// OpenBitmap returns the open bitmap under name. One that differs from want in Bits, Hashes or Capacity
	// is replaced, a missing one is made, of zeros, with the Run of want. The sealed one stays.
	OpenBitmap(ctx context.Context, name string, want Bitmap) (Bitmap, error)
	// SetBits sets bits in all bitmaps under name: writes must name all that there are, and at least one. It
	// returns the Seq of each, in their order.
	SetBits(ctx context.Context, name string, writes []BitmapWrite) ([]uint64, error)
	// TestBits reports whether all the bits are set in the sealed bitmap m, in one round trip, and its Seq. It
	// asks the server that takes the writes, not a replica.
	TestBits(ctx context.Context, name string, m Bitmap, bits []uint64) (all bool, seq uint64, err error)
	// MergeBitmap sets, from the offset in bytes on, the bits that are set in data, in the open bitmap m. It
	// returns its Seq. Data is at most BitmapChunk long.
	MergeBitmap(ctx context.Context, name string, m Bitmap, offset uint64, data []byte) (seq uint64, err error)
	// ReadBitmap returns up to n bytes of the bitmap m, from the offset in bytes on. n is at most BitmapChunk.
	// A bit is the lower in a byte, the higher its value: bit 0 is 0x80 of byte 0.
	ReadBitmap(ctx context.Context, name string, m Bitmap, offset uint64, n int) ([]byte, error)
	// SealBitmap makes the open bitmap m the sealed one, adds count to its Count, and removes the one that was
	// sealed before.
	SealBitmap(ctx context.Context, name string, m Bitmap, count uint64) error
	// DropBitmap removes the bitmap m, if it is there.
	DropBitmap(ctx context.Context, name string, m Bitmap) error
	// HoldBitmaps gives owner the right to fill the open bitmap under name for ttl, or renews it, and reports
	// whether owner has it now. A ttl of 0 gives it back. Owner is not 0. It saves work, no more: whoever has
	// merged into the bitmap that is sealed has done no harm.
	HoldBitmaps(ctx context.Context, name string, owner uint64, ttl time.Duration) (bool, error)
}

// Limits of bitmaps.
const (
	// MaxBitmapBits is how many bits the longest bitmap has: a little less than 512 MiB of them.
	MaxBitmapBits = 8 * (512<<20 - 1024)
	// BitmapChunk is how many bytes of a bitmap are read or merged at once, at most: 64 KiB.
	BitmapChunk = 64 << 10
)

// Bitmap describes one bitmap. Its Token, Bits, Hashes, Capacity and Run never change.
type Bitmap struct {
	// Token tells it from every other under its name, before and after. It is not 0.
	Token uint64
	// Bits is how many bits it has, a multiple of 8. Hashes is how many of them one key sets, 1 to 255.
	// Capacity is how many keys it was made for.
	Bits, Hashes, Capacity uint64
	// Run is that of the BitmapSet when it was made.
	Run uint64
	// Sealed says that it is complete.
	Sealed bool
	// Seq grows with every operation that sets bits. As an argument it is the highest that the caller has
	// seen: a bitmap that has less was restored from an older copy; it is removed, and the error Is
	// ErrBitmapChanged.
	Seq uint64
	// Count is how many keys have set bits in it that were not all set before, about.
	Count uint64
}

// BitmapSet is what is there under one name.
type BitmapSet struct {
	Bitmaps []Bitmap
	// Run tells one run of the server that holds them from others: it differs after a restart or a failover,
	// which may have lost what was acknowledged. 0 where the server does not tell.
	Run uint64
}

// BitmapWrite is what SetBits does in one bitmap: the bits of some keys, Hashes of them for each.
type BitmapWrite struct {
	Bitmap
	Set []uint64
}
