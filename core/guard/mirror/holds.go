package mirror

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/strata-cache/strata/core/store"
)

// maxHolds bounds the table of holds: beyond it, everything is held until the last of them has ended.
const maxHolds = 300_000

// holdOf is what is being written: a key, or what has a tag.
type holdOf struct {
	name string
	tag  bool
}

// holds are the writes that are under way, of all processes.
type holds struct {
	any   atomic.Bool // there may be some: most of the time there are none
	mu    sync.Mutex
	of    map[holdOf]map[store.Token]time.Time
	n     int
	full  int // the number at which those that have ended are looked for
	swept time.Time
	over  time.Time // until when everything is held
}

func (h *holds) hold(of holdOf, token store.Token, now, until time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.any.Store(true)
	if h.of == nil {
		h.of = make(map[holdOf]map[store.Token]time.Time)
	}
	if h.n >= max(h.full, 1024) && now.Sub(h.swept) >= time.Second {
		h.sweep(now)
		h.full, h.swept = min(2*h.n, maxHolds), now
	}
	if h.n >= maxHolds {
		if until.After(h.over) {
			h.over = until
		}
		return
	}
	if h.of[of] == nil {
		h.of[of] = make(map[store.Token]time.Time)
	}
	if _, renewed := h.of[of][token]; !renewed {
		h.n++
	}
	h.of[of][token] = until
}

func (h *holds) release(of holdOf, token store.Token) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.of[of][token]; ok {
		h.drop(of, token)
	}
}

func (h *holds) drop(of holdOf, token store.Token) {
	h.n--
	delete(h.of[of], token)
	if len(h.of[of]) == 0 {
		delete(h.of, of)
	}
	if h.n == 0 && h.over.IsZero() {
		h.any.Store(false)
	}
}

func (h *holds) held(now time.Time, key string, tags, deps []string) bool {
	if !h.any.Load() {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if now.Before(h.over) {
		return true
	}
	h.over = time.Time{}
	h.any.Store(h.n > 0)
	held := h.live(now, holdOf{key, false})
	if !held {
		// Its areas are held with it: where it has ended, so may they.
		h.live(now, holdOf{Area(key), false})
		h.live(now, holdOf{Namespace(key), false})
	}
	for _, d := range deps {
		held = h.live(now, holdOf{d, false}) || held
	}
	for _, t := range tags {
		held = h.live(now, holdOf{t, true}) || held
	}
	return held
}

func (h *holds) sweep(now time.Time) {
	for of := range h.of {
		h.live(now, of)
	}
}

// live reports whether a hold lasts, and forgets those that have ended: their writers have died.
func (h *holds) live(now time.Time, of holdOf) (live bool) {
	for token, until := range h.of[of] {
		if now.Before(until) {
			live = true
		} else {
			h.drop(of, token)
		}
	}
	return live
}
