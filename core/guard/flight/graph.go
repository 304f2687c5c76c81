package flight

import (
	"context"
	"sync"
)

// link says, in a load's context, which call the load belongs to, and in which it is nested.
type link[K comparable, V any] struct {
	call  *Call[K, V]
	outer *link[K, V]
}

type groupKey[K comparable, V any] struct{ group *Group[K, V] }

func (g *Group[K, V]) inside(ctx context.Context) *link[K, V] {
	l, _ := ctx.Value(groupKey[K, V]{g}).(*link[K, V])
	return l
}

// Within returns a context for one piece of work that makes the results of all the given calls, whose
// leader the caller is: what it asks for is not made to wait for any of them.
func (g *Group[K, V]) Within(ctx context.Context, calls ...*Call[K, V]) context.Context {
	inside := g.inside(ctx)
	for _, c := range calls {
		inside = &link[K, V]{c, inside}
	}
	return context.WithValue(ctx, groupKey[K, V]{g}, inside)
}

// waitGraph records which running call waits for which, so that two loads that want each other's keys
// are noticed before they wait for ever. Only nested loads touch it.
type waitGraph[K comparable, V any] struct {
	mu    sync.Mutex
	waits map[*Call[K, V]]map[*Call[K, V]]int
}

// wait records that the call of inside, and each that it is nested in, waits for target, and reports
// true; if target already waits, directly or not, for any of them, it records nothing and reports
// false.
func (w *waitGraph[K, V]) wait(inside *link[K, V], target *Call[K, V]) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.reaches(target, inside, make(map[*Call[K, V]]bool)) {
		return false
	}
	if w.waits == nil {
		w.waits = make(map[*Call[K, V]]map[*Call[K, V]]int)
	}
	for l := inside; l != nil; l = l.outer {
		if w.waits[l.call] == nil {
			w.waits[l.call] = make(map[*Call[K, V]]int)
		}
		w.waits[l.call][target]++
	}
	return true
}

// reaches reports whether from waits, directly or not, for the call of to or one that it is nested in.
func (w *waitGraph[K, V]) reaches(from *Call[K, V], to *link[K, V], seen map[*Call[K, V]]bool) bool {
	for l := to; l != nil; l = l.outer {
		if l.call == from {
			return true
		}
	}
	seen[from] = true
	for next := range w.waits[from] {
		if !seen[next] && w.reaches(next, to, seen) {
			return true
		}
	}
	return false
}

func (w *waitGraph[K, V]) stop(inside *link[K, V], target *Call[K, V]) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for l := inside; l != nil; l = l.outer {
		targets := w.waits[l.call]
		if targets[target] > 1 {
			targets[target]--
			continue
		}
		delete(targets, target)
		if len(targets) == 0 {
			delete(w.waits, l.call)
		}
	}
}
