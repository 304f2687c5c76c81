package mirror

import (
	"hash/maphash"
	"sync"

	"github.com/strata-cache/strata/core/store"
)

// mark is what is known about one name. Of a key, hard is its last invalidation and soft the last change
// that its dependents see, which is never earlier; of a tag, hard is its last invalidation and soft the last
// expiry.
type mark struct {
	hard, soft store.Position
	token      store.Token
}

const tableShards = 64

// table remembers marks, and forgets the oldest where there are too many. It has one writer at a time.
type table struct {
	seed   maphash.Seed
	limit  int // of a shard
	shards [tableShards]tableShard
}

type tableShard struct {
	mu    sync.RWMutex
	marks map[string]*node
	// oldest and newest are the ends of a list in the order of the last change.
	oldest, newest *node
	_              [16]byte
}

type node struct {
	mark
	name       string
	prev, next *node
}

func newTable(names int) *table {
	t := &table{seed: maphash.MakeSeed(), limit: max(1, (names+tableShards-1)/tableShards)}
	for i := range t.shards {
		t.shards[i].marks = make(map[string]*node)
	}
	return t
}

func (t *table) shard(name string) *tableShard {
	return &t.shards[maphash.String(t.seed, name)%tableShards]
}

func (t *table) get(name string) (mark, bool) {
	s := t.shard(name)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if n := s.marks[name]; n != nil {
		return n.mark, true
	}
	return mark{}, false
}

// forgets returns the latest position of what set will have to forget to make room for name. Readers must
// know it before the mark is gone.
func (t *table) forgets(name string) (at store.Position) {
	s := t.shard(name)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.marks[name] == nil && len(s.marks) >= t.limit {
		at = later(s.oldest.hard, s.oldest.soft)
	}
	return at
}

// set adds k to what is known about name; positions that are not later than those known change nothing, but
// for the token of the same one.
func (t *table) set(name string, k mark) {
	s := t.shard(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.marks[name]
	if n == nil {
		if len(s.marks) >= t.limit {
			old := s.oldest
			s.unlink(old)
			delete(s.marks, old.name)
		}
		n = &node{name: name}
		s.marks[name] = n
	} else {
		s.unlink(n)
	}
	s.append(n)
	if !k.hard.IsZero() && !before(k.hard, n.hard) {
		n.hard, n.token = k.hard, k.token
	}
	n.soft = later(n.soft, k.soft)
}

func (s *tableShard) append(n *node) {
	n.prev, n.next = s.newest, nil
	if s.newest != nil {
		s.newest.next = n
	} else {
		s.oldest = n
	}
	s.newest = n
}

func (s *tableShard) unlink(n *node) {
	if n.prev != nil {
		n.prev.next = n.next
	} else {
		s.oldest = n.next
	}
	if n.next != nil {
		n.next.prev = n.prev
	} else {
		s.newest = n.prev
	}
}
