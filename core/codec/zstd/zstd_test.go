package zstd

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/strata-cache/strata/core/codec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, inner codec.Codec, o Options) codec.Codec {
	t.Helper()
	c, err := New(inner, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func noise(n int) []byte {
	r, b := rand.New(rand.NewPCG(1, 2)), make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// texts are payloads of many sizes around the borders: of MinSize, of a block, of the window.
func texts() [][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	var out [][]byte
	for _, n := range []int{0, 1, 255, 256, 1023, 1024, 64 << 10, 128 << 10, 128<<10 + 1, window + 5} {
		words := make([]byte, 0, n+20)
		for len(words) < n {
			words = fmt.Appendf(words, "<li>%d</li>\n", r.IntN(2000))
		}
		out = append(out, words[:n], noise(n), make([]byte, n))
	}
	return out
}

func TestRoundTrip(t *testing.T) {
	for name, o := range map[string]Options{"defaults": {}, "all": {MinSize: -1}, "no limit": {MaxSize: -1}} {
		t.Run(name, func(t *testing.T) {
			c := open(t, codec.Raw(), o)
			for _, v := range texts() {
				data, err := c.Append([]byte("dst"), v)
				if err != nil || !bytes.HasPrefix(data, []byte("dst")) {
					t.Fatalf("%d bytes: %v", len(v), err)
				}
				data = data[3:]
				if len(data) > len(v)+1 {
					t.Errorf("%d bytes became %d", len(v), len(data))
				}
				own := bytes.Clone(data)
				var got []byte
				if err := c.Decode(own, &got); err != nil {
					t.Fatalf("%d bytes: %v", len(v), err)
				}
				clear(own) // what was decoded must not notice
				if !bytes.Equal(got, v) {
					t.Errorf("%d bytes came back as %d others", len(v), len(got))
				}
			}
		})
	}
}

func TestMarkers(t *testing.T) {
	c, raw := open(t, codec.JSON(), Options{MinSize: 100}), open(t, codec.Raw(), Options{MinSize: 100})
	for name, tc := range map[string]struct {
		v    any
		mark byte
	}{
		"short":                {strings.Repeat("a", 97), markPlain},
		"MinSize, with quotes": {strings.Repeat("a", 98), markCompressed},
		"nothing to gain":      {noise(200), markPlain},
	} {
		in := c
		if _, ok := tc.v.([]byte); ok {
			in = raw
		}
		if data := must(in.Append(nil, tc.v)); data[0] != tc.mark {
			t.Errorf("%s: marked %d", name, data[0])
		}
	}
	var v struct{ A []int }
	if data := must(c.Append(nil, v)); string(data) != "\x00{\"A\":null}" {
		t.Errorf("%q", data)
	}
}

func TestName(t *testing.T) {
	for want, o := range map[string]Options{"zstd(1024;json)": {MaxSize: 7}, "zstd(0;json)": {MinSize: -1}, "zstd(99;json)": {MinSize: 99}} {
		if got := open(t, codec.JSON(), o).Name(); got != want {
			t.Errorf("%+v: %s, want %s", o, got, want)
		}
	}
	if _, err := New(nil, Options{}); err == nil {
		t.Error("no inner codec is no error")
	}
}

// The bytes must not depend on what an encoder has met before, nor on how many there are.
func TestDeterministic(t *testing.T) {
	used, all := open(t, codec.Raw(), Options{MinSize: -1}), texts()[9:]
	want := make([][]byte, len(all))
	for i, v := range all {
		want[i] = must(open(t, codec.Raw(), Options{MinSize: -1}).Append(nil, v))
	}
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			for _, i := range rand.New(rand.NewPCG(3, uint64(w))).Perm(len(all)) {
				if got := must(used.Append(nil, all[i])); !bytes.Equal(got, want[i]) {
					t.Errorf("%d bytes are compressed in another way by a used encoder", len(all[i]))
				}
			}
		})
	}
	wg.Wait()
}

func TestLimit(t *testing.T) {
	big, small := open(t, codec.Raw(), Options{MaxSize: -1}), open(t, codec.Raw(), Options{MaxSize: 1 << 20})
	over, at := make([]byte, 1<<20+1), make([]byte, 1<<20)
	if out, err := small.Append([]byte("dst"), over); !errors.Is(err, ErrTooLarge) || string(out) != "dst" {
		t.Errorf("append: %d bytes, %v", len(out), err)
	}
	var got []byte
	if err := small.Decode(must(big.Append(nil, over)), &got); !errors.Is(err, ErrTooLarge) {
		t.Errorf("decode compressed: %v", err)
	}
	if err := small.Decode(append([]byte{markPlain}, over...), &got); !errors.Is(err, ErrTooLarge) {
		t.Errorf("decode plain: %v", err)
	}
	if err := small.Decode(must(big.Append(nil, at)), &got); err != nil || len(got) != len(at) {
		t.Errorf("at the limit: %v", err)
	}
}

