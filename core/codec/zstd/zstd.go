// Package zstd compresses the payloads of another codec.
package zstd

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/strata-cache/strata/core/codec"
)

// Options are the settings of the codec. The zero value is safe.
type Options struct {
	// MinSize is the size in bytes from which payloads are compressed: below it there is little to gain.
	// It is part of the codec's name, so that a change makes stored entries misses. Default: 1 KiB;
	// negative: all are compressed.
	MinSize int
	// MaxSize is the largest payload in bytes, before compression. Larger ones are not encoded, and what
	// claims to be larger is not decoded: a few bytes cannot become gigabytes. Default: 64 MiB;
	// negative: no limit.
	MaxSize int
}

// Reasons why payloads are refused.
var (
	// ErrTooLarge is returned for a payload above MaxSize, by both directions.
	ErrTooLarge = errors.New("zstd: payload too large")
	errCorrupt  = errors.New("zstd: not a payload of this codec")
)

// The first byte of what Append writes.
const (
	markPlain      = 0
	markCompressed = 1
)

const (
	defaultMinSize = 1 << 10
	defaultMaxSize = 64 << 20
	// window bounds how far back a match lies, and with it what an encoder holds to about 3 MiB.
	window = 1 << 20
	// maxBlock is what one block can decompress to; a block takes at least four bytes.
	maxBlock = 128 << 10
	// maxScratch is the largest buffer that is kept for reuse.
	maxScratch = 1 << 20
)

// New returns a codec that compresses what inner encodes: one leading byte, 0 or 1, then the payload of
// inner as it is or, where that is shorter, as one zstd frame.
//
// It is canonical if inner is: level and window are fixed and one goroutine encodes one payload, so the
// bytes depend on the payload and on the release of the compression library only. At most
// min(4, GOMAXPROCS) payloads are compressed at a time, and as many decompressed; more wait. No goroutine is
// started and there is nothing to close.
func New(inner codec.Codec, opts Options) (codec.Codec, error) {
	if inner == nil {
		return nil, errors.New("zstd: no inner codec")
	}
	c := &compressor{inner: inner, min: opts.MinSize, max: uint64(opts.MaxSize)}
	switch {
	case opts.MinSize == 0:
		c.min = defaultMinSize
	case opts.MinSize < 0:
		c.min = 0
	}
	switch {
	case opts.MaxSize == 0:
		c.max = defaultMaxSize
	case opts.MaxSize < 0:
		c.max = 1 << 62
	}
	c.name = fmt.Sprintf("zstd(%d;%s)", c.min, inner.Name())
	workers := min(4, runtime.GOMAXPROCS(0))
	var err error
	if c.enc, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(workers), zstd.WithEncoderLevel(zstd.SpeedDefault),
		zstd.WithWindowSize(window), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true)); err != nil {
		return nil, err
	}
	c.dec, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(workers), zstd.WithDecoderMaxMemory(c.max),
		zstd.WithDecodeAllCapLimit(true))
	return c, err
}

type compressor struct {
	inner   codec.Codec
	name    string
	min     int
	max     uint64
	enc     *zstd.Encoder
	dec     *zstd.Decoder
	scratch sync.Pool // of *[]byte
}

func (c *compressor) Name() string { return c.name }

// CheckType implements [codec.TypeChecker] for the inner codec.
func (c *compressor) CheckType(t reflect.Type) error {
	if inner, ok := c.inner.(codec.TypeChecker); ok {
		return inner.CheckType(t)
	}
	return nil
}

func (c *compressor) Append(dst []byte, v any) ([]byte, error) {
	scratch, _ := c.scratch.Get().(*[]byte)
	if scratch == nil {
		scratch = new([]byte)
	}
	plain, err := c.inner.Append((*scratch)[:0], v)
	if err != nil {
		return dst, err
	}
	if cap(plain) <= maxScratch {
		defer c.scratch.Put(scratch)
		*scratch = plain
	}
	if uint64(len(plain)) > c.max {
		return dst, fmt.Errorf("%w: %d bytes", ErrTooLarge, len(plain))
	}
	if len(plain) >= c.min {
		out := c.enc.EncodeAll(plain, append(dst, markCompressed))
		if len(out)-len(dst) <= len(plain) {
			return out, nil
		}
	}
	return append(append(dst, markPlain), plain...), nil
}

func (c *compressor) Decode(data []byte, v any) error {
	if len(data) == 0 {
		return errCorrupt
	}
	switch data[0] {
	case markPlain:
		if uint64(len(data)-1) > c.max {
			return fmt.Errorf("%w: %d bytes", ErrTooLarge, len(data)-1)
		}
		return c.inner.Decode(data[1:], v)
	case markCompressed:
		plain, err := c.expand(data[1:])
		if err != nil {
			return err
		}
		return c.inner.Decode(plain, v)
	}
	return errCorrupt
}

// expand decompresses one frame. The result is fresh: an inner codec may let what it decodes alias it.
func (c *compressor) expand(frame []byte) ([]byte, error) {
	var h zstd.Header
	if err := h.Decode(frame); err != nil {
		return nil, fmt.Errorf("%w: %w", errCorrupt, err)
	}
	size := h.FrameContentSize
	switch {
	case h.Skippable || !h.HasFCS || size > uint64(len(frame)/4+1)*maxBlock:
		return nil, errCorrupt
	case size > c.max:
		return nil, fmt.Errorf("%w: %d bytes", ErrTooLarge, size)
	}
	plain, err := c.dec.DecodeAll(frame, make([]byte, 0, size))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errCorrupt, err)
	}
	if uint64(len(plain)) != size {
		return nil, errCorrupt
	}
	return plain, nil
}
