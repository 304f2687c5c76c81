// Package negative remembers keys that are known not to exist, so that asking for them costs no load. Who
// asks for keys that do not exist, one after the other, fills this space and no other: it is bounded, and
// apart from that of the values.
//
// Nor do such keys push out the nulls that are really asked for. Eviction is SIEVE (Zhang et al., NSDI 2024):
// a null that was asked for since the hand last passed stays, all others leave in the order in which they
// came. SIEVE by itself may drop a new key before it is asked for again, where a flood runs through. So the
// digests of those that were evicted are kept for a while, and a key that comes back counts as asked for.
package negative

import (
	"fmt"
	"hash/maphash"
	"math"
	"strings"
	"time"

	"github.com/strata-cache/strata/core/store"
)

// Defaults and limits of Options.
const (
	// DefaultMaxKeys is how many keys are remembered by default.
	DefaultMaxKeys = 10_000
	// LimitMaxKeys is the most that may be asked for.
	LimitMaxKeys = 1 << 26
	// DefaultBytesPerKey times Options.MaxKeys is the default of Options.MaxBytes.
	DefaultBytesPerKey = 1024
)

// maxWeight is what one null may weigh, in bytes.
const maxWeight = 16 << 10

// Options configure a Set. The zero value is ready for use.
type Options struct {
	// MaxKeys is how many keys are remembered, at most. They are spread over up to 16 shards, each of which
	// takes its part of them. Zero means DefaultMaxKeys, negative means that nothing is remembered.
	MaxKeys int
	// MaxBytes bounds the sum of what the entries weigh: see store.Entry.Weight. Zero means
	// DefaultBytesPerKey for each key. An entry of more than 16 KiB, or of more than a shard takes, is not
	// remembered.
	MaxBytes int
	// Now tells the time in Unix milliseconds. It must be safe for concurrent use. Nil means time.Now.
	Now func() int64
}

func (o Options) withDefaults() (Options, error) {
	if o.MaxKeys > LimitMaxKeys {
		return o, fmt.Errorf("negative: MaxKeys %d is more than %d", o.MaxKeys, LimitMaxKeys)
	}
	if o.MaxBytes < 0 {
		return o, fmt.Errorf("negative: MaxBytes %d is negative", o.MaxBytes)
	}
	if o.MaxKeys == 0 {
		o.MaxKeys = DefaultMaxKeys
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = int(min(int64(max(o.MaxKeys, 0))*DefaultBytesPerKey, math.MaxInt))
	}
	if o.Now == nil {
		o.Now = func() int64 { return time.Now().UnixMilli() }
	}
	return o, nil
}

// Set is a bounded set of nulls. Make it with New. It is safe for concurrent use: look-ups take no lock and
// allocate nothing. It starts no goroutine and needs no Close.
type Set struct {
	now    func() int64
	seed   maphash.Seed
	shift  uint    // what is left of a hash behind it is the shard's number
	shards []shard // none: nothing is remembered
}

// New returns an empty set. It fails where MaxKeys is over its limit or MaxBytes is negative.
func New(opts Options) (*Set, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Set{now: opts.Now, seed: maphash.MakeSeed(), shift: 64}
	if opts.MaxKeys < 0 {
		return s, nil
	}
	n := 1
	for n < maxShards && opts.MaxKeys/(2*n) >= minShard {
		n, s.shift = 2*n, s.shift-1
	}
	s.shards = make([]shard, n)
	for i := range s.shards {
		s.shards[i].maxKeys, s.shards[i].maxBytes = opts.MaxKeys/n, opts.MaxBytes/n
	}
	return s, nil
}

func (s *Set) shard(hash uint64) *shard { return &s.shards[hash>>s.shift] }

// Get returns what is remembered under key, or nil. An entry past Fresh, or past Gone, is none. The entry may
// have been invalidated meanwhile: that is for the caller to judge, as with any other store.
func (s *Set) Get(key string) *store.Entry {
	if len(s.shards) == 0 {
		return nil
	}
	h := maphash.String(s.seed, key)
	return s.use(find(s.shard(h), h, key))
}

// GetBorrowed is Get for a key whose memory belongs to the caller: it is only read, and not after the call.
func (s *Set) GetBorrowed(key []byte) *store.Entry {
	if len(s.shards) == 0 {
		return nil
	}
	h := maphash.Bytes(s.seed, key)
	return s.use(find(s.shard(h), h, key))
}

func (s *Set) use(n *node) *store.Entry {
	if n == nil {
		return nil
	}
	e := n.entry.Load()
	if !live(e, s.now()) {
		return nil
	}
	if !n.visited.Load() { // else the line stays shared between CPUs
		n.visited.Store(true)
	}
	return e
}

// Set remembers that there is nothing under key, in the words of e: its Times, Stamp and Tags. It takes
// ownership of e. An entry that is not fresh any more, or too heavy, only removes what was there.
func (s *Set) Set(key string, e *store.Entry) {
	if len(s.shards) == 0 {
		return
	}
	h := maphash.String(s.seed, key)
	s.shard(h).set(h, key, e, s.now())
}

// Delete forgets the keys, and reports whether any of them was remembered and fresh.
func (s *Set) Delete(keys ...string) bool {
	was := false
	if len(s.shards) == 0 {
		return was
	}
	for _, key := range keys {
		h := maphash.String(s.seed, key)
		// Writers call this for every key, and hardly any is here: one that is not takes no lock.
		if sh := s.shard(h); find(sh, h, key) != nil && sh.delete(h, key, s.now()) {
			was = true
		}
	}
	return was
}

// DeleteFunc forgets every key for which match is true, and returns how many of them were fresh. Keys that are
// set while it runs may or may not stay. match must not call the set.
func (s *Set) DeleteFunc(match func(key string) bool) int {
	n := 0
	for i := range s.shards {
		n += s.shards[i].deleteFunc(match, s.now())
	}
	return n
}

// Clear is DeleteFunc for every key that begins with prefix; "" means all.
func (s *Set) Clear(prefix string) {
	s.DeleteFunc(func(key string) bool { return strings.HasPrefix(key, prefix) })
}

// Len returns how many keys are held, at most Options.MaxKeys. Those that are not fresh any more count until
// they make room for others.
func (s *Set) Len() int {
	n := 0
	for i := range s.shards {
		n += s.shards[i].size()
	}
	return n
}

// live reports whether e still says that there is nothing. A stale null is of no use to anybody.
func live(e *store.Entry, now int64) bool { return e.IsFresh(now) && !e.IsGone(now) }
