// Package fragment caches parts of pages: what one piece of a template, or of a hand-written writer, puts
// out. It is Django's template fragment cache as a Go function, for every engine that writes to an
// io.Writer.
//
//	frags := fragment.New(c)
//	err := frags.Write(ctx, w, "sidebar:"+lang, 5*time.Minute, func(ctx context.Context, w io.Writer) error {
//		return sidebar.ExecuteTemplate(w, "sidebar", data)
//	})
//
// The key has to name everything that the fragment depends on. What is stored is written as it is, so a
// fragment belongs where it was made: one rendered as HTML text must not be written into an attribute, a
// script or a URL.
package fragment

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/event"
)

// Fragments are the fragments of one cache. Make them with New. They are safe for concurrent use.
type Fragments struct {
	kind *cache.Kind[string, []byte]
	err  error
}

type layerKey struct{}

// New returns the fragments of c, in the version that c is a view of. They live in its region "fragment",
// with the cache's policy. All calls for one cache return the same fragments; where there can be none,
// because c is nil or a kind is called "fragment", Write returns the reason.
func New(c *cache.Cache) *Fragments {
	if c == nil {
		return &Fragments{err: errors.New("fragment: New needs a cache")}
	}
	f, err := c.Layer(layerKey{}, func() (any, error) {
		// Shared: nobody modifies what Write hands to a writer, so that a hit copies nothing.
		kind, err := cache.NewLayerKind(c, event.LayerFragment, "fragment", cache.KindOptions[string, []byte]{
			Policy:  cache.Policy{Shared: true},
			Inherit: true,
		})
		return &Fragments{kind: kind}, err
	})
	if err != nil {
		return &Fragments{err: err}
	}
	return f.(*Fragments)
}

// Write writes the fragment under key to w: from the cache, or as render makes it, which is then stored for
// ttl. 0 is the TTL of the cache's policy; negative: the fragment is not cached, and render writes to w
// directly; cache.Forever: it does not expire.
//
// render writes to a buffer, so that nothing is written to w, and nothing stored, when it fails. Its error
// comes back as it is, a panic as *cache.PanicError. Concurrent calls for one key share one run of it, on a
// context of its own (see cache.Fetch), which render has to pass on. Where it fails and an older fragment
// is there within the policy's StaleFor, that is written. w is not kept and gets one Write, whose slice it
// must not modify, as io.Writer says.
func (f *Fragments) Write(ctx context.Context, w io.Writer, key string, ttl time.Duration, render func(context.Context, io.Writer) error) error {
	switch {
	case f.err != nil:
		return f.err
	case render == nil:
		return errors.New("fragment: Write needs a function that renders")
	}
	if ttl < 0 {
		return render(ctx, w)
	}
	body, err := f.kind.Fetch(ctx, key, func(ctx context.Context, _ string) ([]byte, error) { return capture(ctx, render) }, cache.TTL(ttl))
	if err != nil {
		return err
	}
	_, err = w.Write(body)
	return err
}

// Delete removes the fragments under the keys and returns how many there were. Those that are being
// rendered meanwhile are not stored.
func (f *Fragments) Delete(ctx context.Context, keys ...string) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return f.kind.Delete(ctx, keys...)
}

// Clear removes all fragments.
func (f *Fragments) Clear(ctx context.Context) error {
	if f.err != nil {
		return f.err
	}
	return f.kind.Clear(ctx)
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxPooled is the largest buffer that is used again.
const maxPooled = 256 << 10

func capture(ctx context.Context, render func(context.Context, io.Writer) error) ([]byte, error) {
	buf := buffers.Get().(*bytes.Buffer)
	buf.Reset()
	if err := render(ctx, buf); err != nil {
		// Not pooled again: a render that has failed may have left a goroutine that writes to it.
		return nil, err
	}
	// Never nil: an empty fragment is a fragment.
	body := append(make([]byte, 0, buf.Len()), buf.Bytes()...)
	if buf.Cap() <= maxPooled {
		buffers.Put(buf)
	}
	return body, nil
}
