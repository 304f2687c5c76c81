package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/strata-cache/strata/core/store"
)

func frameOf(t testing.TB, key string, e *store.Entry) []byte {
	t.Helper()
	f, err := AppendFrame(nil, key, e)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func drawEntry(t *rapid.T) (key string, e *store.Entry) {
	labels := rapid.SliceOfN(rapid.StringN(0, 40, -1), 0, 8)
	e = &store.Entry{
		Value: rapid.SliceOf(rapid.Byte()).Draw(t, "value"),
		Times: store.Times{
			Created: rapid.Int64().Draw(t, "created"), Refresh: rapid.Int64().Draw(t, "refresh"),
			Fresh: rapid.Int64().Draw(t, "fresh"), Gone: rapid.Int64().Draw(t, "gone"),
		},
		Stamp:    store.Position{Time: rapid.Uint64().Draw(t, "stamp"), Seq: rapid.Uint64().Draw(t, "seq")},
		Schema:   rapid.Uint64().Draw(t, "schema"),
		LoadCost: time.Duration(rapid.Int64().Draw(t, "cost")),
		Priority: store.Priority(rapid.IntRange(0, int(store.PriorityCritical)).Draw(t, "priority")),
		Flags:    store.Flags(rapid.IntRange(0, int(knownFlags)).Draw(t, "flags")),
		Tags:     labels.Draw(t, "tags"),
		Deps:     labels.Draw(t, "deps"),
	}
	// Nothing tells nil from empty in a frame.
	if len(e.Value) == 0 {
		e.Value = nil
	}
	if len(e.Tags) == 0 {
		e.Tags = nil
	}
	if len(e.Deps) == 0 {
		e.Deps = nil
	}
	return string(rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "key")), e
}

func TestFrameRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key, e := drawEntry(t)
		prefix := rapid.SliceOf(rapid.Byte()).Draw(t, "dst")
		out, err := AppendFrame(bytes.Clone(prefix), key, e)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(out, prefix) {
			t.Fatal("dst is not kept")
		}
		frame := out[len(prefix):]
		if len(frame) != FrameSize(key, e) || !IsFrame(frame) {
			t.Fatalf("%d bytes, FrameSize says %d", len(frame), FrameSize(key, e))
		}
		got, err := DecodeFrame(key, frame)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, e) {
			t.Fatalf("got %+v, want %+v", got, e)
		}
		if h, err := Header(key, e); err != nil || !bytes.Equal(h, frame[:HeaderSize]) {
			t.Fatalf("Header: %x, %v", h, err)
		}
		if fresh := int64(binary.BigEndian.Uint64(frame[FreshOffset:])); fresh != e.Fresh {
			t.Fatalf("%d at FreshOffset, want %d", fresh, e.Fresh)
		}
		if _, err := DecodeFrame(key+"x", frame); !errors.Is(err, ErrOtherKey) {
			t.Fatalf("other key: %v", err)
		}
	})
}

func TestRetime(t *testing.T) {
	e := &store.Entry{Value: []byte("v"), Times: store.Times{Created: 1, Fresh: 2, Gone: 3}, Tags: []string{"t"}}
	frame := frameOf(t, "k", e)
	before := bytes.Clone(frame)
	times := store.Times{Created: 1, Refresh: 5, Fresh: 7, Gone: 9}
	h := Retime(frame, times)
	if !bytes.Equal(frame, before) {
		t.Error("Retime wrote to its argument")
	}
	if want := frameOf(t, "k", e.WithTimes(times)); !bytes.Equal(append(h, frame[HeaderSize:]...), want) {
		t.Error("a retimed header is not that of the retimed entry")
	}
}

func TestAppendFrameRefuses(t *testing.T) {
	long := strings.Repeat("x", MaxLabel+1)
	for name, tc := range map[string]struct {
		key string
		e   *store.Entry
	}{
		"long key":         {long + "x", &store.Entry{}},
		"many tags":        {"k", &store.Entry{Tags: make([]string, MaxLabels+1)}},
		"many deps":        {"k", &store.Entry{Deps: make([]string, MaxLabels+1)}},
		"long tag":         {"k", &store.Entry{Tags: []string{long}}},
		"long dep":         {"k", &store.Entry{Deps: []string{long}}},
		"unknown flag":     {"k", &store.Entry{Flags: 1 << 15}},
		"unknown priority": {"k", &store.Entry{Priority: store.PriorityCritical + 1}},
	} {
		t.Run(name, func(t *testing.T) {
			if out, err := AppendFrame([]byte("dst"), tc.key, tc.e); !errors.Is(err, ErrUnencodable) || string(out) != "dst" {
				t.Errorf("%q, %v", out, err)
			}
			if _, err := Header(tc.key, tc.e); !errors.Is(err, ErrUnencodable) {
				t.Errorf("Header: %v", err)
			}
		})
	}
	full := &store.Entry{Tags: make([]string, MaxLabels), Deps: make([]string, MaxLabels)}
	full.Tags[7], full.Deps[9] = long[1:], long[1:]
	key := long + long[:MaxKey-len(long)]
	if got, err := DecodeFrame(key, frameOf(t, key, full)); err != nil || !reflect.DeepEqual(got, full) {
		t.Errorf("at the limits: %v", err)
	}
}

