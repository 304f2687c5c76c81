package cache

import (
	"context"
	"time"

	"golang.org/x/sync/semaphore"
)

// bulkhead bounds the loads that run at the same time: a database that is asked more than it can bear
// answers nobody. Nil bounds nothing.
type bulkhead struct {
	places *semaphore.Weighted
	wait   time.Duration
}

func newBulkhead(p *Policy) *bulkhead {
	if p.MaxLoads < 0 {
		return nil
	}
	return &bulkhead{places: semaphore.NewWeighted(int64(p.MaxLoads)), wait: p.LoadWait}
}

// enter takes a place, which leave frees. It returns ErrOverload where none becomes free in time, or the
// cause of ctx's end.
func (b *bulkhead) enter(ctx context.Context) (leave func(), err error) {
	if b == nil {
		return func() {}, nil
	}
	leave = func() { b.places.Release(1) }
	if b.places.TryAcquire(1) {
		return leave, nil
	}
	if b.wait < 0 {
		return nil, ErrOverload
	}
	timed, cancel := context.WithTimeout(ctx, b.wait)
	defer cancel()
	if b.places.Acquire(timed, 1) == nil {
		return leave, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nil, ErrOverload
}