// stream returns src as a zstd frame that does not say how long its content is.
func stream(t *testing.T, src []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	e, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = e.Write(src[:len(src)/2]); err == nil {
		err = e.Flush()
	}
	if err == nil {
		_, err = e.Write(src[len(src)/2:])
	}
	if err := errors.Join(err, e.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestJunk(t *testing.T) {
	c := open(t, codec.Raw(), Options{MinSize: -1})
	good := must(c.Append(nil, make([]byte, 2000)))
	claim := func(size byte) []byte { // a frame header with a content size of 8 bytes, and an empty block
		return []byte{markCompressed, 0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, size, 0, 0, 0, 0, 1, 0, 0}
	}
	for name, data := range map[string][]byte{
		"nothing": nil, "other mark": {2, 1, 2}, "no frame": {markCompressed}, "text": []byte("\x01text that is no frame"),
		"cut": good[:len(good)-1], "two frames": append(slices.Clip(good), good[1:]...),
		"a frame and an empty one": append(slices.Clip(good), must(c.Append(nil, make([]byte, 2000)))[1:5]...),
		"skippable":                {markCompressed, 0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 0},
		"size unknown":             append([]byte{markCompressed}, stream(t, make([]byte, 2000))...),
		"claims 16 MiB":            claim(1), "claims 4 GiB": claim(255),
	} {
		var got []byte
		if err := c.Decode(data, &got); err == nil {
			t.Errorf("%s decodes to %d bytes", name, len(got))
		}
	}
	if n := testing.AllocsPerRun(10, func() {
		var got []byte
		if c.Decode(claim(1), &got) == nil {
			t.Error("accepted")
		}
	}); n > 3 {
		t.Errorf("%v allocations for a claim", n)
	}
}

func TestInnerErrors(t *testing.T) {
	c := open(t, codec.Raw(), Options{})
	if out, err := c.Append([]byte("dst"), 1); !errors.Is(err, codec.ErrUnsupportedType) || string(out) != "dst" {
		t.Errorf("%q, %v", out, err)
	}
	check := func(inner codec.Codec, ty reflect.Type) error {
		return open(t, inner, Options{}).(codec.TypeChecker).CheckType(ty)
	}
	if err := check(codec.Raw(), reflect.TypeFor[int]()); !errors.Is(err, codec.ErrUnsupportedType) {
		t.Error(err)
	}
	if err := check(codec.JSON(), reflect.TypeFor[int]()); err != nil {
		t.Error(err)
	}
}

func TestProperty(t *testing.T) {
	c := open(t, codec.JSON(), Options{MinSize: 64})
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.MapOf(rapid.StringMatching("[a-c]{0,30}"), rapid.SliceOf(rapid.Int())).Draw(t, "v")
		var got map[string][]int
		if err := c.Decode(must(c.Append(nil, v)), &got); err != nil || !reflect.DeepEqual(got, v) {
			t.Fatalf("%v, want %v, %v", got, v, err)
		}
	})
}

func FuzzDecode(f *testing.F) {
	c := open(f, codec.Raw(), Options{MaxSize: 1 << 20, MinSize: -1})
	f.Add([]byte{})
	for _, v := range [][]byte{nil, []byte("once, once and once more"), make([]byte, 3000)} {
		f.Add(must(c.Append(nil, v)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got []byte
		if c.Decode(data, &got) == nil && len(got) > 1<<20 {
			t.Errorf("%d bytes", len(got))
		}
	})
}

func BenchmarkZstd(b *testing.B) {
	c, v := open(b, codec.Raw(), Options{}), texts()[18] // 64 KiB of list items
	data := must(c.Append(nil, v))
	b.Run("append", func(b *testing.B) {
		b.SetBytes(int64(len(v)))
		b.ReportAllocs()
		for b.Loop() {
			must(c.Append(data[:0], v))
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.SetBytes(int64(len(v)))
		b.ReportAllocs()
		for b.Loop() {
			var got []byte
			if err := c.Decode(data, &got); err != nil {
				b.Fatal(err)
			}
		}
	})
}
