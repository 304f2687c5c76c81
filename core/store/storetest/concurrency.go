package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/strata-cache/strata/core/store"
)

func concurrencyCases() []testCase[store.Store] {
	return []testCase[store.Store]{
		{"mixed operations never mix up values", func(b box, s store.Store) {
			var wg sync.WaitGroup
			for g := range 8 {
				wg.Go(func() { mixedOperations(b, s, g) })
			}
			wg.Wait()
		}},
		{"writers of one key leave one whole value", func(b box, s store.Store) {
			var wg sync.WaitGroup
			for g := range 8 {
				wg.Go(func() {
					for range 25 {
						e := entry(strings.Repeat(string(rune('a'+g)), 1000))
						if err := s.Set(b.ctx, "k", e); err != nil {
							b.t.Errorf("Set: %v", err)
						}
					}
				})
			}
			wg.Wait()
			e := b.get("k")
			if e == nil || len(e.Value) != 1000 || strings.Trim(string(e.Value), string(e.Value[:1])) != "" {
				b.t.Errorf("a torn value: %+v", e)
			}
		}},
		{"of concurrent deleters one counts the entry", func(b box, s store.Store) {
			for round := range 20 {
				k := fmt.Sprint("k", round)
				b.set(k, entry("v"))
				counts := make([]int, 4)
				var wg sync.WaitGroup
				for g := range counts {
					wg.Go(func() {
						n, err := s.Delete(b.ctx, k)
						if err != nil {
							b.t.Errorf("Delete: %v", err)
						}
						counts[g] = n
					})
				}
				wg.Wait()
				if total := counts[0] + counts[1] + counts[2] + counts[3]; total != 1 {
					b.t.Fatalf("one entry was counted %d times", total)
				}
			}
		}},
	}
}

func mixedOperations(b box, s store.Store, g int) {
	for i := range 60 {
		k := fmt.Sprint("key", (g+i)%7)
		switch i % 5 {
		case 0, 1:
			if err := s.Set(b.ctx, k, entry(k+"="+fmt.Sprint(g, i))); err != nil {
				b.t.Errorf("Set: %v", err)
			}
		case 2, 3:
			e, err := s.Get(b.ctx, k)
			if err != nil && !errors.Is(err, store.ErrMiss) {
				b.t.Errorf("Get: %v", err)
			}
			if err == nil && !strings.HasPrefix(string(e.Value), k+"=") {
				b.t.Errorf("Get(%q) = %q, a value of another key", k, e.Value)
			}
		case 4:
			if _, err := s.Delete(b.ctx, k); err != nil {
				b.t.Errorf("Delete: %v", err)
			}
			if g == 0 && i%20 == 4 {
				if err := s.Clear(b.ctx, "key1"); err != nil {
					b.t.Errorf("Clear: %v", err)
				}
			}
		}
	}
}
