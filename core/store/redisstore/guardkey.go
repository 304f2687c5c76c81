package redisstore

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/strata-cache/strata/core/store"
)

// What guards an entry, or is a lock, lies under <prefix>{<prefix><escaped key>}<one of these>: the braces
// make the entry's own name the hash tag, so that all of it shares the entry's slot. Where the prefix holds
// a hash tag, that one comes first and rules for all. No entry's name has a brace behind the prefix.
const (
	leaseSuffix      = "lease"
	waitersSuffix    = "waiters"
	lockSuffix       = "lock"
	lockQueueSuffix  = "queue"
	lockFenceSuffix  = "fence"
	logName          = "{log}"
	wakeChannelInfix = "{wake}"
)

// maxToken is the length of the longest token in bytes.
const maxToken = 64

// guardName is what the guard of key with the suffix is called on the server.
func (s *Store) guardName(key, suffix string) string {
	return s.opts.Prefix + "{" + s.opts.Prefix + escape(key) + "}" + suffix
}

// guarded returns the names of the entry under key, its lease, and the set of those who wait for that.
func (s *Store) guarded(key string) []string {
	return []string{s.name(key), s.guardName(key, leaseSuffix), s.guardName(key, waitersSuffix)}
}

// lockNames returns the names of the lock, of the set of those who wait for it, and of its fence.
func (s *Store) lockNames(name string) []string {
	return []string{s.guardName(name, lockSuffix), s.guardName(name, lockQueueSuffix), s.guardName(name, lockFenceSuffix)}
}

// logKey is what the log is called on the server.
func (s *Store) logKey() string { return s.opts.Prefix + logName }

// channels is what every node's channel begins with.
func (s *Store) channels() string { return s.opts.Prefix + wakeChannelInfix }

// validTags refuses a prefix with braces that are no hash tags: what is put behind it could form one.
func validTags(prefix string) error {
	for rest := prefix; ; {
		i := strings.IndexAny(rest, "{}")
		if i < 0 {
			return nil
		}
		n := strings.IndexAny(rest[i+1:], "{}")
		if rest[i] != '{' || n < 0 || rest[i+1+n] != '}' {
			return errors.New("redisstore: Prefix with a brace that belongs to no hash tag")
		}
		if n == 0 {
			return errors.New("redisstore: Prefix with an empty hash tag")
		}
		rest = rest[i+n+2:]
	}
}

// validToken refuses what cannot tell one holder from another.
func validToken(op, token string) error {
	if token == "" || len(token) > maxToken {
		return fmt.Errorf("redisstore: %s: token of %d bytes, not between 1 and %d", op, len(token), maxToken)
	}
	return nil
}

// milliseconds returns d as an expiry: rounded up, so that what is positive stays it, and within a server's
// limits.
func milliseconds(d time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	ms := d.Milliseconds()
	if d%time.Millisecond > 0 {
		ms++
	}
	return min(ms, maxPX)
}

// lasting is milliseconds of a lifetime that must be one.
func lasting(op string, ttl time.Duration) (int64, error) {
	if ttl <= 0 {
		return 0, fmt.Errorf("redisstore: %s: a lifetime of %v", op, ttl)
	}
	return milliseconds(ttl), nil
}

// streamID returns p as a stream writes it.
func streamID(p store.Position) string {
	b := make([]byte, 0, 24)
	b = strconv.AppendUint(b, p.Time, 10)
	b = append(b, '-')
	return string(strconv.AppendUint(b, p.Seq, 10))
}

// parseStreamID is the reverse of streamID, for the one form that a stream writes.
func parseStreamID(id string) (p store.Position, ok bool) {
	ms, seq, found := strings.Cut(id, "-")
	if !found {
		return p, false
	}
	var err error
	if p.Time, err = strconv.ParseUint(ms, 10, 64); err != nil {
		return store.Position{}, false
	}
	if p.Seq, err = strconv.ParseUint(seq, 10, 64); err != nil {
		return store.Position{}, false
	}
	if streamID(p) != id {
		return store.Position{}, false
	}
	return p, true
}

// next returns the position right behind p; ok is false where there is none.
func next(p store.Position) (q store.Position, ok bool) {
	switch {
	case p.Seq < math.MaxUint64:
		return store.Position{Time: p.Time, Seq: p.Seq + 1}, true
	case p.Time < math.MaxUint64:
		return store.Position{Time: p.Time + 1}, true
	default:
		return p, false
	}
}
