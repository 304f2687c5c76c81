//go:build unix

package histories_test

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/memstore"
	"github.com/strata-cache/strata/core/store/redisstore"
	"github.com/strata-cache/strata/core/store/tiered"
)

// The environment of a process that the tests start.
const (
	childProcess  = "HISTORIES_PROCESS" // its number
	childURL      = "HISTORIES_URL"
	childDatabase = "HISTORIES_DATABASE"
)

// child is the main function of the test binary in another process. For each script it reads it makes a cache
// and says that it is there. Then it goes through the script's parts, each when it is told to, and says when
// it has done so; after the last it sends its account.
func child(process string) int {
	var number int
	if _, err := fmt.Sscan(process, &number); err != nil {
		return 2
	}
	db, unmap, err := openDatabase(os.Getenv(childDatabase))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	defer unmap()
	in, out := gob.NewDecoder(os.Stdin), gob.NewEncoder(os.Stdout)
	for {
		var s script
		if in.Decode(&s) != nil {
			return 0 // the parent has closed it
		}
		// The wall clock is read once a history: afterwards it may be set.
		s.Origin = time.Now().Add(-time.Since(s.Origin))
		if err := play(&s, number, db, in, out); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
}

func play(s *script, number int, db *database, in *gob.Decoder, out *gob.Encoder) error {
	n, err := newNode(s, number, db)
	if err != nil {
		return err
	}
	defer n.Close()
	for _, part := range []func(){n.act, n.settle, n.finish} {
		var begin bool
		if err := errors.Join(out.Encode(true), in.Decode(&begin)); err != nil {
			return err
		}
		part()
	}
	n.account.Ops, n.account.Loads, n.account.Refused = int(n.ops.Load()), int(n.loads.Load()), int(n.refused.Load())
	return errors.Join(out.Encode(true), out.Encode(&n.account))
}

// pair is a value that is built from two others.
type pair struct {
	Keys    [2]int
	Version [2]uint64
	Missing [2]bool
	Newest  [2]uint64
}

// node is one process in one history.
type node struct {
	*cache.Cache
	script *script
	number int
	db     *database

	objects *cache.Kind[int, uint64]
	pairs   *cache.Kind[int, pair]
	ops     atomic.Int64
	loads   atomic.Int64
	refused atomic.Int64

	stuck   sync.WaitGroup
	unstick chan struct{}

	mu      sync.Mutex
	account account
}

// nobody is the process of what no process has acknowledged: it counts everywhere after the same time.
const nobody = -1

func newNode(s *script, number int, db *database) (*node, error) {
	n := &node{script: s, number: number, db: db, unstick: make(chan struct{}), account: account{Failed: make(map[string]int), Errs: make(map[string]string)}}
	remote, err := redisstore.Open(os.Getenv(childURL), redisstore.Options{Prefix: s.Prefix, OpTimeout: s.StoreTimeout})
	if err != nil {
		return nil, err
	}
	var st store.Store = remote
	if s.Tiered {
		near, err := memstore.New(memstore.Options{MaxBytes: 1 << 20})
		if err != nil {
			return nil, err
		}
		if st, err = tiered.New(tiered.Options{Tiers: []tiered.Tier{{Store: near}, {Store: remote}}}); err != nil {
			return nil, err
		}
	}
	n.Cache, err = cache.New(st, cache.Options{
		StoreTimeout: s.StoreTimeout, Heartbeat: s.Heartbeat, DegradedL1TTL: s.Degraded,
		Policy:   cache.Policy{TTL: s.TTL},
		Observer: &event.Observer{Refused: func(context.Context, event.Refused) { n.refused.Add(1) }},
	})
	if err != nil {
		return nil, err
	}
	objects := cache.KindOptions[int, uint64]{
		Load: n.load,
		Tags: func(id int, _ uint64) []string { return tagsOf(id) },
	}
	if s.LoadMany {
		objects.LoadMany = n.loadMany
	}
	if n.objects, err = cache.NewKind(n.Cache, "object", objects); err != nil {
		return nil, err
	}
	n.pairs, err = cache.NewLayerKind(n.Cache, event.LayerFragment, "pair", cache.KindOptions[int, pair]{
		Inherit: true, Load: n.build,
	})
	return n, err
}

// tagsOf are the tags of a key: its own, and one that it shares with every second one.
func tagsOf(id int) []string { return []string{fmt.Sprint("key", id), fmt.Sprint("half", id%2)} }

var errLoad = errors.New("the database does not answer")

// load reads the database, which takes its time before and after.
func (n *node) load(ctx context.Context, id int) (uint64, error) {
	n.loads.Add(1)
	cache.LoadFrom(ctx).AddTags(tagsOf(id)...)
	dawdle(ctx)
	v := n.db.versions[id].Load()
	dawdle(ctx)
	switch {
	case n.script.Faults && oneIn(50):
		return 0, errLoad
	case n.script.absent(v):
		return 0, cache.ErrNotFound
	default:
		return v, ctx.Err()
	}
}

func (n *node) loadMany(ctx context.Context, ids []int) (map[int]uint64, error) {
	n.loads.Add(1)
	out := make(map[int]uint64, len(ids))
	for _, id := range ids {
		dawdle(ctx)
		out[id] = n.db.versions[id].Load()
	}
	dawdle(ctx)
	if n.script.Faults && oneIn(50) {
		return nil, errLoad
	}
	return out, ctx.Err()
}

// build makes a pair of what the cache has of two keys.
func (n *node) build(ctx context.Context, id int) (p pair, err error) {
	n.loads.Add(1)
	p.Keys = pairOf(id)
	for i, k := range p.Keys {
		p.Version[i], err = n.objects.Get(ctx, k)
		p.Missing[i] = errors.Is(err, cache.ErrNotFound)
		if err != nil && !p.Missing[i] {
			return p, err
		}
		dawdle(ctx)
	}
	return p, nil
}

func pairOf(id int) [2]int { return [2]int{id, (id + 1) % keys} }

// do runs part for every client, and waits for all.
func (n *node) do(part func(c *client)) {
	var wg sync.WaitGroup
	for i := range n.script.Clients {
		wg.Go(func() {
			c := newClient(n, i)
			part(c)
			n.mu.Lock()
			defer n.mu.Unlock()
			a := &n.account
			a.Reads, a.Barriers = append(a.Reads, c.reads...), append(a.Barriers, c.barriers...)
			for op, errs := range c.failed {
				a.Failed[op] += len(errs)
				a.Errs[op] = errs[0].Error()
			}
		})
	}
	wg.Wait()
}

func (n *node) act() {
	n.do(func(c *client) {
		for i := range n.script.Ops {
			if n.script.Stuck && n.number == 0 && c.number == 0 && i == n.script.Ops/2 {
				c.getStuck(c.rng.IntN(keys))
			}
			c.step()
		}
		n.ops.Add(int64(n.script.Ops))
	})
}

// settle reads every key until nothing older than the last acknowledged invalidation is there, which must
// come to pass.
func (n *node) settle() {
	deadline := time.Now().Add(n.script.lag() + n.script.lag()/2)
	n.do(func(c *client) {
		if c.number > 0 {
			return
		}
		for k := range keys {
			for fresh := false; !fresh && time.Now().Before(deadline); {
				fresh = c.get(k)
				fresh = c.pair(k) && fresh
				if !fresh {
					_ = pause(context.Background(), time.Millisecond)
				}
			}
		}
	})
}

// finish lets the writer go on that is stuck.
func (n *node) finish() {
	close(n.unstick)
	n.stuck.Wait()
}

// dawdle lets others go ahead: mostly not, sometimes for milliseconds.
func dawdle(ctx context.Context) {
	switch {
	case oneIn(12):
		_ = pause(ctx, upTo(5*time.Millisecond))
	case oneIn(3):
		_ = pause(ctx, upTo(300*time.Microsecond))
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
