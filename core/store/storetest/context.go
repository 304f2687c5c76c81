package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/strata-cache/strata/core/store"
)

// contextCases: a store inside the process may answer in spite of a context that has ended; one that
// has to wait for somebody may not.
func contextCases() []testCase[store.Store] {
	canceled := func(b box) context.Context {
		ctx, cancel := context.WithCancel(b.ctx)
		cancel()
		return ctx
	}
	expired := func(b box) context.Context {
		ctx, cancel := context.WithDeadline(b.ctx, time.Now().Add(-time.Second))
		b.t.Cleanup(cancel)
		return ctx
	}
	return []testCase[store.Store]{
		{"one that is canceled already", func(b box, _ store.Store) { endedContext(b, canceled(b)) }},
		{"one whose deadline has passed", func(b box, _ store.Store) { endedContext(b, expired(b)) }},
	}
}

func endedContext(b box, ctx context.Context) {
	b.set("k", entry("v"))
	seen := b.get("k")
	for _, op := range operations(b.s, seen) {
		start := time.Now()
		err := op.run(ctx, "under:"+op.name)
		if took := time.Since(start); took > time.Second {
			b.t.Errorf("%s took %v under a context that had ended", op.name, took)
		}
		if err != nil && !errors.Is(err, ctx.Err()) && !errors.Is(err, store.ErrMiss) {
			b.t.Errorf("%s: %v, want nil, a miss or %v", op.name, err, ctx.Err())
		}
	}
	b.wantValue("k", "v")
	b.set("k", entry("still at work"))
	b.wantValue("k", "still at work")
}
