package cache

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
)

// DefaultAlias is the name that every Manager has a cache for.
const DefaultAlias = "default"

// Manager holds the caches of a program by name: Django's caches. It is immutable and safe for concurrent
// use.
type Manager struct {
	caches  map[string]*Cache
	aliases []string // sorted
	close   func() error
}

// NewManager returns a manager of the given caches, one of which must be called "default". It owns them
// from then on: Close closes them. The map is copied. One cache may have several names.
func NewManager(caches map[string]*Cache) (*Manager, error) {
	if caches[DefaultAlias] == nil {
		return nil, fmt.Errorf("cache: NewManager: there is no cache called %q", DefaultAlias)
	}
	m := &Manager{caches: maps.Clone(caches), aliases: slices.Sorted(maps.Keys(caches))}
	for _, alias := range m.aliases {
		if alias == "" {
			return nil, errors.New("cache: NewManager: a name is empty")
		}
		if caches[alias] == nil {
			return nil, fmt.Errorf("cache: NewManager: cache %q is nil", alias)
		}
	}
	m.close = sync.OnceValue(m.closeAll)
	return m, nil
}

// Get returns the cache called alias: the same one each time. errors.Is finds ErrUnknownCache where there
// is none.
func (m *Manager) Get(alias string) (*Cache, error) {
	if c := m.caches[alias]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("%w: %q", ErrUnknownCache, alias)
}

// Default returns the cache called "default".
func (m *Manager) Default() *Cache { return m.caches[DefaultAlias] }

// All yields the names and caches in the order of the names.
func (m *Manager) All() iter.Seq2[string, *Cache] {
	return func(yield func(string, *Cache) bool) {
		for _, alias := range m.aliases {
			if !yield(alias, m.caches[alias]) {
				return
			}
		}
	}
}

// Close closes all caches, also where some fail, and returns their errors joined. Later calls do nothing
// and return the same.
func (m *Manager) Close() error { return m.close() }

func (m *Manager) closeAll() error {
	var errs []error
	for alias, c := range m.All() {
		if err := c.Close(); err != nil {
			errs = append(errs, fmt.Errorf("cache: close %q: %w", alias, err))
		}
	}
	return errors.Join(errs...)
}
