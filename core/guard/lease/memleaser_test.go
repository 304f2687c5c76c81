package lease_test

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/strata-cache/strata/core/store"
)

// memory is a Leaser and Locker in memory, as a store shared by several Leases. Its time is that of the
// bubble.
type memory struct {
	mu      sync.Mutex
	entries map[string]*store.Entry
	leases  map[string]*memLease
	locks   map[string]*memLock
	fences  map[string]int64
	nodes   map[string]*memNode
	calls   map[string]int
	grants  int

	// All of these are set before use.
	keyOnly bool // wake-ups do not bring the entry
	deaf    bool // wake-ups are never sent
	// before and after are asked for an error by each call, before and after it has done its work.
	before, after func(op string) error
}

type memLease struct {
	token  string
	result store.LeaseResult // not LeaseHeld: a back-off
	until  time.Time
	nodes  map[string]bool
}

type memLock struct {
	token string
	until time.Time
	nodes map[string]bool
}

type memNode struct {
	wakes chan store.Wake
	cut   chan error
}

var errCut = errors.New("memory: the connection was cut")

func newMemory() *memory {
	return &memory{
		entries: make(map[string]*store.Entry), leases: make(map[string]*memLease),
		locks: make(map[string]*memLock), fences: make(map[string]int64),
		nodes: make(map[string]*memNode), calls: make(map[string]int),
	}
}

// call locks; done unlocks.
func (m *memory) call(ctx context.Context, op string) (done func(*error), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	m.calls[op]++
	if m.before != nil {
		if err := m.before(op); err != nil {
			m.mu.Unlock()
			return nil, err
		}
	}
	return func(err *error) {
		if m.after != nil && *err == nil {
			*err = m.after(op)
		}
		m.mu.Unlock()
	}, nil
}

func (m *memory) count(op string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls[op]
}

func (m *memory) granted() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.grants
}

// lease returns the live lease or back-off on key.
func (m *memory) lease(key string) *memLease {
	if l := m.leases[key]; l != nil && time.Now().Before(l.until) {
		return l
	}
	delete(m.leases, key)
	return nil
}

func (m *memory) held(key, token string) *memLease {
	if l := m.lease(key); l != nil && l.result == store.LeaseHeld && l.token == token {
		return l
	}
	return nil
}

// drop removes key and the lease on it, as an invalidation or an eviction does.
func (m *memory) drop(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.entries, key)
	delete(m.leases, key)
	delete(m.locks, key)
}

func (m *memory) put(key string, e *store.Entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries[key] = e
}

func (m *memory) Lease(ctx context.Context, key string, r store.LeaseRequest) (got store.Lease, err error) {
	done, err := m.call(ctx, "Lease")
	if err != nil {
		return got, err
	}
	defer done(&err)
	if e := m.entries[key]; e != nil && (r.Seen == nil || e.Created != r.Seen.Created || e.Stamp != r.Seen.Stamp) {
		return store.Lease{Entry: e}, nil
	}
	if l := m.lease(key); l != nil {
		if r.Node != "" && l.result == store.LeaseHeld {
			l.nodes[r.Node] = true
		}
		return store.Lease{Result: l.result, Left: time.Until(l.until)}, nil
	}
	m.leases[key] = &memLease{token: r.Token, until: time.Now().Add(r.TTL), nodes: map[string]bool{}}
	m.grants++
	return store.Lease{Granted: true}, nil
}

func (m *memory) SetLeased(ctx context.Context, key, token string, e *store.Entry) (ok bool, err error) {
	done, err := m.call(ctx, "SetLeased")
	if err != nil {
		return false, err
	}
	defer done(&err)
	l := m.held(key, token)
	if l == nil {
		return false, nil
	}
	m.entries[key] = e
	delete(m.leases, key)
	wake := store.Wake{Key: key, Result: store.LeaseStored, Entry: e}
	if m.keyOnly {
		wake.Entry = nil
	}
	m.wake(l.nodes, wake)
	return true, nil
}

func (m *memory) RenewLease(ctx context.Context, key, token string, ttl time.Duration) (ok bool, err error) {
	done, err := m.call(ctx, "RenewLease")
	if err != nil {
		return false, err
	}
	defer done(&err)
	l := m.held(key, token)
	if l != nil {
		l.until = time.Now().Add(ttl)
	}
	return l != nil, nil
}

func (m *memory) ReleaseLease(ctx context.Context, key, token string, result store.LeaseResult, backOff time.Duration) (err error) {
	done, err := m.call(ctx, "ReleaseLease")
	if err != nil {
		return err
	}
	defer done(&err)
	l := m.held(key, token)
	if l == nil {
		return nil
	}
	delete(m.leases, key)
	if backOff > 0 {
		m.leases[key] = &memLease{result: result, until: time.Now().Add(backOff)}
	}
	m.wake(l.nodes, store.Wake{Key: key, Result: result, BackOff: backOff})
	return nil
}

func (m *memory) wake(nodes map[string]bool, w store.Wake) {
	for name := range nodes {
		if n := m.nodes[name]; n != nil && !m.deaf {
			n.wakes <- w
		}
	}
}

func (m *memory) Wakes(ctx context.Context, node string, ready func(), wake func(store.Wake)) error {
	done, err := m.call(ctx, "Wakes")
	if err != nil {
		return err
	}
	n := &memNode{wakes: make(chan store.Wake, 1000), cut: make(chan error, 1)}
	m.nodes[node] = n
	done(&err)
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.nodes, node)
	}()
	if err != nil {
		return err
	}
	ready()
	for {
		select {
		case w := <-n.wakes:
			wake(w)
		case err := <-n.cut:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// cut ends all connections for wake-ups.
func (m *memory) cut() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, n := range m.nodes {
		n.cut <- errCut
		delete(m.nodes, name)
	}
}

func (m *memory) listeners() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.nodes)
}

func (m *memory) Lock(ctx context.Context, name, token, node string, ttl time.Duration) (fence int64, left time.Duration, err error) {
	done, err := m.call(ctx, "Lock")
	if err != nil {
		return 0, 0, err
	}
	defer done(&err)
	if l := m.locks[name]; l != nil && time.Now().Before(l.until) {
		if node != "" {
			l.nodes[node] = true
		}
		return 0, time.Until(l.until), nil
	}
	m.fences[name]++
	m.locks[name] = &memLock{token: token, until: time.Now().Add(ttl), nodes: map[string]bool{}}
	return m.fences[name], 0, nil
}

func (m *memory) lock(name, token string) *memLock {
	if l := m.locks[name]; l != nil && l.token == token && time.Now().Before(l.until) {
		return l
	}
	return nil
}

func (m *memory) ExtendLock(ctx context.Context, name, token string, ttl time.Duration) (ok bool, err error) {
	done, err := m.call(ctx, "ExtendLock")
	if err != nil {
		return false, err
	}
	defer done(&err)
	l := m.lock(name, token)
	if l != nil {
		l.until = time.Now().Add(ttl)
	}
	return l != nil, nil
}

func (m *memory) Unlock(ctx context.Context, name, token string) (ok bool, err error) {
	done, err := m.call(ctx, "Unlock")
	if err != nil {
		return false, err
	}
	defer done(&err)
	l := m.lock(name, token)
	if l == nil {
		return false, nil
	}
	delete(m.locks, name)
	m.wake(l.nodes, store.Wake{Key: name, Result: store.LeaseFree})
	return true, nil
}

// leaserOnly hides that a store is a Locker.
type leaserOnly struct{ store.Leaser }
