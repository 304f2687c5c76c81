package redisstore

import (
	"strconv"
	"strings"
	"time"

	"github.com/strata-cache/strata/core/store"
)

// decodeWake returns what a message says: result, back-off in milliseconds, length of the name, the name, each
// but the last with a space behind it, and the form of the entry or nothing. ok is false for what no script of
// ours has sent. An entry that cannot be read, or that is Gone, is none; so is a counter, whose lifetime the
// message does not hold.
func (s *Store) decodeWake(message string) (w store.Wake, ok bool) {
	result, rest, _ := strings.Cut(message, " ")
	backOff, rest, _ := strings.Cut(rest, " ")
	size, rest, _ := strings.Cut(rest, " ")
	n, err := strconv.ParseUint(result, 10, 8)
	if err != nil || store.LeaseResult(n) == store.LeaseHeld || store.LeaseResult(n) > store.LeaseUncacheable {
		return store.Wake{}, false
	}
	ms, err := strconv.ParseInt(backOff, 10, 64)
	if err != nil || ms < 0 || ms > maxPX {
		return store.Wake{}, false
	}
	length, err := strconv.ParseInt(size, 10, 64)
	if err != nil || length < 0 || length > int64(len(rest)) {
		return store.Wake{}, false
	}
	form, ours := strings.CutPrefix(rest[:length], s.opts.Prefix)
	key, valid := unescape(form)
	if !ours || !valid && form != "" {
		return store.Wake{}, false
	}
	w = store.Wake{Key: key, Result: store.LeaseResult(n), BackOff: time.Duration(ms) * time.Millisecond}
	if data := rest[length:]; data != "" && w.Result == store.LeaseStored {
		if e, err := entryOf(key, data, time.Now().UnixMilli()); err == nil && e.Flags&store.FlagCounter == 0 {
			w.Entry = e
		}
	}
	return w, true
}
