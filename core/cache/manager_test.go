package cache_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/store"
)

// closing counts how often it is closed, and fails.
type closing struct {
	store.Store
	err    error
	closed int
}

func (c *closing) Close() error { c.closed++; return errors.Join(c.Store.Close(), c.err) }

func TestManager(t *testing.T) {
	boom, bang := errors.New("boom"), errors.New("bang")
	stores := map[string]*closing{
		"default": {Store: memory(t)}, "a": {Store: memory(t), err: boom}, "z": {Store: memory(t), err: bang},
	}
	caches := map[string]*cache.Cache{}
	for name, st := range stores {
		caches[name] = cache.Must(cache.New(st, cache.Options{Name: name}))
	}
	m, err := cache.NewManager(caches)
	must(t, err)
	delete(caches, "a") // the map is the caller's again

	var names []string
	for name, c := range m.All() {
		names = append(names, name)
		want(t, c)(m.Get(name))
		if c.Name() != name {
			t.Errorf("%q is called %q", name, c.Name())
		}
	}
	if !slices.Equal(names, []string{"a", "default", "z"}) {
		t.Errorf("names %q", names)
	}
	for range m.All() {
		break
	}
	if c, err := m.Get("default"); err != nil || c != m.Default() {
		t.Errorf("default: %v, %v", c, err)
	}
	_, err = m.Get("nobody")
	if !errors.Is(err, cache.ErrUnknownCache) || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("got %v", err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			err := m.Close()
			if !errors.Is(err, boom) || !errors.Is(err, bang) || !strings.Contains(err.Error(), `"z"`) {
				t.Errorf("close: %v", err)
			}
		})
	}
	wg.Wait()
	for name, st := range stores {
		if st.closed != 1 {
			t.Errorf("%q was closed %d times", name, st.closed)
		}
	}
}

func TestManagerIsChecked(t *testing.T) {
	c := open(t, memory(t), cache.Options{})
	for name, caches := range map[string]map[string]*cache.Cache{
		"nil":         nil,
		"no default":  {"other": c},
		"nil default": {"default": nil},
		"nil cache":   {"default": c, "other": nil},
		"empty name":  {"default": c, "": c},
	} {
		if _, err := cache.NewManager(caches); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	m, err := cache.NewManager(map[string]*cache.Cache{"default": c, "same": c, "v2": c.WithVersion(2)})
	must(t, err)
	must(t, m.Close())
}
