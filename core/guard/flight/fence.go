package flight

import "context"

// A load that began before a write of its key may return what the write has replaced. The functions here
// keep its result from being stored over the write's: a writer calls Forget, or Hold around the write,
// and a load stores through Commit.

// commit is one load that is storing its result.
type commit[K comparable, V any] struct {
	call *Call[K, V]
	done chan struct{}
	next *commit[K, V] // another one of the same key
}

// Commit runs store, which makes the result of the load on ctx visible, and reports that it did. It does
// not if ctx is not that of the load for key, or if the load was forgotten, has timed out, or was left by
// all: nobody keeps track of such a load any more. A load that is forgotten while store runs should take
// back what it stored: see Forgotten.
func (g *Group[K, V]) Commit(ctx context.Context, key K, store func()) bool {
	l := g.inside(ctx)
	return l != nil && l.call.key == key && l.call.Commit(store)
}

// Commit is Group.Commit for the leader of a call.
func (c *Call[K, V]) Commit(store func()) bool {
	done, ok := c.Committing()
	if !ok {
		return false
	}
	defer done()
	store()
	return true
}

// Committing is Commit in two steps, for a leader of many calls that stores their results at once: where
// ok is true the result may be stored, and done must be called afterwards.
func (c *Call[K, V]) Committing() (done func(), ok bool) {
	s := c.group.shard(c.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.forgotten.Load() || s.calls[c.key] != c {
		return nil, false
	}
	if s.commits == nil {
		s.commits = make(map[K]*commit[K, V])
	}
	k := &commit[K, V]{call: c, done: make(chan struct{}), next: s.commits[c.key]}
	s.commits[c.key] = k
	return func() {
		s.mu.Lock()
		s.drop(c.key, k)
		s.mu.Unlock()
		close(k.done)
	}, true
}

func (s *shard[K, V]) drop(key K, k *commit[K, V]) {
	if s.commits[key] == k {
		if k.next == nil {
			delete(s.commits, key)
		} else {
			s.commits[key] = k.next
		}
		return
	}
	for at := s.commits[key]; at != nil; at = at.next {
		if at.next == k {
			at.next = k.next
			return
		}
	}
}

// Pending are commits that began before they could be prevented. A writer waits for them before it
// writes, or they may come after it. Nil is none.
type Pending []<-chan struct{}

// Wait returns nil when all have ended, or ctx.Err if ctx ends first.
func (p Pending) Wait(ctx context.Context) error {
	for _, done := range p {
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Forget makes the next caller of key start a load of its own, because what a running one returns is out
// of date: the key was invalidated. Those who wait already get their result; Commit refuses it. Loads
// that start after Forget are not affected.
func (g *Group[K, V]) Forget(key K) Pending {
	s := g.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.forget(key, nil)
}

// ForgetFunc is Forget for every running key for which match is true. match must not call the group.
func (g *Group[K, V]) ForgetFunc(match func(K) bool) (pending Pending) {
	for i := range g.shards {
		s := &g.shards[i]
		s.mu.Lock()
		for key := range s.commits {
			if match(key) {
				pending = s.forget(key, pending)
			}
		}
		for key := range s.calls {
			if match(key) {
				pending = s.forget(key, pending)
			}
		}
		s.mu.Unlock()
	}
	return pending
}

// Hold is Forget for a write: loads of key that start before Release are forgotten too, since what they
// read may be older than what is being written. Release must be called once for each Hold.
func (g *Group[K, V]) Hold(key K) Pending {
	s := g.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holds == nil {
		s.holds = make(map[K]int)
	}
	s.holds[key]++
	return s.forget(key, nil)
}

// Release ends a Hold.
func (g *Group[K, V]) Release(key K) {
	s := g.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holds[key]--; s.holds[key] <= 0 {
		delete(s.holds, key)
	}
	s.forget(key, nil) // a load that began during the hold
}

// forget is called with the shard's lock held.
func (s *shard[K, V]) forget(key K, pending Pending) Pending {
	if c := s.calls[key]; c != nil {
		c.forgotten.Store(true)
		delete(s.calls, key)
	}
	for k := s.commits[key]; k != nil; k = k.next {
		k.call.forgotten.Store(true)
		pending = append(pending, k.done)
	}
	return pending
}
