package refresh

import (
	"context"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/strata-cache/strata/core/store"
)

// TestQueueFollowsItsModel compares a queue whose one worker is held with a sorted list.
func TestQueueFollowsItsModel(t *testing.T) {
	type job struct {
		key string
		p   store.Priority
	}
	rapid.Check(t, func(r *rapid.T) {
		capacity := rapid.IntRange(1, 6).Draw(r, "capacity")
		q, err := New(Options{Workers: 1, Capacity: capacity})
		if err != nil {
			r.Fatal(err)
		}
		gate, started := make(chan struct{}), make(chan struct{})
		q.Submit(Job{Key: "gate", Run: func(ctx context.Context) error { close(started); return until(gate)(ctx) }})
		<-started
		var model []job // in the order of submission
		var ran []string
		for range rapid.IntRange(0, 30).Draw(r, "jobs") {
			j := job{
				rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g", "h", "gate"}).Draw(r, "key"),
				store.Priority(rapid.IntRange(0, int(store.PriorityCritical)).Draw(r, "priority")),
			}
			want := Queued
			switch {
			case j.key == "gate", slices.ContainsFunc(model, func(m job) bool { return m.key == j.key }):
				want = Duplicate
			case len(model) == capacity:
				lowest := 0
				for i, m := range model {
					if rank(m.p) < rank(model[lowest].p) {
						lowest = i
					}
				}
				if rank(model[lowest].p) > rank(j.p) {
					want = Dropped
					break
				}
				model = slices.Delete(model, lowest, lowest+1)
			}
			if want == Queued {
				model = append(model, j)
			}
			got := q.Submit(Job{Key: j.key, Priority: j.p, Run: func(context.Context) error { ran = append(ran, j.key); return nil }})
			if got != want {
				r.Fatalf("%v: %v, want %v", j, got, want)
			}
			if waiting, _ := q.Len(); waiting != len(model) {
				r.Fatalf("%d wait, want %d", waiting, len(model))
			}
		}
		close(gate)
		if err := q.Close(context.Background()); err != nil {
			r.Fatal(err)
		}
		slices.SortStableFunc(model, func(a, b job) int { return rank(b.p) - rank(a.p) })
		var want []string
		for _, m := range model {
			want = append(want, m.key)
		}
		if !slices.Equal(ran, want) {
			r.Fatalf("ran %v, want %v", ran, want)
		}
	})
}
