package mirror

import (
	"math"
	"slices"
	"time"

	"github.com/strata-cache/strata/core/store"
)

const (
	// maxRestated is how many items are put back into a log before it is flushed instead.
	maxRestated = 50_000
	// restatedPerRecord is how many of them share a record.
	restatedPerRecord = 1000
)

// same reports whether two records at one position say the same. How long holds last is left out: it may
// have been rounded.
func same(a, b store.Record) bool {
	return a.Position == b.Position && a.Prev == b.Prev && slices.EqualFunc(a.Items, b.Items, func(x, y store.Invalidation) bool {
		return x.Kind == y.Kind && x.Name == y.Name && x.Token == y.Token
	})
}

// fork returns where known and the log there, which begins with the same record or later or earlier, have
// parted: the indexes behind the last record that both have. It is not ok where there is none, or where the
// log does not hang together from there on.
func fork(known, there []store.Record) (i, j int, ok bool) {
	at := make(map[store.Position]int, len(there))
	for k := range there {
		at[there[k].Position] = k
	}
	for i = len(known); i > 0; i-- {
		k, found := at[known[i-1].Position]
		if found && same(known[i-1], there[k]) {
			return i, k + 1, linked(there[k:])
		}
	}
	return 0, 0, false
}

// fresh returns the first record behind was from which on nothing older counts. It is not ok where there is
// none, or where the log does not hang together from there on.
func fresh(there []store.Record, was store.Position) (i int, ok bool) {
	for i = range there {
		if r := &there[i]; before(was, r.Position) && (r.Prev.IsZero() || flushes(r)) && linked(there[i:]) {
			return i, true
		}
	}
	return 0, false
}

func flushes(r *store.Record) bool {
	return slices.ContainsFunc(r.Items, func(it store.Invalidation) bool {
		return it.Kind == store.InvalidatePrefix && it.Name == ""
	})
}

func linked(records []store.Record) bool {
	for i := 1; i < len(records); i++ {
		if records[i].Prev != records[i-1].Position {
			return false
		}
	}
	return true
}

// justBefore returns the position that p follows on.
func justBefore(p store.Position) store.Position {
	switch {
	case p.Seq > 0:
		return store.Position{Time: p.Time, Seq: p.Seq - 1}
	case p.Time > 0:
		return store.Position{Time: p.Time - 1, Seq: math.MaxUint64}
	default:
		return p
	}
}

// plan is what has to be put into a log.
type plan struct {
	items []store.Invalidation
	// delete are the keys whose values may have come back when the log went back.
	delete map[string]bool
}

// restate returns what the log has to say behind was: what ours say, which it has lost, and what theirs say
// in places that whoever was at was holds to be known. What it says there already is left out, so that
// processes that do this one after the other come to an end.
func restate(ours, theirs []store.Record, was store.Position) plan {
	said := make(map[store.Invalidation]bool)
	released := make(map[store.Token]bool)
	for _, records := range [...][]store.Record{ours, theirs} {
		for i := range records {
			for _, it := range records[i].Items {
				if it.Kind == store.ReleaseKey || it.Kind == store.ReleaseTag {
					released[it.Token] = true
				}
			}
		}
	}
	for i := range theirs {
		if before(was, theirs[i].Position) {
			for _, it := range theirs[i].Items {
				// An entry that was stored with a record from before the loss is not meant by one after it.
				if it.Kind != store.InvalidateKey || it.Token.IsZero() {
					said[again(it, released)] = true
				}
			}
		}
	}
	p := plan{delete: make(map[string]bool)}
	add := func(r *store.Record, lost bool) {
		for _, it := range r.Items {
			if it = again(it, released); said[it] {
				continue
			}
			said[it] = true
			p.items = append(p.items, it)
			if lost && (it.Kind == store.InvalidateKey || it.Kind == store.HoldKey) {
				p.delete[it.Name] = true
			}
		}
	}
	for i := range ours {
		add(&ours[i], true)
	}
	for i := range theirs {
		if !before(was, theirs[i].Position) {
			add(&theirs[i], false)
		}
	}
	return p
}

// again returns the item as it is put into a log for the second time: no entry is excepted, and a hold that
// has ended is none.
func again(it store.Invalidation, released map[store.Token]bool) store.Invalidation {
	it.For = it.For.Truncate(time.Millisecond)
	switch it.Kind {
	case store.HoldKey, store.HoldTag:
		if released[it.Token] {
			return ended(it)
		}
	case store.ReleaseKey, store.ReleaseTag:
	default:
		it.Token = store.Token{}
	}
	return it
}

// ended returns what an item says that excepts no entry and holds nothing.
func ended(it store.Invalidation) store.Invalidation {
	switch it.Kind {
	case store.HoldKey:
		return store.Invalidation{Kind: store.InvalidateKey, Name: it.Name}
	case store.HoldTag:
		return store.Invalidation{Kind: store.InvalidateTag, Name: it.Name}
	case store.ReleaseKey, store.ReleaseTag:
		return it
	default:
		return store.Invalidation{Kind: it.Kind, Name: it.Name}
	}
}
