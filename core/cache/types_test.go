package cache_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/store"
)

type node struct {
	Name string
	Next *node
	Tags []string
}

func TestValuesAreIsolated(t *testing.T) {
	everyStore(t, func(t *testing.T, st store.Store) {
		c := open(t, st, steady())
		fresh := func() node { return node{"a", &node{Name: "b"}, []string{"x"}} }
		spoil := func(n *node) { n.Next.Name, n.Tags[0] = "spoiled", "spoiled" }
		intact := func(t *testing.T, n node, err error) {
			t.Helper()
			if err != nil || n.Next == nil || n.Next.Name != "b" || n.Tags[0] != "x" {
				t.Errorf("got %+v, %v", n, err)
			}
		}
		t.Run("set", func(t *testing.T) {
			v := fresh()
			must(t, cache.Set(ctx, c, "k", v))
			spoil(&v)
			for range 3 {
				got, err := cache.Get[node](ctx, c, "k")
				intact(t, got, err)
				spoil(&got)
			}
		})
		t.Run("fetch", func(t *testing.T) {
			for range 3 {
				got, err := cache.Fetch(ctx, c, "f", func(context.Context) (node, error) { return fresh(), nil })
				intact(t, got, err)
				spoil(&got)
			}
		})
		t.Run("kind", func(t *testing.T) {
			k := cache.Must(cache.NewKind(c, "node", cache.KindOptions[int, node]{
				Load: func(context.Context, int) (node, error) { return fresh(), nil },
			}))
			v := fresh()
			must(t, k.Set(ctx, 2, v))
			spoil(&v)
			for range 3 {
				got, err := k.Get(ctx, 1)
				intact(t, got, err)
				spoil(&got)
				many, err := k.GetMany(ctx, []int{1, 2})
				intact(t, many[1], err)
				intact(t, many[2], err)
				got = many[2]
				spoil(&got)
			}
		})
		t.Run("maps and slices", func(t *testing.T) {
			must(t, cache.Set(ctx, c, "m", map[string][]byte{"a": []byte("x")}))
			got, err := cache.Get[map[string][]byte](ctx, c, "m")
			must(t, err)
			got["a"][0] = '!'
			got, err = cache.Get[map[string][]byte](ctx, c, "m")
			if err != nil || string(got["a"]) != "x" {
				t.Errorf("got %q, %v", got, err)
			}
			must(t, cache.Set(ctx, c, "b", []byte("x")))
			b, err := cache.Get[[]byte](ctx, c, "b")
			must(t, err)
			b[0] = '!'
			if b, err = cache.Get[[]byte](ctx, c, "b"); err != nil || string(b) != "x" {
				t.Errorf("got %q, %v", b, err)
			}
		})
	})
}

var clones atomic.Int32

type cloner struct{ Tags []string }

func (c *cloner) Clone() *cloner {
	clones.Add(1)
	return &cloner{append([]string(nil), c.Tags...)}
}

func TestClone(t *testing.T) {
	var decodes atomic.Int32
	opts := steady()
	opts.Codec = counting{&decodes}
	c := open(t, memory(t), opts)
	k := cache.Must(cache.NewKind(c, "c", cache.KindOptions[int, *cloner]{
		Load: func(_ context.Context, id int) (*cloner, error) {
			if id == 0 {
				return nil, nil
			}
			return &cloner{[]string{"x"}}, nil
		},
	}))
	clones.Store(0)
	for range 5 {
		got, err := k.Get(ctx, 1)
		if err != nil || got.Tags[0] != "x" {
			t.Fatalf("got %v, %v", got, err)
		}
		got.Tags[0] = "spoiled"
	}
	if clones.Load() != 5 || decodes.Load() != 1 {
		t.Errorf("%d clones and %d decodes for 5 reads", clones.Load(), decodes.Load())
	}
	for range 2 {
		want[*cloner](t, nil)(k.Get(ctx, 0))
	}
}

func TestShared(t *testing.T) {
	c := open(t, memory(t), steady())
	k := cache.Must(cache.NewKind(c, "s", cache.KindOptions[int, *node]{
		Policy: cache.Policy{Shared: true},
		Load:   func(context.Context, int) (*node, error) { return &node{Name: "a"}, nil },
	}))
	first, err := k.Get(ctx, 1)
	must(t, err)
	want(t, first)(k.Get(ctx, 1))

	// What was passed to Set stays the caller's.
	v := &node{Name: "set"}
	must(t, k.Set(ctx, 2, v))
	got, err := k.Get(ctx, 2)
	if err != nil || got == v || got.Name != "set" {
		t.Errorf("got %p %+v, %v", got, got, err)
	}
	want(t, got)(k.Get(ctx, 2))
}

// counting is gob, and counts how often it decodes.
type counting struct{ decodes *atomic.Int32 }

func (counting) Name() string { return "counting" }

func (counting) Append(dst []byte, v any) ([]byte, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(v)
	return append(dst, b.Bytes()...), err
}

func (c counting) Decode(data []byte, v any) error {
	c.decodes.Add(1)
	return gob.NewDecoder(bytes.NewReader(data)).Decode(v)
}

type flat struct {
	ID   int64
	Name string
	At   time.Time
	Addr netip.Addr
	Sum  [4]uint32
}

func TestPointerFreeTypesAreDecodedOnce(t *testing.T) {
	var decodes atomic.Int32
	opts := steady()
	opts.Codec = counting{&decodes}
	c := open(t, memory(t), opts)
	v := flat{1, "a", time.UnixMilli(1e12).UTC(), netip.MustParseAddr("10.0.0.1"), [4]uint32{1, 2, 3, 4}}
	must(t, cache.Set(ctx, c, "k", v))
	for range 3 {
		want(t, v)(cache.Get[flat](ctx, c, "k"))
	}
	if decodes.Load() != 1 {
		t.Errorf("%d decodes", decodes.Load())
	}
	must(t, cache.Set(ctx, c, "n", node{Name: "a"}))
	for range 3 {
		_, err := cache.Get[node](ctx, c, "n")
		must(t, err)
	}
	if decodes.Load() != 4 {
		t.Errorf("%d decodes", decodes.Load())
	}
}
