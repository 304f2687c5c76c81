package page

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/strata-cache/strata/core/store"
)

// indexLife is the shortest life of an index. It is renewed when half of it is over.
const indexLife = 10 * time.Minute

// store stores the page under the key of its URL, or of its variant, and returns what those who wait are
// told. A page that could not be stored, because the store is down, is good for them all the same.
func (run *run) store(pg *page, v *verdict) *outcome {
	ctx := context.WithoutCancel(run.r.Context())
	end := time.Now()
	pg.created, pg.fresh = v.times(run.began, end)
	e := &store.Entry{
		Value:    encodePage(pg),
		Times:    store.Times{Created: pg.created, Fresh: pg.fresh, Gone: pg.fresh},
		Schema:   payloadSchema,
		LoadCost: end.Sub(run.began),
		Priority: run.p.policy.Priority,
		Tags:     slices.Compact(slices.Sorted(slices.Values(run.ctl.labels()))),
		Stamp:    run.turn.Stamp(),
	}
	if run.deps != nil && !run.deps.Empty() {
		run.deps.Inherit(e, end.UnixMilli())
		if e.Fresh != pg.fresh {
			pg.fresh = e.Fresh
			e.Gone, e.Value = e.Fresh, encodePage(pg)
		}
	}
	// The page of the entry is decoded anew: it must not hold on to the recorder's buffer.
	stored, err := decodePage(e.Value)
	if err != nil {
		run.p.space.Refused(ctx, "malformed")
		return outcomeUncacheable
	}
	stored.created, stored.fresh = pg.created, pg.fresh
	e.MemoSize = stored.memoSize()
	e.SetMemo(stored)
	if x := run.found.index; x != nil {
		if names, grown := union(x.vary, v.vary); grown {
			return run.storeGrown(ctx, stored, e, names)
		}
		return run.storeVariant(ctx, stored, e, x)
	}
	if len(v.vary) > 0 {
		return run.storeFirst(ctx, stored, e, v.vary)
	}
	if !run.put(ctx, run.key, e) {
		return outcomeLook
	}
	return run.made(stored, e, run.key)
}

// made is the outcome of a page that was made, and of its entry under key.
func (run *run) made(pg *page, e *store.Entry, key string) *outcome {
	return &outcome{page: pg, entry: e, key: key}
}

// variant is made for a page of a URL that varies.
func (run *run) variant(pg *page, e *store.Entry, key string, x *index, d digest) *outcome {
	return &outcome{page: pg, entry: e, key: key, index: x, digest: d}
}

// put stores e under a key whose flight this run leads, and reports whether the flight still counts. A
// removal of the key that came since the run began wins: before the write nothing is stored, and one that
// comes during the write waits for its end.
func (run *run) put(ctx context.Context, key string, e *store.Entry) bool {
	space := run.p.space
	var err error
	counts := run.flight.Commit(func() {
		if key == run.turnKey {
			err = run.turn.Keep(ctx, key, e)
		} else {
			err = space.Keep(ctx, key, e)
		}
	})
	if counts && err == nil && run.flight.Forgotten() {
		_, _ = space.Remove(ctx, key) // the remover may have been in a hurry; a failure is reported
		counts = false
	}
	if !counts {
		space.Refused(ctx, refusedOvertaken)
		return false
	}
	if err == nil {
		run.p.marks.clear(run.flightKey)
	}
	return true
}

// storeFirst stores the first page of a URL that turns out to vary, and its index.
func (run *run) storeFirst(ctx context.Context, pg *page, e *store.Entry, names []string) *outcome {
	x := &index{generation: rand.Uint64(), vary: names}
	key, d, err := run.variantKey(x)
	if err != nil || run.flight.Forgotten() || run.p.space.Keep(ctx, key, e) != nil {
		return run.unindexed(pg, e, key, x, d)
	}
	if !run.put(ctx, run.key, run.indexEntry(x, e)) {
		return outcomeLook
	}
	run.p.variants.add(x, d, e.Gone, run.p.opts.MaxVariants, run.p.space.Now())
	return run.variant(pg, e, key, x, d)
}

// unindexed is the outcome of a page that could not be stored.
func (run *run) unindexed(pg *page, e *store.Entry, key string, x *index, d digest) *outcome {
	if run.flight.Forgotten() {
		return outcomeLook
	}
	return run.variant(pg, e, key, x, d)
}

