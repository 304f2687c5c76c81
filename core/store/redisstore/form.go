package redisstore

import (
	"fmt"
	"strconv"
	"unsafe"

	"github.com/strata-cache/strata/core/codec"
	"github.com/strata-cache/strata/core/store"
)

// Expiries of a form, beside the number of milliseconds.
const (
	never = 0
	gone  = -1
)

// maxPX is the longest expiry that is asked of a server, in milliseconds: 139 years. It is far from any
// overflow, on the server and in a time.Duration.
const maxPX = 1 << 42

// form is what stands on the server for an entry: a frame, or a counter's digits.
type form struct {
	data []byte
	px   int64 // expiry in milliseconds from now, or never or gone; a gone one has no data
}

// formOf returns the form of e under key. With the error the form is gone: what e was meant to replace
// must not outlive it.
func (s *Store) formOf(key string, e *store.Entry, now int64) (form, error) {
	px := expiry(&e.Times, now)
	if px == gone {
		return form{px: gone}, nil
	}
	if e.Flags&store.FlagCounter != 0 {
		n, err := strconv.ParseInt(string(e.Value), 10, 64)
		if err != nil {
			return form{px: gone}, store.ErrNotInteger
		}
		return form{strconv.AppendInt(nil, n, 10), px}, nil
	}
	size := codec.FrameSize(key, e)
	if size > s.opts.MaxEntryBytes {
		return form{px: gone}, fmt.Errorf("%w: %d bytes, the limit is %d", store.ErrTooLarge, size, s.opts.MaxEntryBytes)
	}
	frame, err := codec.AppendFrame(make([]byte, 0, size), key, e)
	if err != nil {
		return form{px: gone}, err
	}
	return form{frame, px}, nil
}

func expiry(t *store.Times, now int64) int64 {
	switch {
	case t.Gone == 0:
		return never
	case t.IsGone(now):
		return gone
	case t.Gone-now > maxPX:
		return maxPX
	default:
		return t.Gone - now
	}
}

// entryOf returns the entry whose form was read under key. It is store.ErrMiss for one that is Gone, and
// a counter without its lifetime for digits.
func entryOf(key, data string, now int64) (*store.Entry, error) {
	if isInteger(data) {
		return &store.Entry{Value: []byte(data), Flags: store.FlagCounter}, nil
	}
	e, err := codec.DecodeFrame(key, unsafe.Slice(unsafe.StringData(data), len(data)))
	switch {
	case err != nil:
		return nil, err
	case e.IsGone(now):
		return nil, store.ErrMiss
	}
	return e, nil
}

// isInteger reports whether s is a counter as Redis writes it: the one decimal form of a 64-bit integer.
func isInteger(s string) bool {
	if s == "" || len(s) > len("-9223372036854775808") {
		return false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return err == nil && strconv.FormatInt(n, 10) == s
}
