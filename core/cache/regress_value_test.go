package cache_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/guard/mirror"
	"github.com/strata-cache/strata/core/store"
)

// TestWhatIsNotModifiedKeepsItsDependencies: a view that its loader confirms still ends with what it was made of.
func TestWhatIsNotModifiedKeepsItsDependencies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, memory(t), steady())
		part := cache.Must(cache.NewKind(c, "part", cache.KindOptions[int, int]{
			Policy: cache.Policy{TTL: time.Hour}, Load: func(context.Context, int) (int, error) { return 1, nil },
		}))
		whole := cache.Must(cache.NewKind(c, "whole", cache.KindOptions[int, int]{
			Policy: cache.Policy{TTL: time.Minute, RefreshAt: -1, StaleFor: time.Hour}, Inherit: true,
			Load: func(ctx context.Context, id int) (int, error) {
				if _, ok := cache.Stale[int](cache.LoadFrom(ctx)); ok {
					return 0, cache.ErrNotModified
				}
				return part.Get(ctx, id)
			},
		}))
		want(t, 1)(whole.Get(ctx, 7))
		sleep(2 * time.Minute)
		want(t, 1)(whole.Get(ctx, 7))
		want(t, 1)(whole.Peek(ctx, 7)) // fresh again
		must(t, part.Set(ctx, 7, 2))
		wantErr[int](t, cache.ErrMiss)(whole.Peek(ctx, 7))
		must(t, c.Close())
	})
}

// TestWhatIsBuiltFromANullEndsWithIt: the tags of what does not exist are inherited, whether it was loaded or remembered.
func TestWhatIsBuiltFromANullEndsWithIt(t *testing.T) {
	c := open(t, memory(t), steady())
	part := cache.Must(cache.NewKind(c, "part", cache.KindOptions[int, int]{Load: func(ctx context.Context, _ int) (int, error) {
		cache.LoadFrom(ctx).AddTags("t")
		return 0, cache.ErrNotFound
	}}))
	whole := cache.Must(cache.NewKind(c, "whole", cache.KindOptions[string, string]{
		Policy: cache.Policy{TTL: time.Hour}, Inherit: true,
		Load: func(ctx context.Context, _ string) (string, error) {
			if _, err := part.Get(ctx, 1); !errors.Is(err, cache.ErrNotFound) {
				return "", errLoad
			}
			return "without", nil
		},
	}))
	wholes := []string{"of what was loaded", "of what was remembered"}
	for _, id := range wholes {
		want(t, "without")(whole.Get(ctx, id))
		want(t, "without")(whole.Peek(ctx, id))
	}
	must(t, c.InvalidateTags(ctx, "t"))
	for _, id := range wholes {
		t.Log(id)
		wantErr[string](t, cache.ErrMiss)(whole.Peek(ctx, id))
	}
}

// TestTooManyDependenciesKeepEveryVersion: what stands for dependencies that are too many covers each version they are of.
func TestTooManyDependenciesKeepEveryVersion(t *testing.T) {
	c := open(t, memory(t), steady())
	second := c.WithVersion(2)
	pages := cache.Must(c.NewSpace("pages", event.LayerPage))
	tracking, deps := pages.Track(ctx)
	must(t, cache.Set(ctx, second, "other", 1))
	want(t, 1)(cache.Get[int](tracking, second, "other"))
	for i := range 10 {
		kind := cache.Must(cache.NewKind(c, fmt.Sprint("kind", i), cache.KindOptions[int, int]{
			Load: func(context.Context, int) (int, error) { return 1, nil },
		}))
		for id := range 60 {
			want(t, 1)(kind.Get(tracking, id))
		}
	}
	now := time.Now().UnixMilli()
	e := &store.Entry{Value: []byte("page"), Stamp: pages.Stamp(), Times: store.Times{Created: now}}
	deps.Inherit(e, now)
	if !slices.ContainsFunc(e.Deps, func(dep string) bool { return strings.HasPrefix(dep, ":2:") }) {
		t.Errorf("no dependency on version 2 in %v", e.Deps)
	}
}

// TestABlindMirrorTrustsNoWrongClock: what is older than Degraded by this process's own time is not served, whatever a clock says.
func TestABlindMirrorTrustsNoWrongClock(t *testing.T) {
	began := time.Now()
	for _, tt := range []struct {
		name          string
		first         bool          // whether the entry is of the first tier
		stepped       time.Duration // how the clock was set before the log fell silent
		created, goes time.Duration // the entry's age then, and how long the silence lasts
	}{
		{"the writer's clock is ahead", true, 0, time.Hour, time.Minute},
		{"this clock was set back", false, -time.Hour, 0, 10 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now := began
			m := mirror.New(mirror.Options{Now: func() time.Time { return now }, Degraded: 5 * time.Second})
			m.Confirm()
			now = now.Add(tt.stepped)
			m.SetBlind(true)
			e := &store.Entry{Times: store.Times{Created: now.Add(tt.created).UnixMilli()}}
			now = now.Add(tt.goes)
			if got := m.Judge("k", e, tt.first); got != mirror.Invalid {
				t.Errorf("judged %v after a silence of %v", got, tt.goes)
			}
		})
	}
}

// TestEveryJitteredTTLIsRenewedAhead: however short the jitter makes a value's life, its renewal begins within.
func TestEveryJitteredTTLIsRenewedAhead(t *testing.T) {
	c := open(t, memory(t), cache.Options{Policy: cache.Policy{TTL: 100 * time.Second, Jitter: 0.5}})
	never := 0
	for i := range 200 {
		key := fmt.Sprint(i)
		want(t, 1)(cache.Fetch(ctx, c, key, func(context.Context) (int, error) { return 1, nil }))
		if e := stored(t, c, key); e.Refresh == 0 || e.Refresh >= e.Fresh {
			never++
		}
	}
	if never > 0 {
		t.Errorf("%d of 200 values are never renewed ahead", never)
	}
}

// TestRefreshAtIsTakenAtItsWord: a small share of the TTL is not raised to a larger one.
func TestRefreshAtIsTakenAtItsWord(t *testing.T) {
	c := open(t, memory(t), cache.Options{Policy: cache.Policy{TTL: 100 * time.Second, Jitter: -1, RefreshAt: 0.2}})
	want(t, 1)(cache.Fetch(ctx, c, "k", func(context.Context) (int, error) { return 1, nil }))
	e := stored(t, c, "k")
	if got := e.Refresh - e.Created; got != 20_000 {
		t.Errorf("RefreshAt 0.2 of 100 s renews after %d ms", got)
	}
}

// TestATagIsNoLongerThanItMayBe: one that is longer would stay in every process's memory.
func TestATagIsNoLongerThanItMayBe(t *testing.T) {
	c := open(t, memory(t), steady())
	longest := strings.Repeat("x", cache.MaxTagLen)
	for what, end := range map[string]func(context.Context, ...string) error{"invalidate": c.InvalidateTags, "expire": c.ExpireTags} {
		must(t, end(ctx, longest))
		if err := end(ctx, longest+"x"); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}