// resigned returns frame after change, with checksums that match.
func resigned(frame []byte, change func(f []byte)) []byte {
	f := bytes.Clone(frame)
	change(f)
	sign(f, checksum(f[HeaderSize:]))
	return f
}

func TestDecodeFrameRefuses(t *testing.T) {
	be := binary.BigEndian
	good := frameOf(t, "key", &store.Entry{Value: []byte("value"), Tags: []string{"tag"}, Deps: []string{"dep"}})
	for name, tc := range map[string]struct {
		frame []byte
		want  error
	}{
		"nothing":            {nil, ErrForeign},
		"text":               {[]byte("12345"), ErrForeign},
		"version 0":          {resigned(good, func(f []byte) { f[versionAt] = 0 }), ErrForeign},
		"newer version":      {resigned(good, func(f []byte) { f[versionAt]++ }), ErrVersion},
		"newer, much longer": {append(resigned(good, func(f []byte) { f[versionAt]++ }), "more"...), ErrVersion},
		"HMAC flag":          {resigned(good, func(f []byte) { f[4] |= 0x80 }), ErrFlags},
		"unknown flag":       {resigned(good, func(f []byte) { f[5] |= 8 }), ErrFlags},
		"priority":           {resigned(good, func(f []byte) { f[6] = 200 }), ErrMalformed},
		"reserved byte":      {resigned(good, func(f []byte) { f[7] = 1 }), ErrMalformed},
		"reserved word":      {resigned(good, func(f []byte) { f[91] = 1 }), ErrMalformed},
		"key too long":       {resigned(good, func(f []byte) { be.PutUint32(f[72:], MaxKey+1) }), ErrMalformed},
		"too many tags":      {resigned(good, func(f []byte) { be.PutUint16(f[76:], MaxLabels+1) }), ErrMalformed},
		"too many deps":      {resigned(good, func(f []byte) { be.PutUint16(f[78:], MaxLabels+1) }), ErrMalformed},
		"key beyond body":    {resigned(good, func(f []byte) { be.PutUint32(f[72:], MaxKey) }), ErrTruncated},
		"value beyond body":  {resigned(good, func(f []byte) { be.PutUint32(f[80:], 1<<32-1) }), ErrTruncated},
		"value too short":    {resigned(good, func(f []byte) { be.PutUint32(f[80:], 4) }), ErrTruncated},
		"one tag too many":   {resigned(good, func(f []byte) { be.PutUint16(f[76:], 2) }), ErrTruncated},
		"no labels":          {resigned(good, func(f []byte) { be.PutUint32(f[76:], 0) }), ErrTruncated},
		"label beyond":       {resigned(good, func(f []byte) { f[HeaderSize+3] = 1 }), ErrTruncated},
		"trailing byte":      {resigned(append(slices.Clip(good), 0), func([]byte) {}), ErrTruncated},
		"body checksum":      {append(good[:len(good)-1:len(good)-1], 'x'), ErrChecksum},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := DecodeFrame("key", tc.frame); !errors.Is(err, tc.want) || !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("%v, want %v", err, tc.want)
			}
		})
	}
}

func TestDecodeFrameAllocates(t *testing.T) {
	frame := frameOf(t, "key", &store.Entry{Value: make([]byte, 1000), Tags: []string{"a", "b", "c"}, Deps: []string{"d", "e"}})
	if n := testing.AllocsPerRun(100, func() {
		if _, err := DecodeFrame("key", frame); err != nil {
			t.Fatal(err)
		}
	}); n > 3 {
		t.Errorf("%v allocations", n)
	}
	// A claim that the length does not justify allocates nothing.
	hostile := resigned(frameOf(t, "key", &store.Entry{}), func(f []byte) {
		binary.BigEndian.PutUint16(f[76:], MaxLabels)
		binary.BigEndian.PutUint16(f[78:], MaxLabels)
	})
	if n := testing.AllocsPerRun(100, func() {
		if _, err := DecodeFrame("key", hostile); err == nil {
			t.Fatal("accepted")
		}
	}); n > 0 {
		t.Errorf("%v allocations for claims", n)
	}
	buf := make([]byte, 0, 2000)
	e := &store.Entry{Value: make([]byte, 1000), Tags: []string{"a"}}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := AppendFrame(buf, "key", e); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations to append into space", n)
	}
}

func TestValueDoesNotReachBeyondItself(t *testing.T) {
	frame := frameOf(t, "k", &store.Entry{Value: []byte("value")})
	frame = append(frame, "beyond"...)[:len(frame)]
	e, err := DecodeFrame("k", frame)
	if err != nil {
		t.Fatal(err)
	}
	if cap(e.Value) != len(e.Value) {
		t.Error("an append to the value would write to the frame's memory")
	}
}

func BenchmarkAppendFrame(b *testing.B) {
	e := &store.Entry{Value: make([]byte, 1024), Tags: []string{"team:7", "user:42"}}
	buf := make([]byte, 0, 2048)
	b.SetBytes(int64(FrameSize("user:42", e)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := AppendFrame(buf, "user:42", e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeFrame(b *testing.B) {
	frame := frameOf(b, "user:42", &store.Entry{Value: make([]byte, 1024), Tags: []string{"team:7", "user:42"}})
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeFrame("user:42", frame); err != nil {
			b.Fatal(err)
		}
	}
}
