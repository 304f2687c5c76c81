package cache_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/store"
)

// model is what the verbs should do, on a map. A value is an int64 (a counter), a string, or nil.
type model struct {
	*cache.Cache // version 1
	v2           *cache.Cache
	now          time.Duration
	values       map[modelKey]modelValue
}

type modelKey struct {
	version int
	key     string
}

type modelValue struct {
	v      any
	absent bool          // a remembered ErrNotFound
	ends   time.Duration // cache.Forever: never
}

func (m *model) live(k modelKey) (modelValue, bool) {
	v, ok := m.values[k]
	if ok && v.ends <= m.now {
		delete(m.values, k)
		return modelValue{}, false
	}
	return v, ok
}

func (m *model) value(k modelKey) (any, bool) {
	v, ok := m.live(k)
	return v.v, ok && !v.absent
}

func (m *model) ends(ttl time.Duration) time.Duration {
	switch ttl {
	case 0:
		ttl = modelTTL
	case cache.Forever:
		return cache.Forever
	}
	return m.now + ttl
}

const (
	modelTTL    = 10*time.Second + 500*time.Millisecond
	modelNegTTL = 3*time.Second + 500*time.Millisecond
)

func (m *model) cache(version int) *cache.Cache {
	if version == 2 {
		return m.v2
	}
	return m.Cache
}

// get reads k with the type that it has.
func (m *model) get(t *rapid.T, k modelKey) {
	c := m.cache(k.version)
	wanted, ok := m.live(k)
	var got any
	var err error
	switch wanted.v.(type) {
	case int64:
		got, err = asAny(cache.Get[int64](ctx, c, k.key))
	case string:
		got, err = asAny(cache.Get[string](ctx, c, k.key))
	default:
		var p *string
		if p, err = cache.Get[*string](ctx, c, k.key); p != nil {
			got = *p
		}
	}
	switch {
	case wanted.absent && errors.Is(err, cache.ErrNotFound), !ok && errors.Is(err, cache.ErrMiss):
	case !ok || wanted.absent || err != nil || got != wanted.v:
		t.Fatalf("get %v: %v, %v; want %v", k, got, err, wanted)
	}
}

func asAny[V any](v V, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return v, nil
}

func (m *model) set(k modelKey, v any, ttl time.Duration) error {
	c, opt := m.cache(k.version), cache.TTL(ttl)
	switch v := v.(type) {
	case int64:
		return cache.Set(ctx, c, k.key, v, opt)
	case string:
		return cache.Set(ctx, c, k.key, v, opt)
	default:
		return cache.Set[*string](ctx, c, k.key, nil, opt)
	}
}

func (m *model) put(k modelKey, v any, ttl time.Duration) {
	if ttl < 0 {
		delete(m.values, k)
	} else {
		m.values[k] = modelValue{v: v, ends: m.ends(ttl)}
	}
}

// inBubble hides the test's Deadline, which must not be asked for under fake time.
type inBubble struct{ rapid.TB }

