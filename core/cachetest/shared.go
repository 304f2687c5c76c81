package cachetest

import (
	"context"
	"time"

	"github.com/strata-cache/strata/core/store"
)

// The capabilities of stores that processes share.

type leaser struct {
	c  *Chaos
	in store.Leaser
}

func (l leaser) Lease(ctx context.Context, key string, r store.LeaseRequest) (store.Lease, error) {
	v, err := l.c.begin(ctx, OpLease, key)
	if err != nil {
		return store.Lease{}, err
	}
	a, err := l.in.Lease(ctx, key, r)
	if err == nil && a.Entry != nil {
		a.Entry, err = v.entry(key, a.Entry)
	}
	return a, err
}

func (l leaser) SetLeased(ctx context.Context, key, token string, e *store.Entry) (bool, error) {
	v, err := l.c.begin(ctx, OpSet, key)
	if err != nil || v.drop(key) {
		return err == nil, err
	}
	return l.in.SetLeased(ctx, key, token, e)
}

func (l leaser) RenewLease(ctx context.Context, key, token string, ttl time.Duration) (bool, error) {
	v, err := l.c.begin(ctx, OpLease, key)
	if err != nil || v.drop(key) {
		return err == nil, err
	}
	return l.in.RenewLease(ctx, key, token, ttl)
}

func (l leaser) ReleaseLease(ctx context.Context, key, token string, result store.LeaseResult, backOff time.Duration) error {
	v, err := l.c.begin(ctx, OpLease, key)
	if err != nil || v.drop(key) {
		return err
	}
	return l.in.ReleaseLease(ctx, key, token, result, backOff)
}

// Wakes meets faults without a Key when it begins, and drops the wake-ups that a fault drops.
func (l leaser) Wakes(ctx context.Context, node string, ready func(), wake func(store.Wake)) error {
	if _, err := l.c.begin(ctx, OpLease); err != nil {
		return err
	}
	return l.in.Wakes(ctx, node, ready, func(w store.Wake) {
		if !l.c.peek(OpLease, w.Key).drop(w.Key) {
			wake(w)
		}
	})
}

// peek is met for what is no operation of its own.
func (c *Chaos) peek(op Op, keys ...string) verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	var v verdict
	for _, f := range c.faults {
		if f.meets(op, keys) {
			v = append(v, f.Fault)
		}
	}
	return v
}

type locker struct {
	c  *Chaos
	in store.Locker
}

func (l locker) Lock(ctx context.Context, name, token, node string, ttl time.Duration) (fence int64, left time.Duration, err error) {
	if _, err := l.c.begin(ctx, OpLock, name); err != nil {
		return 0, 0, err
	}
	return l.in.Lock(ctx, name, token, node, ttl)
}

func (l locker) ExtendLock(ctx context.Context, name, token string, ttl time.Duration) (bool, error) {
	v, err := l.c.begin(ctx, OpLock, name)
	if err != nil || v.drop(name) {
		return err == nil, err
	}
	return l.in.ExtendLock(ctx, name, token, ttl)
}

func (l locker) Unlock(ctx context.Context, name, token string) (bool, error) {
	v, err := l.c.begin(ctx, OpLock, name)
	if err != nil || v.drop(name) {
		return err == nil, err
	}
	return l.in.Unlock(ctx, name, token)
}

type log struct {
	c  *Chaos
	in store.Log
}

func (l log) Append(ctx context.Context, ch store.Change, after store.Position) (store.Appended, error) {
	keys := append(keysOf(ch.Set), ch.Delete...)
	if ch.Add != nil {
		keys = append(keys, ch.Add.Key)
	}
	v, err := l.c.begin(ctx, OpAppend, keys...)
	if err != nil {
		return store.Appended{}, err
	}
	ch.Set = v.kept(ch.Set)
	return l.in.Append(ctx, ch, after)
}

func (l log) ReadLog(ctx context.Context, after store.Position, wait time.Duration) ([]store.Record, error) {
	if _, err := l.c.begin(ctx, OpRead); err != nil {
		return nil, err
	}
	return l.in.ReadLog(ctx, after, wait)
}

func (l log) LogEnds(ctx context.Context) (first, last store.Record, err error) {
	if _, err := l.c.begin(ctx, OpRead); err != nil {
		return store.Record{}, store.Record{}, err
	}
	return l.in.LogEnds(ctx)
}

type bitmaps struct {
	c  *Chaos
	in store.Bitmaps
}

func (b bitmaps) LoadBitmaps(ctx context.Context, name string) (store.BitmapSet, error) {
	if _, err := b.c.begin(ctx, OpBitmap, name); err != nil {
		return store.BitmapSet{}, err
	}
	return b.in.LoadBitmaps(ctx, name)
}

func (b bitmaps) OpenBitmap(ctx context.Context, name string, want store.Bitmap) (store.Bitmap, error) {
	if _, err := b.c.begin(ctx, OpBitmap, name); err != nil {
		return store.Bitmap{}, err
	}
	return b.in.OpenBitmap(ctx, name, want)
}

func (b bitmaps) SetBits(ctx context.Context, name string, writes []store.BitmapWrite) ([]uint64, error) {
	if _, err := b.c.begin(ctx, OpBitmap, name); err != nil {
		return nil, err
	}
	return b.in.SetBits(ctx, name, writes)
}

func (b bitmaps) TestBits(ctx context.Context, name string, m store.Bitmap, bits []uint64) (all bool, seq uint64, err error) {
	if _, err := b.c.begin(ctx, OpBitmap, name); err != nil {
		return false, 0, err
	}
	return b.in.TestBits(ctx, name, m, bits)
}

func (b bitmaps) MergeBitmap(ctx context.Context, name string, m store.Bitmap, offset uint64, data []byte) (uint64, error) {
	if _, err := b.c.begin(ctx, OpBitmap, name); err != nil {
		return 0, err
	}
	return b.in.MergeBitmap(ctx, name, m, offset, data)
}

func (b bitmaps) ReadBitmap(ctx context.Context, name string, m store.Bitmap, offset uint64, n int) ([]byte, error) {
	if _, err := b.c.begin(ctx, OpBitmap, name); err != nil {
		return nil, err
	}
	return b.in.ReadBitmap(ctx, name, m, offset, n)
}

func (b bitmaps) SealBitmap(ctx context.Context, name string, m store.Bitmap, count uint64) error {
	if _, err := b.c.begin(ctx, OpBitmap, name); err != nil {
		return err
	}
	return b.in.SealBitmap(ctx, name, m, count)
}

func (b bitmaps) DropBitmap(ctx context.Context, name string, m store.Bitmap) error {
	if _, err := b.c.begin(ctx, OpBitmap, name); err != nil {
		return err
	}
	return b.in.DropBitmap(ctx, name, m)
}

func (b bitmaps) HoldBitmaps(ctx context.Context, name string, owner uint64, ttl time.Duration) (bool, error) {
	if _, err := b.c.begin(ctx, OpBitmap, name); err != nil {
		return false, err
	}
	return b.in.HoldBitmaps(ctx, name, owner, ttl)
}
