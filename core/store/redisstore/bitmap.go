package redisstore

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/strata-cache/strata/core/store"
)

var _ store.Bitmaps = (*Store)(nil)

// bitmapInfix begins the names of bitmaps behind the prefix. No entry's name has a brace there, and the names
// of guards end in words.
const bitmapInfix = "{f:"

var errBitmapChanged = fmt.Errorf("redisstore: %w", store.ErrBitmapChanged)

// bitmapPlaces are the two places of the bitmaps of a name. A Cluster keeps them, and the hold, on one slot.
func (s *Store) bitmapPlaces(name string) []string {
	tag := s.opts.Prefix + bitmapInfix + escape(name) + "}"
	return []string{tag + "0", tag + "1"}
}

// bitmapPlace is where a bitmap lies: its token says so, so that one command finds it.
func (s *Store) bitmapPlace(name string, m store.Bitmap) string {
	return s.bitmapPlaces(name)[m.Token&1]
}

// bitmapScript runs a script on the places of name. Another bitmap than the one it was called for is an
// error.
func (s *Store) bitmapScript(ctx context.Context, op, name string, script *redis.Script, args ...any) (reply any, err error) {
	err = s.do(ctx, op, func(ctx context.Context) (err error) {
		reply, err = script.Run(ctx, s.client, s.bitmapPlaces(name), args...).Result()
		return err
	})
	if n, ok := reply.(int64); err == nil && ok && n == -1 {
		err = errBitmapChanged
	}
	return reply, err
}

// LoadBitmaps is one script.
func (s *Store) LoadBitmaps(ctx context.Context, name string) (set store.BitmapSet, err error) {
	reply, err := s.bitmapScript(ctx, "load bitmaps", name, loadBitmapsScript)
	if err != nil {
		return set, err
	}
	list, _ := reply.([]any)
	if len(list) != 3 {
		return set, fmt.Errorf("redisstore: load bitmaps: unexpected reply of length %d", len(list))
	}
	for i := range 2 {
		head, _ := list[i].(string)
		if m, err := decodeBitmapHeader([]byte(head)); err == nil && m.Token&1 == uint64(i) {
			set.Bitmaps = append(set.Bitmaps, m)
		}
	}
	id, _ := list[2].(string)
	if b, err := hex.DecodeString(id[:min(len(id), 16)]); err == nil && len(b) == 8 {
		set.Run = binary.BigEndian.Uint64(b)
	}
	return set, nil
}

// OpenBitmap is one script, in which a server may have to clear as many bytes as the bitmap has.
func (s *Store) OpenBitmap(ctx context.Context, name string, want store.Bitmap) (store.Bitmap, error) {
	if err := validBitmap(want); err != nil {
		return store.Bitmap{}, err
	}
	var token [8]byte
	_, _ = rand.Read(token[:]) // it never fails
	want.Token = binary.BigEndian.Uint64(token[:]) | 2
	want.Sealed, want.Seq, want.Count = false, 0, 0
	args := []any{bitmapLength(want) - 1, []byte{bitmapEnd}}
	for _, place := range []uint64{0, 1} {
		want.Token = want.Token&^1 | place
		args = append(args, encodeBitmapHeader(want))
	}
	reply, err := s.bitmapScript(ctx, "open bitmap", name, openBitmapScript, args...)
	if err != nil {
		return store.Bitmap{}, err
	}
	head, _ := reply.(string)
	return decodeBitmapHeader([]byte(head))
}

// SetBits is one script.
func (s *Store) SetBits(ctx context.Context, name string, writes []store.BitmapWrite) ([]uint64, error) {
	args := []any{len(writes)}
	for _, w := range writes {
		if err := validBitmap(w.Bitmap); err != nil {
			return nil, err
		}
		if uint64(len(w.Set))%w.Hashes != 0 {
			return nil, errors.New("redisstore: set bits: not as many bits as the keys have")
		}
		args = append(args, bitmapToken(w.Bitmap), w.Seq, w.Hashes, len(w.Set))
		for _, bit := range w.Set {
			if bit >= w.Bits {
				return nil, errors.New("redisstore: set bits: a bit behind the end")
			}
			args = append(args, bit)
		}
	}
	reply, err := s.bitmapScript(ctx, "set bits", name, setBitsScript, args...)
	if err != nil {
		return nil, err
	}
	list := integers(reply)
	if len(list) != len(writes) {
		return nil, fmt.Errorf("redisstore: set bits: unexpected reply of length %d", len(list))
	}
	seqs := make([]uint64, len(list))
	for i, seq := range list {
		seqs[i] = uint64(seq)
	}
	return seqs, nil
}

