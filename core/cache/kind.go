package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/strata-cache/strata/core/codec"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/guard/keyrule"
)

// KindOptions configure a kind. Load may be missing in a kind that is filled by Set alone; everything
// else is optional.
type KindOptions[K comparable, V any] struct {
	// Policy is laid over the cache's: its zero fields take the cache's values.
	Policy Policy
	// Load makes the value for id. It returns ErrNotFound, or an error that wraps it, for what does not
	// exist. It runs on a context of its own (see Fetch) and may run concurrently for different ids.
	Load func(ctx context.Context, id K) (V, error)
	// LoadMany makes the values for several distinct ids at once; an id that is missing from its result
	// does not exist. Without it GetMany loads one by one, concurrently.
	LoadMany func(ctx context.Context, ids []K) (map[K]V, error)
	// Fallback makes simplified data for an id that is not cached: Get answers with it at once, and Load runs
	// in the background. It is not stored. GetMany does not use it.
	Fallback func(ctx context.Context, id K) (V, error)
	// Inherit says that a value depends on what its loader reads from the cache: it takes over the tags and
	// the remaining lifetime of what was read, and ends when that does.
	Inherit bool
	// Tags returns the labels of a value.
	Tags func(id K, v V) []string
	// Key writes an id as a string; distinct ids need distinct strings. Strings, integers and types made
	// of them need none.
	Key func(id K) string
	// ParseKey is the reverse of Key, for workers that get ids as strings: see Refresher. Kinds without Key
	// need none.
	ParseKey func(key string) (K, error)
	// KeyRule replaces the cache's. Its Schema sees the id as Key writes it.
	KeyRule *keyrule.Rule
	// Codec encodes the values. Default: the cache's.
	Codec codec.Codec
}

// Kind is one kind of value in a cache, with its own keys and policy: the typed way to use it. It is safe
// for concurrent use, and made once, at program start.
type Kind[K comparable, V any] struct {
	space  *Space
	opts   KindOptions[K, V]
	policy Policy
	rule   keyrule.Rule
	types  *valueType[V]
	append func([]byte, K) []byte
	parse  func(string) (K, error) // the reverse of append; nil: there is none
	// limit is the length up to which a key needs no check by the rule, because an id cannot hold anything
	// but digits; 0 where it can.
	limit int
	load  func(context.Context, K) (V, error) // nil: there is no loader
	loads *bulkhead
	whole call // the call without options
}

// NewKind returns the kind called name of c. Names follow NewSpace. The kind belongs to the version that
// c is a view of.
func NewKind[K comparable, V any](c *Cache, name string, opts KindOptions[K, V]) (*Kind[K, V], error) {
	return NewLayerKind(c, event.LayerObject, name, opts)
}

// NewLayerKind is NewKind for another layer than that of objects.
func NewLayerKind[K comparable, V any](c *Cache, layer event.Layer, name string, opts KindOptions[K, V]) (*Kind[K, V], error) {
	if c == nil {
		return nil, errors.New("cache: NewKind needs a cache")
	}
	k := &Kind[K, V]{opts: opts, rule: c.opts.Key, append: keyAppender(opts.Key), parse: keyParser(opts.Key, opts.ParseKey)}
	if k.append == nil {
		return nil, fmt.Errorf("cache: kind %q: KindOptions.Key must say how a %T becomes a string", name, *new(K))
	}
	if opts.KeyRule != nil {
		k.rule = *opts.KeyRule
	}
	if err := k.rule.Validate(); err != nil {
		return nil, fmt.Errorf("cache: kind %q: %w", name, err)
	}
	var err error
	if k.policy, err = opts.Policy.over(c.opts.Policy).resolve(); err != nil {
		return nil, fmt.Errorf("cache: kind %q: %w", name, err)
	}
	if opts.Codec == nil {
		opts.Codec = c.opts.Codec
	}
	k.types = newValueType[V](opts.Codec, k.policy.Shared)
	if check, ok := k.types.codec.(codec.TypeChecker); ok {
		if err := check.CheckType(reflect.TypeFor[V]()); err != nil {
			return nil, fmt.Errorf("cache: kind %q: %w", name, err)
		}
	}
	k.whole = k.policy.call(nil)
	k.loads = newBulkhead(&k.policy)
	if k.policy.Coalesce == Fleet && c.leases == nil {
		return nil, fmt.Errorf("cache: kind %q: %w", name, c.unsupported("Policy.Coalesce: Fleet", "store.Leaser"))
	}
	if opts.Load != nil || opts.LoadMany != nil {
		k.load = k.loadOne
	}
	if opts.Key == nil && k.rule.Schema == nil && reflect.TypeFor[K]().Kind() != reflect.String {
		k.limit = cmp.Or(k.rule.MaxLen, keyrule.DefaultMaxLen)
	}
	if err := roomFor(namespace(c.opts.Prefix, c.version)+name+":", k.rule); err != nil {
		return nil, fmt.Errorf("cache: kind %q: %w", name, err)
	}
	if k.space, err = c.NewSpace(name, layer); err != nil {
		return nil, err
	}
	return k, nil
}

// Get returns the value for id, from the cache or from Load. See Fetch for what happens on a miss; without
// a loader it is ErrMiss.
func (k *Kind[K, V]) Get(ctx context.Context, id K) (V, error) {
	shared, key, start, err := k.hit(ctx, id)
	if shared != nil {
		return k.types.own(*shared), nil
	}
	if err != nil {
		return *new(V), err
	}
	return k.miss(ctx, id, key, start, k.load, k.whole)
}

