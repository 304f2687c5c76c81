package tiered_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/strata-cache/strata/core/store"
)

// history is what may be read under one key: the last acknowledged state, and what failed writes since may
// have left. "" is a miss.
type history struct{ may []string }

func (h *history) acknowledged(value string) { h.may = []string{value} }
func (h *history) failed(value string)       { h.may = append(h.may, value) }

// wrote takes note of a write of value.
func (h *history) wrote(value string, err error) {
	if err == nil {
		h.acknowledged(value)
	} else {
		h.failed(value)
	}
}

// model is a store over tiers that fail at random, and what may be read from it.
type model struct {
	*three
	keys    map[string]*history
	chance  int // of a failure, in percent
	written int
}

func (m *model) of(key string) *history {
	if m.keys[key] == nil {
		m.keys[key] = &history{may: []string{""}}
	}
	return m.keys[key]
}

func (m *model) next() *store.Entry {
	m.written++
	return entry(fmt.Sprint("v", m.written))
}

func (m *model) check(t *rapid.T, key string, e *store.Entry, err error) {
	switch {
	case e == nil && errors.Is(err, errChaos):
	case e == nil && err != nil && !errors.Is(err, store.ErrMiss):
		t.Fatalf("%q: %v", key, err)
	case !slices.Contains(m.of(key).may, valueOf(e)):
		t.Fatalf("%q is %q, may be %q", key, valueOf(e), m.of(key).may)
	}
}

func valueOf(e *store.Entry) string {
	if e == nil {
		return ""
	}
	return string(e.Value)
}

// actions are the operations, each with what the model says about it.
func (m *model) actions() map[string]func(*rapid.T) {
	key := func(t *rapid.T) string { return rapid.SampledFrom([]string{"a:1", "a:2", "b:1"}).Draw(t, "key") }
	return map[string]func(*rapid.T){
		"Set": func(t *rapid.T) {
			k, e := key(t), m.next()
			m.of(k).wrote(string(e.Value), m.Set(ctx, k, e))
		},
		"SetMany": func(t *rapid.T) {
			items := []store.Item{{Key: "a:1", Entry: m.next()}, {Key: "b:1", Entry: m.next()}}
			failed, err := m.SetMany(ctx, items)
			if (err == nil) != (len(failed) == 0) {
				t.Fatalf("SetMany: failed %q, %v", failed, err)
			}
			for _, it := range items {
				if slices.Contains(failed, it.Key) {
					m.of(it.Key).failed(string(it.Entry.Value))
				} else {
					m.of(it.Key).acknowledged(string(it.Entry.Value))
				}
			}
		},
		"Add": func(t *rapid.T) {
			k, e := key(t), m.next()
			ok, err := m.Add(ctx, k, e)
			switch {
			case err != nil:
				m.of(k).failed(string(e.Value))
				m.of(k).failed("")
			case ok:
				if !slices.Contains(m.of(k).may, "") {
					t.Fatalf("Add replaces one of %q", m.of(k).may)
				}
				m.of(k).acknowledged(string(e.Value))
			}
		},
		"Delete": func(t *rapid.T) {
			k := key(t)
			_, err := m.Delete(ctx, k)
			m.of(k).wrote("", err)
		},
		"Clear": func(t *rapid.T) {
			prefix := rapid.SampledFrom([]string{"", "a:", "c"}).Draw(t, "prefix")
			err := m.Clear(ctx, prefix)
			for k := range m.keys {
				if strings.HasPrefix(k, prefix) {
					m.of(k).wrote("", err)
				}
			}
		},
		"Touch": func(t *rapid.T) {
			k := key(t)
			seen, err := m.Get(ctx, k)
			m.check(t, k, seen, err)
			if seen != nil {
				_, _ = m.Touch(ctx, k, seen, lifetime(time.Hour, 3*time.Hour)) // the value stays in any case
			}
		},
		"Get": func(t *rapid.T) {
			k := key(t)
			e, err := m.Get(ctx, k)
			m.check(t, k, e, err)
		},
		"GetMany": func(t *rapid.T) {
			keys := []string{"a:1", "b:1", "a:2", "a:1"}
			entries, err := m.GetMany(ctx, keys)
			for i, e := range entries {
				m.check(t, keys[i], e, err)
			}
		},
		"evict": func(t *rapid.T) { // a tier forgets what those below it have
			k, n := key(t), rapid.IntRange(1, 2).Draw(t, "tiers")
			for _, s := range []store.Store{m.l1, m.l2.Store}[:n] {
				if _, err := s.Delete(ctx, k); err != nil {
					t.Fatal(err)
				}
			}
		},
		"chance": func(t *rapid.T) {
			m.chance = rapid.SampledFrom([]int{0, 0, 10, 50}).Draw(t, "percent")
		},
		"": func(t *rapid.T) {
			for k := range m.keys {
				if e := m.Peek([]byte(k)); e != nil {
					m.check(t, k, e, nil)
				}
			}
		},
	}
}

// TestReadsAreAcknowledged: whatever fails and is forgotten, a read is the last acknowledged write, a failed
// one after it, or a failure.
func TestReadsAreAcknowledged(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{three: newThree(t), keys: map[string]*history{}}
		decide := func(op string) fault {
			switch n := rapid.IntRange(0, 99).Draw(rt, op); {
			case n >= m.chance:
				return fine
			case n%2 == 0:
				return after
			default:
				return before
			}
		}
		m.l2.decide, m.l3.decide = decide, decide
		rt.Repeat(m.actions())
		m.l2.decide, m.l3.decide = nil, nil
		must(t, m.Close())
	})
}
