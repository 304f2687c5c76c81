package negative

import (
	"math/bits"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/strata-cache/strata/core/store"
)

const (
	maxShards = 16
	// minShard is how many keys a shard is worth having for.
	minShard = 128
)

// shard is one part of a set: a hash table of fixed size, which readers walk without a lock, and the queue of
// its nodes.
type shard struct {
	table atomic.Pointer[table] // nil until something is set
	_     [56]byte              // readers do not wait for the cache line of the lock

	mu                sync.Mutex
	maxKeys, maxBytes int
	keys, bytes       int
	newest, oldest    *node
	hand              *node // where the search for a victim goes on; nil: at the oldest
	ghosts            ghosts
}

// table holds chains of nodes. A node is only ever inserted at the head of a chain, and keeps its own pointer
// when it is unlinked: a reader that stands on it still finds everything behind it.
type table []atomic.Pointer[node]

func (t table) chain(hash uint64) *atomic.Pointer[node] { return &t[hash&uint64(len(t)-1)] }

type node struct {
	hash    uint64
	next    atomic.Pointer[node] // in its chain
	entry   atomic.Pointer[store.Entry]
	visited atomic.Bool // asked for since the hand has last passed
	key     string

	newer, older *node
	bytes        int
}

// find returns the node of key, or nil. It needs no lock.
func find[K string | []byte](s *shard, hash uint64, key K) *node {
	t := s.table.Load()
	if t == nil {
		return nil
	}
	n := t.chain(hash).Load()
	for n != nil && (n.hash != hash || n.key != string(key)) {
		n = n.next.Load()
	}
	return n
}

func (s *shard) set(hash uint64, key string, e *store.Entry, now int64) {
	weight := e.Weight(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	n := find(s, hash, key)
	switch {
	case !live(e, now) || weight > min(maxWeight, s.maxBytes):
		if n != nil {
			s.remove(n)
		}
	case n != nil:
		s.bytes += weight - n.bytes
		n.bytes = weight
		n.entry.Store(e)
		n.visited.Store(true)
		s.shrink(s.maxKeys, s.maxBytes, now)
	default:
		// The key may be part of something larger.
		n = &node{hash: hash, key: strings.Clone(key), bytes: weight}
		n.entry.Store(e)
		s.insert(n, now)
	}
}

func (s *shard) insert(n *node, now int64) {
	t := s.table.Load()
	if t == nil {
		size := 1 << bits.Len(uint(s.maxKeys))
		made := make(table, size)
		t = &made
		s.ghosts = make(ghosts, ghostsPerKey*size)
		s.table.Store(t)
	}
	n.visited.Store(s.ghosts.has(n.hash))
	s.shrink(s.maxKeys-1, s.maxBytes-n.bytes, now)
	n.older = s.newest
	if s.newest != nil {
		s.newest.newer = n
	} else {
		s.oldest = n
	}
	s.newest = n
	s.keys++
	s.bytes += n.bytes
	head := t.chain(n.hash)
	n.next.Store(head.Load())
	head.Store(n)
}

// shrink evicts until the shard has no more than that.
func (s *shard) shrink(keys, bytes int, now int64) {
	for s.keys > 0 && (s.keys > keys || s.bytes > bytes) {
		n := s.victim(now)
		s.ghosts.put(n.hash)
		s.remove(n)
	}
}

// victim moves the hand to the first node that nobody has asked for since it came by, and that is to go.
func (s *shard) victim(now int64) *node {
	n := s.hand
	for range s.keys { // readers may set again behind the hand what it clears
		if n == nil {
			n = s.oldest
		}
		if !n.visited.Load() || !live(n.entry.Load(), now) {
			break
		}
		n.visited.Store(false)
		n = n.newer
	}
	if n == nil {
		n = s.oldest
	}
	s.hand = n
	return n
}

// remove unlinks n. Readers that have found it before may still use it.
func (s *shard) remove(n *node) {
	link := s.table.Load().chain(n.hash)
	for link.Load() != n {
		link = &link.Load().next
	}
	link.Store(n.next.Load())

	if s.hand == n {
		s.hand = n.newer
	}
	if n.newer != nil {
		n.newer.older = n.older
	} else {
		s.newest = n.older
	}
	if n.older != nil {
		n.older.newer = n.newer
	} else {
		s.oldest = n.newer
	}
	s.keys--
	s.bytes -= n.bytes
}

func (s *shard) delete(hash uint64, key string, now int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := find(s, hash, key)
	if n == nil {
		return false
	}
	was := live(n.entry.Load(), now)
	s.remove(n)
	return was
}

func (s *shard) deleteFunc(match func(key string) bool, now int64) (fresh int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := s.oldest; n != nil; {
		next := n.newer
		if match(n.key) {
			if live(n.entry.Load(), now) {
				fresh++
			}
			s.remove(n)
		}
		n = next
	}
	return fresh
}

func (s *shard) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys
}