func TestModel(t *testing.T) {
	everyStoreInBubble(t, func(t *testing.T, st store.Store) {
		opts := steady()
		opts.Policy.TTL, opts.Policy.NegativeTTL = modelTTL, modelNegTTL
		opts.Policy.StaleFor = -1
		c := open(t, st, opts)
		drawKey := func(t *rapid.T) modelKey {
			return modelKey{rapid.IntRange(1, 2).Draw(t, "version"), rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key")}
		}
		drawTTL := func(t *rapid.T) time.Duration {
			return rapid.SampledFrom([]time.Duration{0, 500 * time.Millisecond, 2500 * time.Millisecond, 20500 * time.Millisecond, cache.Forever, -1}).Draw(t, "ttl")
		}
		drawValue := func(t *rapid.T) any {
			return rapid.OneOf(rapid.Int64Range(-5, 5).AsAny(), rapid.StringN(0, 3, -1).AsAny(), rapid.Just[any](nil)).Draw(t, "value")
		}
		rapid.Check(inBubble{t}, func(t *rapid.T) {
			if err := errors.Join(c.Clear(ctx), c.WithVersion(2).Clear(ctx)); err != nil {
				t.Fatal(err)
			}
			m := &model{Cache: c, v2: c.WithVersion(2), values: map[modelKey]modelValue{}}
			is := func(what string, got, wanted any, err error) {
				if err != nil || got != wanted {
					t.Fatalf("%s: %v, %v; want %v", what, got, err, wanted)
				}
			}
			t.Repeat(map[string]func(*rapid.T){
				"": func(t *rapid.T) {
					for _, version := range []int{1, 2} {
						for _, key := range []string{"a", "b", "c"} {
							m.get(t, modelKey{version, key})
						}
					}
				},
				"advance": func(t *rapid.T) {
					d := time.Duration(rapid.IntRange(1, 6).Draw(t, "seconds")) * time.Second
					sleep(d)
					synctest.Wait()
					m.now += d
				},
				"set": func(t *rapid.T) {
					k, v, ttl := drawKey(t), drawValue(t), drawTTL(t)
					is("set", nil, nil, m.set(k, v, ttl))
					m.put(k, v, ttl)
				},
				"set many": func(t *rapid.T) {
					k, ttl := drawKey(t), drawTTL(t)
					failed, err := cache.SetMany(ctx, m.cache(k.version), map[string]string{"a": "m", k.key: "n"}, cache.TTL(ttl))
					is("set many", len(failed), 0, err)
					m.put(modelKey{k.version, "a"}, "m", ttl)
					m.put(k, "n", ttl)
				},
				"add": func(t *rapid.T) {
					k, ttl := drawKey(t), drawTTL(t)
					_, has := m.value(k)
					got, err := cache.Add(ctx, m.cache(k.version), k.key, "added", cache.TTL(ttl))
					is("add", got, !has, err)
					if !has && ttl >= 0 {
						m.put(k, "added", ttl)
					}
				},
				"delete": func(t *rapid.T) {
					k := drawKey(t)
					_, has := m.live(k)
					got, err := m.cache(k.version).Delete(ctx, k.key)
					is("delete", got, has, err)
					delete(m.values, k)
				},
				"has": func(t *rapid.T) {
					k := drawKey(t)
					_, has := m.value(k)
					got, err := m.cache(k.version).Has(ctx, k.key)
					is("has", got, has, err)
				},
				"touch": func(t *rapid.T) {
					k, ttl := drawKey(t), drawTTL(t)
					v, has := m.value(k)
					got, err := m.cache(k.version).Touch(ctx, k.key, ttl)
					is("touch", got, has, err)
					if has {
						m.put(k, v, ttl)
					}
				},
				"ttl": func(t *rapid.T) {
					k := drawKey(t)
					got, err := m.cache(k.version).TTL(ctx, k.key)
					_, has := m.value(k)
					switch {
					case !has && errors.Is(err, cache.ErrMiss):
					case has && m.values[k].ends == cache.Forever:
						is("ttl", got, cache.Forever, err)
					default:
						is("ttl", got, m.values[k].ends-m.now, err)
					}
				},
				"incr": func(t *rapid.T) {
					k, delta := drawKey(t), rapid.Int64Range(-3, 3).Draw(t, "delta")
					v, has := m.value(k)
					n, integer := v.(int64)
					create := rapid.Bool().Draw(t, "create")
					var got int64
					var err error
					if create {
						got, err = m.cache(k.version).IncrOrInit(ctx, k.key, delta)
					} else {
						got, err = m.cache(k.version).Decr(ctx, k.key, -delta)
					}
					switch {
					case !has && create:
						is("incr", got, delta, err)
						m.put(k, delta, 0)
					case !has && errors.Is(err, cache.ErrMiss):
					case has && !integer && errors.Is(err, cache.ErrNotInteger):
					default:
						is("incr", got, n+delta, err)
						m.values[k] = modelValue{v: n + delta, ends: m.values[k].ends}
					}
				},
				"bump": func(t *rapid.T) {
					k := drawKey(t)
					_, has := m.value(k)
					to := modelKey{3 - k.version, k.key}
					got, err := m.cache(k.version).BumpVersion(ctx, k.key, to.version-k.version)
					if !has && errors.Is(err, cache.ErrMiss) {
						return
					}
					is("bump", got, to.version, err)
					m.values[to] = m.values[k]
					delete(m.values, k)
				},
				"fetch": func(t *rapid.T) {
					k, ttl := drawKey(t), drawTTL(t)
					v, live := m.live(k)
					absent := rapid.Bool().Draw(t, "absent")
					s, ok := v.v.(string)
					got, err := cache.Fetch(ctx, m.cache(k.version), k.key, func(context.Context) (string, error) {
						if absent {
							return "", cache.ErrNotFound
						}
						return "loaded", nil
					}, cache.TTL(ttl))
					if n, isInt := v.v.(int64); isInt { // a counter reads as a string, in decimal
						s, ok = strconv.FormatInt(n, 10), true
					}
					switch {
					case live && !v.absent && ok:
						is("fetch", got, s, err)
					case live && v.absent, absent:
						if !errors.Is(err, cache.ErrNotFound) {
							t.Fatalf("fetch: %v, %v", got, err)
						}
						if !live || !v.absent {
							m.values[k] = modelValue{absent: true, ends: m.now + modelNegTTL}
						}
					default:
						is("fetch", got, "loaded", err)
						if ttl >= 0 {
							m.put(k, "loaded", ttl)
						}
					}
				},
				"get many": func(t *rapid.T) {
					version := rapid.IntRange(1, 2).Draw(t, "version")
					wanted := map[string]string{}
					for _, key := range []string{"a", "b", "c"} {
						v, _ := m.value(modelKey{version, key})
						switch v := v.(type) {
						case string:
							wanted[key] = v
						case int64:
							wanted[key] = strconv.FormatInt(v, 10)
						}
					}
					got, err := cache.GetMany[string](ctx, m.cache(version), "a", "b", "c", "none", "a")
					if err != nil || !maps.Equal(got, wanted) {
						t.Fatalf("get many: %v, %v; want %v", got, err, wanted)
					}
				},
				"clear": func(t *rapid.T) {
					version := rapid.IntRange(1, 2).Draw(t, "version")
					is("clear", nil, nil, m.cache(version).Clear(ctx))
					maps.DeleteFunc(m.values, func(k modelKey, _ modelValue) bool { return k.version == version })
				},
				"delete pattern": func(t *rapid.T) {
					version := rapid.IntRange(1, 2).Draw(t, "version")
					wanted := 0
					for _, key := range []string{"a", "b"} {
						if _, ok := m.live(modelKey{version, key}); ok {
							wanted++
						}
						delete(m.values, modelKey{version, key})
					}
					got, err := m.cache(version).DeletePattern(ctx, "[ab]")
					is("delete pattern", got, wanted, err)
				},
				"keys": func(t *rapid.T) {
					k := drawKey(t)
					found := map[string]bool{}
					for key, err := range m.cache(k.version).Keys(ctx, "*") {
						is("keys", nil, nil, err)
						found[key] = true
					}
					for _, key := range []string{"a", "b", "c"} {
						if _, ok := m.value(modelKey{k.version, key}); ok && !found[key] {
							t.Fatalf("%q is not among the keys %q", key, slices.Sorted(maps.Keys(found)))
						}
					}
				},
			})
		})
	})
}
