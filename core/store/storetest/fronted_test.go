package storetest_test

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/storetest"
)

// frontedReference is one reference store in front of another. It offers nothing but store.Fronted.
type frontedReference struct {
	fault         string
	front, behind *reference
}

func newFrontedReference(fault string) *frontedReference {
	return &frontedReference{fault: fault, front: newReference(""), behind: newReference("")}
}

func TestRunPassesTheFrontedReference(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return newFrontedReference(os.Getenv(faultEnv)) })
}

func (f *frontedReference) Capability(target any) bool {
	t, ok := target.(*store.Fronted)
	if ok {
		*t = f
	}
	return ok
}

func (f *frontedReference) Get(ctx context.Context, key string) (*store.Entry, error) {
	e, _, err := f.GetValid(ctx, key, nil)
	return e, err
}

func (f *frontedReference) GetValid(ctx context.Context, key string, valid store.Validator) (*store.Entry, int, error) {
	var best *store.Entry
	at := 0
	for i, s := range []*reference{f.front, f.behind} {
		e, err := s.Get(ctx, key)
		switch {
		case errors.Is(err, store.ErrMiss):
			continue
		case err != nil:
			return nil, 0, err
		case valid != nil && !valid(key, e) && f.fault != "invalid entries are returned":
			continue
		case best == nil || e.Fresh > best.Fresh:
			best, at = e, i+1
		}
		if e.IsFresh(now()) || f.fault == "a stale entry hides a fresh one" {
			break
		}
	}
	if best == nil {
		return nil, 0, store.ErrMiss
	}
	if at > 1 && f.fault != "nothing is copied up" {
		if err := f.front.Set(ctx, key, best); err != nil {
			return nil, 0, err
		}
	}
	return best, at, nil
}

func (f *frontedReference) GetManyValid(ctx context.Context, keys []string, valid store.Validator) ([]*store.Entry, error) {
	entries := make([]*store.Entry, len(keys))
	for i, k := range keys {
		if f.fault == "GetManyValid takes everything" {
			valid = nil
		}
		e, _, err := f.GetValid(ctx, k, valid)
		if err != nil && !errors.Is(err, store.ErrMiss) {
			return nil, err
		}
		entries[i] = e
	}
	return entries, nil
}

func (f *frontedReference) Set(ctx context.Context, key string, e *store.Entry) error {
	return errors.Join(f.behind.Set(ctx, key, e), f.front.Set(ctx, key, e))
}

func (f *frontedReference) Delete(ctx context.Context, keys ...string) (int, error) {
	n, err := f.behind.Delete(ctx, keys...)
	if f.fault == "Delete leaves the first tier" {
		return n, err
	}
	_, frontErr := f.front.Delete(ctx, keys...)
	return n, errors.Join(err, frontErr)
}

func (f *frontedReference) Clear(ctx context.Context, prefix string) error {
	return errors.Join(f.behind.Clear(ctx, prefix), f.front.Clear(ctx, prefix))
}

func (f *frontedReference) Close() error { return errors.Join(f.front.Close(), f.behind.Close()) }

func (f *frontedReference) Peek(key []byte) *store.Entry {
	if f.fault == "Peek looks behind" {
		e, _ := f.Get(context.Background(), string(key))
		return e
	}
	e, _ := f.front.Get(context.Background(), string(key))
	return e
}

func (f *frontedReference) SetFront(key string, e *store.Entry) error {
	if f.fault == "SetFront stores behind" {
		return f.Set(context.Background(), key, e)
	}
	return f.front.Set(context.Background(), key, e)
}

func (f *frontedReference) DropFront(keys ...string) {
	_, _ = f.front.Delete(context.Background(), keys...)
}

func (f *frontedReference) ClearFront(prefix string) {
	_ = f.front.Clear(context.Background(), prefix)
}