// storeVariant stores one more page of a URL that varies. If its index was removed meanwhile, nobody will
// find the page, since its key holds the index's generation.
func (run *run) storeVariant(ctx context.Context, pg *page, e *store.Entry, x *index) *outcome {
	p, d := run.p, run.found.digest
	if !p.variants.add(x, d, e.Gone, p.opts.MaxVariants, p.space.Now()) {
		p.space.Refused(ctx, refusedVariants)
		return run.variant(pg, e, run.key, x, d)
	}
	if !run.put(ctx, run.key, e) {
		return outcomeLook
	}
	run.renewIndex(ctx, e)
	return run.variant(pg, e, run.key, x, d)
}

// storeGrown replaces the index by one with more names. The old variants were keyed by too little and are
// left behind, with the old generation.
func (run *run) storeGrown(ctx context.Context, pg *page, e *store.Entry, names []string) *outcome {
	p, key := run.p, run.primary
	f, _, leader, ok := p.space.Join(ctx, key, p.opts.HardTimeout)
	switch {
	case !ok:
		return outcomeLook
	case !leader:
		leave(ctx, f)
		return outcomeLook
	}
	defer f.Finish(outcomeLook, nil)
	now := p.space.Lookup(ctx, []byte(key))
	if _, x := p.open(ctx, []byte(key), now); x == nil || x.generation != run.found.index.generation {
		p.space.Refused(ctx, refusedOvertaken)
		return outcomeLook
	}
	mine := run.flight
	defer func() { run.flight = mine }()
	run.flight, run.key = f, key
	return run.storeFirst(ctx, pg, e, names)
}

func (run *run) variantKey(x *index) (string, digest, error) {
	key, d := appendVariant([]byte(run.primary), x, run.r.Header)
	key, err := run.p.space.FinishKey(key)
	return string(key), d, err
}

// indexEntry returns the entry of an index that lives longer than the variant e.
func (run *run) indexEntry(x *index, variant *store.Entry) *store.Entry {
	e := &store.Entry{Value: encodeIndex(x), Schema: payloadSchema, Priority: variant.Priority, Stamp: variant.Stamp}
	e.MemoSize = len(e.Value) + 128
	e.SetMemo(x)
	e.Times = indexTimes(variant.Created, variant.Gone)
	return e
}

func indexTimes(now, variantGone int64) store.Times {
	t := store.Times{Created: now}
	if variantGone != 0 {
		t.Gone = now + max(indexLife.Milliseconds(), 2*(variantGone-now))
		t.Fresh = t.Gone
	}
	return t
}

// renewIndex lengthens the life of the index where it is half over, or would end before the variant's. It
// compares and sets, so that a removed index stays removed.
func (run *run) renewIndex(ctx context.Context, variant *store.Entry) {
	e := run.found.entry
	if e.Gone == 0 {
		return
	}
	now := run.p.space.Now()
	if now-e.Created <= (e.Gone-e.Created)/2 && variant.Gone != 0 && variant.Gone <= e.Gone {
		return
	}
	t := indexTimes(now, variant.Gone)
	if t.Gone != 0 {
		t.Gone = max(t.Gone, e.Gone)
		t.Fresh = t.Gone
	}
	run.p.space.Touch(ctx, run.primary, e, t)
}

// maxTracked is how many varying URLs a process counts the variants of. Beyond it counts are dropped, and
// begin anew.
const maxTracked = 4096

// variantCounts counts the variants of a URL that this process has stored, by the index's generation.
type variantCounts struct {
	mu sync.Mutex
	m  map[uint64]map[digest]int64 // by the index's generation: the Gone of each variant
}

// add notes a variant and reports whether the URL may have it.
func (c *variantCounts) add(x *index, d digest, gone int64, limit int, now int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil || len(c.m) >= maxTracked && c.m[x.generation] == nil {
		c.m = make(map[uint64]map[digest]int64)
	}
	live := c.m[x.generation]
	if live == nil {
		live = make(map[digest]int64)
		c.m[x.generation] = live
	}
	if _, ok := live[d]; !ok && len(live) >= limit {
		for other, g := range live {
			if g != 0 && g <= now {
				delete(live, other)
			}
		}
		if len(live) >= limit {
			return false
		}
	}
	live[d] = gone
	return true
}
