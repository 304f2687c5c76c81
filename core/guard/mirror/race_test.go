package mirror

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/strata-cache/strata/core/store"
)

// Readers judge entries whose invalidation was applied before they began, while names are forgotten all the
// time.
func TestNothingAppliedIsJudgedValid(t *testing.T) {
	const names, rounds, readers = 64, 20_000, 4
	m := New(Options{Names: names})
	m.Reset(at(1), store.Position{}, store.Position{})
	var applied atomic.Int64 // index of the last record whose Apply has returned
	applied.Store(-1)
	entries := make([]*store.Entry, rounds)
	for i := range entries {
		entries[i] = &store.Entry{Stamp: at(uint64(i + 1))}
		if i%2 == 0 {
			entries[i].Tags = []string{fmt.Sprint("t", i)}
		} else {
			entries[i].Deps = []string{fmt.Sprint("k", i)}
		}
	}
	var all sync.WaitGroup
	for range readers {
		all.Go(func() {
			for {
				n := int(applied.Load())
				for i := max(0, n-2*names); i <= n; i++ {
					if e := entries[i]; e.CheckedAt(m.Current()) || m.Judge("x", e, true) == Valid {
						t.Errorf("entry %d is valid after record %d", i, n)
						return
					}
				}
				// Those whose record may be on its way: what is found valid is noted.
				for i := n + 1; i < min(n+4, rounds); i++ {
					m.Judge("x", entries[i], true)
				}
				if n == rounds-1 {
					return
				}
			}
		})
	}
	for i := range rounds {
		it := tag(fmt.Sprint("t", i))
		if i%2 == 1 {
			it = of(store.ChangeKey, fmt.Sprint("k", i))
		}
		if err := m.Apply(store.Record{Position: at(uint64(i + 2)), Prev: at(uint64(i + 1)), Items: items(it)}); err != nil {
			t.Error(err)
			break
		}
		applied.Store(int64(i))
	}
	applied.Store(rounds - 1)
	all.Wait()
}

// What forgets a mark between the load of the state and the look-up does so here on purpose.
func TestAMarkForgottenWhileAnEntryIsJudged(t *testing.T) {
	for _, c := range []struct {
		name string
		mark store.Invalidation
		e    *store.Entry
	}{
		{"tag", tag("a"), tagged(1, "a")},
		{"dep", of(store.ChangeKey, "a"), built(1, "a")},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := New(Options{Names: 1})
			chain(t, m, items(c.mark))
			old := m.state.Load()
			for i := range 1000 {
				chain(t, m, items(store.Invalidation{Kind: c.mark.Kind, Name: fmt.Sprint(i)}))
			}
			// A reader that has loaded the state before, and looks the name up now.
			if m.judgeFrom(old, "x", c.e, true) != Invalid {
				t.Error("judged valid by a state that the tables have left behind")
			}
		})
	}
}

func TestConcurrentAppliersAndReaders(t *testing.T) {
	m := New(Options{Names: 64})
	m.remember(100)
	m.Reset(at(1), store.Position{}, store.Position{})
	const rounds = 2000
	records := make([]store.Record, rounds)
	for i := range records {
		records[i] = store.Record{Position: at(uint64(i + 2)), Prev: at(uint64(i + 1)), Items: items(key(fmt.Sprint("p:1:k:", i)), tag(fmt.Sprint(i)))}
	}
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			for i := range records {
				_ = m.Apply(records[max(0, i-3) : i+1]...)
			}
			if err := m.Apply(records...); err != nil && m.Applied() != records[rounds-1].Position {
				t.Error(err)
			}
		})
	}
	all.Go(func() {
		for i := range rounds {
			m.Doubt(tag(fmt.Sprint("d", i)))
			m.SetBlind(i%2 == 0)
			m.Held("p:1:k:1", nil)
			m.Confirm()
		}
	})
	all.Wait()
	if m.Applied() != records[rounds-1].Position {
		t.Errorf("applied %v", m.Applied())
	}
	if _, known := m.history(); !linked(known) || len(known) != 100 {
		t.Errorf("%d records are remembered", len(known))
	}
}
