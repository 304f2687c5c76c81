package cache

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
)

// faultWindow is how long a store fault stays quiet in the log after one line.
const faultWindow = time.Minute

// faultLog lets one line through in a window and counts the rest.
type faultLog struct {
	mu         sync.Mutex
	last       time.Time
	suppressed int
}

// allow reports whether a line may be written now, and how many were held back since the last one.
func (f *faultLog) allow(now time.Time) (held int, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.last.IsZero() && now.Sub(f.last) < faultWindow {
		f.suppressed++
		return 0, false
	}
	held, f.suppressed, f.last = f.suppressed, 0, now
	return held, true
}

// storeFailed turns a store's error into an event and, once a window, a line in the log. A caller that
// gave up is not the store's fault.
func (e *engine) storeFailed(ctx context.Context, op event.Op, err error) {
	if errors.Is(err, store.ErrClosed) || errors.Is(err, ErrUnreachable) || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return
	}
	e.unanswered(err)
	if o := e.opts.Observer; o != nil && o.StoreError != nil {
		o.StoreError(ctx, event.StoreError{Cache: e.opts.Name, Op: op, Err: err})
	}
	if held, ok := e.faults.allow(time.Now()); ok {
		e.opts.Logger.LogAttrs(ctx, slog.LevelWarn, "cache: the store fails; loaders answer",
			slog.String("cache", e.opts.Name), slog.String("op", op.String()), slog.Any("error", err), slog.Int("suppressed", held))
	}
}

// corrupt reports bytes that could not be used as an entry or value.
func (e *engine) corrupt(ctx context.Context, kind, key string, err error) {
	if o := e.opts.Observer; o != nil && o.Corrupt != nil {
		o.Corrupt(ctx, event.Corrupt{Cache: e.opts.Name, Kind: kind, Key: key, Err: err})
	}
}

// refused reports a value that was made but not stored. reason is one of a small fixed set.
func (e *engine) refused(ctx context.Context, kind string, layer event.Layer, reason string) {
	if o := e.opts.Observer; o != nil && o.Refused != nil {
		o.Refused(ctx, event.Refused{Cache: e.opts.Name, Kind: kind, Layer: layer, Reason: reason})
	}
}

func (e *engine) rejected(ctx context.Context, kind string, err error) {
	if o := e.opts.Observer; o != nil && o.Rejected != nil {
		o.Rejected(ctx, event.Rejected{Cache: e.opts.Name, Kind: kind, Err: err})
	}
}

func (e *engine) report(ctx context.Context, call event.Call) {
	if o := e.opts.Observer; o != nil && o.Call != nil {
		call.Cache = e.opts.Name
		o.Call(ctx, call)
	}
}