// TestBits is one BITFIELD_RO, which a server has since version 6; over a client that is not one server's, one
// script.
func (s *Store) TestBits(ctx context.Context, name string, m store.Bitmap, bits []uint64) (all bool, seq uint64, err error) {
	const checks = 3 // in front of the seq
	args := make([]any, 0, 14+3*len(bits))
	args = append(args, "BITFIELD_RO", s.bitmapPlace(name, m),
		"GET", "i64", 0, "GET", "i64", 64, "GET", "u8", (bitmapLength(m)-1)*8, "GET", "i64", bitmapSeqBit)
	for _, bit := range bits {
		args = append(args, "GET", "u1", bitmapHeader*8+bit)
	}
	var reply []int64
	if s.single {
		err = s.do(ctx, "test bits", func(ctx context.Context) error {
			cmd := redis.NewIntSliceCmd(ctx, args...)
			err := s.client.Process(ctx, cmd)
			reply = cmd.Val()
			return err
		})
		if err == nil && len(reply) == checks+1+len(bits) {
			if uint64(reply[0]) != bitmapWord(true, m.Hashes) || uint64(reply[1]) != m.Token || reply[2] != bitmapEnd {
				return false, 0, errBitmapChanged
			}
			reply = reply[checks:]
		}
	} else {
		args[1+3*checks] = bitmapToken(m)
		var list any
		list, err = s.bitmapScript(ctx, "test bits", name, testBitsScript, args[1+3*checks:]...)
		reply = integers(list)
	}
	switch {
	case errors.Is(err, errWrongType):
		return false, 0, errBitmapChanged
	case err != nil:
		return false, 0, err
	case len(reply) != 1+len(bits):
		return false, 0, fmt.Errorf("redisstore: test bits: unexpected reply of length %d", len(reply))
	}
	seq = uint64(reply[0])
	if seq < m.Seq {
		return false, seq, errors.Join(errBitmapChanged, s.DropBitmap(ctx, name, m))
	}
	return !slices.Contains(reply[1:], 0), seq, nil
}

// integers are the elements of a list of integers.
func integers(reply any) []int64 {
	list, _ := reply.([]any)
	all := make([]int64, len(list))
	for i := range list {
		all[i], _ = list[i].(int64)
	}
	return all
}

// MergeBitmap is one script.
func (s *Store) MergeBitmap(ctx context.Context, name string, m store.Bitmap, offset uint64, data []byte) (uint64, error) {
	if len(data) > store.BitmapChunk || offset+uint64(len(data)) > m.Bits/8 {
		return 0, errors.New("redisstore: merge bitmap: more than a chunk, or behind the end")
	}
	reply, err := s.bitmapScript(ctx, "merge bitmap", name, mergeBitmapScript, bitmapToken(m), m.Seq, offset, data)
	n, _ := reply.(int64)
	return uint64(n), err
}

// ReadBitmap is one script.
func (s *Store) ReadBitmap(ctx context.Context, name string, m store.Bitmap, offset uint64, n int) ([]byte, error) {
	end := min(offset+uint64(min(n, store.BitmapChunk)), m.Bits/8)
	if offset >= end {
		return nil, nil
	}
	reply, err := s.bitmapScript(ctx, "read bitmap", name, readBitmapScript, bitmapToken(m), bitmapHeader+offset, bitmapHeader+end-1)
	data, _ := reply.(string)
	return []byte(data), err
}

// SealBitmap is one script.
func (s *Store) SealBitmap(ctx context.Context, name string, m store.Bitmap, count uint64) error {
	_, err := s.bitmapScript(ctx, "seal bitmap", name, sealBitmapScript, bitmapToken(m), m.Seq, count)
	return err
}

// DropBitmap is one script.
func (s *Store) DropBitmap(ctx context.Context, name string, m store.Bitmap) error {
	_, err := s.bitmapScript(ctx, "drop bitmap", name, dropBitmapScript, bitmapToken(m))
	return err
}

// HoldBitmaps is one script.
func (s *Store) HoldBitmaps(ctx context.Context, name string, owner uint64, ttl time.Duration) (held bool, err error) {
	place := s.opts.Prefix + bitmapInfix + escape(name) + "}h"
	err = s.do(ctx, "hold bitmaps", func(ctx context.Context) (err error) {
		held, err = holdBitmapsScript.Run(ctx, s.client, []string{place}, owner, max(ttl.Milliseconds(), 0)).Bool()
		return err
	})
	return held, err
}