// Fetch is Get with a loader and options of this call.
func (k *Kind[K, V]) Fetch(ctx context.Context, id K, load func(context.Context, K) (V, error), opts ...CallOption) (V, error) {
	shared, key, start, err := k.hit(ctx, id)
	if shared != nil {
		return k.types.own(*shared), nil
	}
	if err != nil {
		return *new(V), err
	}
	return k.miss(ctx, id, key, start, load, k.policy.call(opts))
}

// Peek returns the fresh value for id, or ErrMiss, or ErrNotFound where that is remembered. It loads
// nothing.
func (k *Kind[K, V]) Peek(ctx context.Context, id K) (V, error) { return k.Fetch(ctx, id, nil) }

// hit returns the shared form of a fresh value, if that needs neither a store outside the process nor a
// codec, and allocates nothing. Otherwise it returns the final key, for miss.
func (k *Kind[K, V]) hit(ctx context.Context, id K) (shared *V, key string, start time.Time, err error) {
	s := k.space
	start = s.startTimer()
	buf := getKeyBuf()
	if buf.b, err = k.key(ctx, buf.b[:0], id); err != nil {
		buf.put()
		s.reportGet(ctx, "", event.OutcomeRejected, look{}, start, false)
		return nil, "", start, err
	}
	if e := s.quick(ctx, buf.b, k.load != nil); e != nil {
		if p := k.types.ready(e); p != nil {
			buf.put()
			if s.opts.Observer != nil {
				s.reportGet(ctx, "", event.OutcomeHit, look{entry: e, tier: 1}, start, false)
			}
			return p, "", start, nil
		}
	}
	key = string(buf.b)
	buf.put()
	return nil, key, start, nil
}

// miss is everything that hit cannot answer. It looks again, because what it finds must be what was there
// after it has asked for the epoch.
func (k *Kind[K, V]) miss(ctx context.Context, id K, key string, start time.Time, load func(context.Context, K) (V, error), c call) (V, error) {
	return get(ctx, k.plan(key, id, load, c), start)
}

func (k *Kind[K, V]) plan(key string, id K, load func(context.Context, K) (V, error), c call) *plan[V] {
	p := &plan[V]{
		space: k.space, types: k.types, policy: &k.policy, loads: k.loads, key: key,
		call: c, inherit: k.opts.Inherit,
	}
	if k.policy.Filter != nil {
		p.user = string(k.append(nil, id)) // the key may hold a digest of it
	}
	if k.opts.Fallback != nil {
		p.fallback = func(ctx context.Context) (V, error) { return k.opts.Fallback(ctx, id) }
	}
	if load == nil {
		return p
	}
	if k.space.opts.Fleet != nil && k.load != nil && k.parse != nil {
		p.fleetName, p.fleetArg = k.RefresherName(), string(k.append(nil, id))
	}
	p.load = func(ctx context.Context) (V, error) { return load(ctx, id) }
	if k.opts.Tags != nil {
		p.tags = func(v V) []string { return k.opts.Tags(id, v) }
	}
	return p
}

// Set stores v for id, as the function Set does, with the kind's policy and tags.
func (k *Kind[K, V]) Set(ctx context.Context, id K, v V, opts ...CallOption) error {
	start := time.Now()
	key, err := k.keyString(ctx, id)
	if err == nil {
		err = k.set(ctx, key, id, v, k.policy.call(opts))
	}
	k.space.Report(ctx, event.Call{Key: key, Op: event.OpSet, Outcome: outcomeOf(err), Took: time.Since(start)})
	return err
}

func (k *Kind[K, V]) set(ctx context.Context, key string, id K, v V, c call) error {
	if c.ttl < 0 {
		_, err := k.space.Remove(ctx, key)
		return err
	}
	// Not kept as it is: the caller may modify v afterwards.
	e, err := k.types.entry(v, false, false)
	if err != nil {
		return err
	}
	e.Tags, e.Priority = c.tags, k.policy.Priority
	if k.opts.Tags != nil {
		e.Tags = labels(c.tags, k.opts.Tags(id, v))
	}
	e.Times = lifetime(k.space.clock.milli(), k.policy.jittered(c.ttl), c.refresh, 0)
	return k.space.write(ctx, key, e)
}

// Delete removes the values for the ids and returns how many there were. Loads of them that run meanwhile
// are not stored.
func (k *Kind[K, V]) Delete(ctx context.Context, ids ...K) (int, error) {
	start := time.Now()
	keys := make([]string, len(ids))
	for i, id := range ids {
		var err error
		if keys[i], err = k.keyString(ctx, id); err != nil {
			return 0, err
		}
	}
	if len(keys) == 0 {
		return 0, nil
	}
	n, err := k.space.Remove(ctx, keys...)
	k.space.reportMany(ctx, event.OpDelete, n, len(ids), start, err)
	return n, err
}

// Clear removes all values of the kind.
func (k *Kind[K, V]) Clear(ctx context.Context) error { return k.space.Clear(ctx) }

// Name returns the kind's name.
func (k *Kind[K, V]) Name() string { return k.space.name }

func (k *Kind[K, V]) key(ctx context.Context, buf []byte, id K) ([]byte, error) {
	buf = append(buf, k.space.prefix...)
	buf = k.append(buf, id)
	if len(buf) <= k.limit {
		return buf, nil
	}
	var err error
	if k.rule.Schema != nil {
		if err = k.rule.Schema(string(buf[len(k.space.prefix):])); err != nil {
			err = fmt.Errorf("%w: %w", ErrRejected, err)
		}
	}
	if err == nil {
		buf, err = k.rule.Finish(buf, len(k.space.prefix))
	}
	if err != nil {
		k.space.rejected(ctx, k.space.name, err)
	}
	return buf, err
}

func (k *Kind[K, V]) keyString(ctx context.Context, id K) (string, error) {
	var stack [128]byte
	b, err := k.key(ctx, stack[:0], id)
	if err != nil {
		return "", err
	}
	return string(b), nil
}
