package cache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/guard/breaker"
	"github.com/strata-cache/strata/core/guard/flight"
	"github.com/strata-cache/strata/core/guard/lease"
	"github.com/strata-cache/strata/core/guard/mirror"
	"github.com/strata-cache/strata/core/guard/negative"
	"github.com/strata-cache/strata/core/guard/refresh"
	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/nullstore"
)

// Cache is a named cache over one store. Make it with New. It is safe for concurrent use; one instance
// serves the whole program.
type Cache struct {
	*engine
	version int
	verbs   *Space // of the untyped verbs, in this version
}

// engine is what all versions and kinds of one cache share.
type engine struct {
	opts  Options
	store store.Store
	off   bool // by the environment
	// local says that no look-up leaves this process. peek looks into what is in the process, be it all or
	// the first of several tiers; nil where nothing is. front is the latter.
	local bool
	peek  func(key []byte) *store.Entry
	front store.Fronted
	clock *clock

	flights *flight.Group[string, loaded]
	looks   *flight.Group[string, looked] // at the shared store
	mirror  *mirror.Mirror
	log     store.Log // nil: the mirror counts its own positions
	// coherent says that stamps can be compared: all who write to the store read one log, or are this
	// process. Elsewhere nothing is judged, and what needs it is refused.
	coherent  bool
	follower  follower         // of the log
	leases    *lease.Leases    // nil: the store grants none
	negatives *negative.Set    // keys that do not exist
	queue     *refresh.Queue   // background refreshes
	loads     *bulkhead        // of the verbs
	breaker   *breaker.Breaker // nil: the store is in this process
	began     time.Time
	settled   atomic.Bool // the first look-ups need not wait for the log any more
	tracking  atomic.Bool // something has begun to depend on entries
	types     typeTable
	faults    faultLog

	mu     sync.Mutex
	spaces map[string]bool // the prefixes that kinds and layers have taken

	layersMu sync.Mutex
	layers   map[layerKey]any
}

// New returns a cache over st. The cache owns st from then on: Close closes it, unless
// Options.KeepStore is set.
func New(st store.Store, opts Options) (*Cache, error) {
	if v := reflect.ValueOf(st); st == nil || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil, errors.New("cache: New needs a store")
	}
	opts, err := opts.resolve()
	if err != nil {
		return nil, err
	}
	off := os.Getenv(DisabledEnv) == "1"
	if off {
		st = switchedOff{nullstore.New(), st}
	}
	e := &engine{
		opts: opts, off: off, store: st, clock: newClock(opts.Now),
		flights: flight.New[string, loaded](),
		looks:   flight.New[string, looked](),
		spaces:  make(map[string]bool),
		loads:   newBulkhead(&opts.Policy),
		began:   time.Now(),
	}
	if b, ok := store.As[store.Borrower](st); ok {
		e.local, e.peek = true, b.GetBorrowed
	} else if f, ok := store.As[store.Fronted](st); ok {
		e.front, e.peek = f, f.Peek
	}
	if err := e.guard(); err != nil {
		return nil, err
	}
	return e.view(opts.Version), nil
}

// Must returns c, or panics if err is not nil. It is for program start: cache.Must(cache.New(…)).
func Must[T any](c T, err error) T {
	if err != nil {
		panic(err)
	}
	return c
}

func (e *engine) view(version int) *Cache {
	c := &Cache{engine: e, version: version}
	c.verbs = &Space{engine: e, name: "", prefix: namespace(e.opts.Prefix, version) + ":"}
	return c
}

// WithVersion returns a view of the same cache whose verbs, and the kinds made of it, work on another
// version of its keys.
func (c *Cache) WithVersion(version int) *Cache {
	if version == c.version {
		return c
	}
	return c.view(version)
}

// Name returns the cache's name.
func (c *Cache) Name() string { return c.opts.Name }

// Version returns the version of this view.
func (c *Cache) Version() int { return c.version }

// Store returns the store under the cache, for what the cache does not offer.
func (c *Cache) Store() store.Store { return c.store }

// Observer returns the cache's observer; nil where there is none.
func (c *Cache) Observer() *event.Observer { return c.opts.Observer }

// Policy returns the cache's policy with its defaults filled in.
func (c *Cache) Policy() Policy { return c.opts.Policy }

// Ping reports whether the store answers. A store that cannot be asked always does.
func (c *Cache) Ping(ctx context.Context) error {
	if p, ok := store.As[store.Pinger](c.store); ok {
		return p.Ping(ctx)
	}
	return nil
}

// Key returns the key under which the store has the value that the verbs know by key: Django's make_key.
func (c *Cache) Key(key string) (string, error) {
	final, err := c.opts.Key.Append([]byte(c.verbs.prefix), key)
	return string(final), err
}

// Close stops what runs in the background and closes the store, unless Options.KeepStore is set. Background
// refreshes that run get up to five seconds to end, those that wait are dropped. Once the store is closed
// loaders are still run, and nothing is stored. Close is idempotent, and closes all versions and kinds.
func (c *Cache) Close() error {
	c.unguard()
	c.clock.Close()
	if c.opts.KeepStore {
		return nil
	}
	return c.store.Close()
}

// Clear removes every entry of this cache's prefix and version — objects, fragments and pages — and
// nothing else. What was stored before is not served any more, on any node that has heard of it; then it is
// removed. Loads that run meanwhile are not stored.
func (c *Cache) Clear(ctx context.Context) error {
	start := time.Now()
	err := c.clearPrefix(ctx, namespace(c.opts.Prefix, c.version))
	c.report(ctx, event.Call{Op: event.OpClear, Outcome: outcomeOf(err), Took: time.Since(start)})
	return err
}

func (e *engine) clearPrefix(ctx context.Context, prefix string) error {
	pending := e.flights.ForgetFunc(func(key string) bool { return strings.HasPrefix(key, prefix) })
	err := pending.Wait(ctx)
	if err == nil {
		err = e.invalidate(ctx, event.OpClear, store.Change{
			Items: []store.Invalidation{{Kind: store.InvalidatePrefix, Name: prefix}},
		})
		e.negatives.Clear(prefix)
		// Where the record could not be written the entries go nevertheless, as far as they can be reached.
		if e.reachable() {
			err = errors.Join(err, e.store.Clear(ctx, prefix))
		} else if e.front != nil {
			e.front.ClearFront(prefix)
		}
	}
	if err != nil {
		e.storeFailed(ctx, event.OpClear, err)
		return fmt.Errorf("cache: clear: %w", err)
	}
	return nil
}

func (e *engine) unsupported(op, capability string) error {
	return fmt.Errorf("cache: %s: the store %T is no %s: %w", op, e.store, capability, ErrUnsupported)
}

func outcomeOf(err error) event.Outcome {
	switch {
	case err == nil:
		return event.OutcomeOK
	case errors.Is(err, ErrRejected):
		return event.OutcomeRejected
	default:
		return event.OutcomeError
	}
}
