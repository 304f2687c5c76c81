package cache

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/strata-cache/strata/core/guard/mirror"
	"github.com/strata-cache/strata/core/store"
)

// Limits of what an entry is recorded to depend on.
const (
	// MaxDepsOfKind is how many keys of one kind an entry depends on by name; with more it depends on all
	// keys of the kind.
	MaxDepsOfKind = 64
	// MaxDeps is how many keys and kinds it depends on; with more it depends on all keys of the cache.
	MaxDeps = 512
	// MinInherited is the shortest TTL that an entry inherits from what it was built from.
	MinInherited = 5 * time.Second
)

// Dependencies collect what is read through a context while something is built from it: a page, a fragment.
// They are safe for concurrent use. See Space.Track.
type Dependencies struct {
	engine *engine

	mu    sync.Mutex
	tags  map[string]struct{}
	keys  map[string]int // number of keys of each kind that are in deps
	deps  map[string]struct{}
	fresh int64 // the earliest end of what was read; 0: none
	all   bool  // too much was read: deps are namespaces
}

// Track returns a context whose readers are collected, and where they will be. What is read through it is
// collected for ctx's own collector too, once: with the entry that is built.
func (s *Space) Track(ctx context.Context) (context.Context, *Dependencies) {
	d := &Dependencies{engine: s.engine}
	// Before anything is read: a writer that still sees false has written before.
	s.tracking.Store(true)
	return with(ctx, func(t *travel) { t.deps = d }), d
}

// untracked returns ctx without a collector: a loader's reads are its own affair, unless its kind inherits.
func untracked(ctx context.Context) context.Context {
	if t := travelOf(ctx); t == nil || t.deps == nil {
		return ctx
	}
	return with(ctx, func(t *travel) { t.deps = nil })
}

// note records that key was read through ctx, and e found there: nil, where there is no such value.
func (e *engine) note(ctx context.Context, key string, found *store.Entry, stale bool) {
	if t := travelOf(ctx); t != nil && t.deps != nil {
		t.deps.add(e, key, found, stale)
	}
}

// notes reports whether somebody collects what is read through ctx.
func notes(ctx context.Context) bool {
	t := travelOf(ctx)
	return t != nil && t.deps != nil
}

func (d *Dependencies) add(e *engine, key string, found *store.Entry, stale bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if found != nil {
		d.addTags(found.Tags)
		switch {
		case stale:
			d.until(1)
		case found.Fresh != 0:
			d.until(found.Fresh)
		}
	}
	if e != d.engine || !e.coherent {
		return // another cache's keys are not followed; its tags are, where they are this cache's too
	}
	d.addDep(key)
	if found != nil {
		for _, dep := range found.Deps {
			d.addDep(dep)
		}
	}
}

func (d *Dependencies) until(fresh int64) {
	if d.fresh == 0 || fresh < d.fresh {
		d.fresh = fresh
	}
}

func (d *Dependencies) addTags(tags []string) {
	if len(tags) > 0 && d.tags == nil {
		d.tags = make(map[string]struct{})
	}
	for _, t := range tags {
		d.tags[t] = struct{}{}
	}
}

// AddTags adds tags that what is built bears beside those of what it is built from.
func (d *Dependencies) AddTags(tags ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.addTags(tags)
}

func (d *Dependencies) addDep(dep string) {
	if d.all {
		dep = mirror.Namespace(dep)
	}
	if d.deps == nil {
		d.deps, d.keys = make(map[string]struct{}), make(map[string]int)
	}
	area := mirror.Area(dep)
	if _, whole := d.deps[area]; whole && area != "" {
		return
	}
	if _, known := d.deps[dep]; known {
		return
	}
	if dep != area {
		if d.keys[area]++; d.keys[area] > MaxDepsOfKind && area != "" {
			dep = area
			for k := range d.deps {
				if mirror.Area(k) == area {
					delete(d.deps, k)
				}
			}
		}
	}
	d.deps[dep] = struct{}{}
	if len(d.deps) > MaxDeps {
		d.all = true
		few := make(map[string]struct{})
		for k := range d.deps {
			few[mirror.Namespace(k)] = struct{}{}
		}
		d.deps = few
	}
}

// Inherit gives e, which was built from what was collected, its tags and dependencies, and shortens its life
// to what is left of theirs, but not below MinInherited from now on (Unix milliseconds).
func (d *Dependencies) Inherit(e *store.Entry, now int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for t := range d.tags {
		if !slices.Contains(e.Tags, t) {
			e.Tags = append(e.Tags, t)
		}
	}
	for dep := range d.deps {
		e.Deps = append(e.Deps, dep)
	}
	slices.Sort(e.Tags)
	slices.Sort(e.Deps)
	if d.fresh == 0 {
		return
	}
	limit := max(d.fresh, now+MinInherited.Milliseconds())
	if e.Fresh != 0 && e.Fresh <= limit {
		return
	}
	if e.Gone == e.Fresh || e.Gone != 0 && e.Gone < limit {
		e.Gone = limit
	}
	e.Fresh = limit
	if e.Refresh >= limit {
		e.Refresh = 0
	}
}

// Empty reports whether nothing was collected.
func (d *Dependencies) Empty() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.tags) == 0 && len(d.deps) == 0 && d.fresh == 0
}

// shortLived says that something was read which will soon be replaced.
func (d *Dependencies) shortLived(e *engine, key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.until(1)
	if e == d.engine {
		d.addDep(key)
	}
}
