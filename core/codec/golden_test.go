package codec

import (
	"bytes"
	"errors"
	"flag"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/store"
)

var update = flag.Bool("update", false, "write the golden files anew")

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

type golden struct {
	key string
	e   *store.Entry
}

var times = store.Times{Created: 1_760_000_000_000, Refresh: 1_760_000_270_000, Fresh: 1_760_000_300_000, Gone: 1_760_003_900_000}

// goldens are what testdata/v1 holds. A file that was once released is never changed: later versions
// read it for ever.
var goldens = map[string]golden{
	"minimal": {"k", &store.Entry{Value: []byte("v")}},
	"empty":   {"", &store.Entry{}},
	"full": {"shop:1:user:42", &store.Entry{
		Value: []byte(`{"id":42,"name":"Zoë"}`), Times: times,
		Stamp:  store.Position{Time: 1_760_000_000_123, Seq: 7},
		Schema: 0x0123456789abcdef, LoadCost: 12_345_678 * time.Nanosecond, Priority: store.PriorityImportant,
		Tags: []string{"team:7", "user:42"}, Deps: []string{"shop:1:team:7"},
	}},
	"nil":        {"shop:1:none", &store.Entry{Flags: store.FlagNil, Times: times, Schema: 1}},
	"negative":   {"shop:1:user:404", &store.Entry{Flags: store.FlagNegative, Times: times, Tags: []string{"users"}}},
	"counter":    {"hits", &store.Entry{Flags: store.FlagCounter, Value: []byte("-42"), Times: store.Times{Created: 1, Fresh: 2, Gone: 2}}},
	"unicode":    {"größe:清\xff\x00{a}", &store.Entry{Value: []byte{0, 0xff, '\n'}, Tags: []string{"", "тег", "\xfe"}}},
	"deps":       {"page:/", &store.Entry{Value: []byte("<p>"), Deps: []string{"a", "b", "a"}}},
	"magic-like": {magic, &store.Entry{Value: []byte(magic + "\x01")}},
	"extremes": {"x", &store.Entry{
		Times: store.Times{Created: math.MinInt64, Refresh: math.MaxInt64, Fresh: -1, Gone: math.MaxInt64},
		Stamp: store.Position{Time: math.MaxUint64, Seq: math.MaxUint64}, Schema: math.MaxUint64,
		LoadCost: math.MinInt64, Priority: store.PriorityCritical,
	}},
}

func goldenFile(name string) string { return filepath.Join("testdata", "v1", name+".frame") }

func TestGolden(t *testing.T) {
	for name, g := range goldens {
		t.Run(name, func(t *testing.T) {
			got := frameOf(t, g.key, g.e)
			if *update {
				if err := os.WriteFile(goldenFile(name), got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(goldenFile(name))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("encodes to\n%x, the file has\n%x", got, want)
			}
			e, err := DecodeFrame(g.key, want)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(e, g.e) {
				t.Errorf("decodes to %+v, want %+v", e, g.e)
			}
		})
	}
	files, err := filepath.Glob(goldenFile("*"))
	if err != nil || len(files) != len(goldens) {
		t.Errorf("%d files for %d entries, %v", len(files), len(goldens), err)
	}
}

func TestDamage(t *testing.T) {
	for name, g := range goldens {
		t.Run(name, func(t *testing.T) {
			frame := frameOf(t, g.key, g.e)
			refused := func(what string, at int, damaged []byte) {
				if e, err := DecodeFrame(g.key, damaged); e != nil || !errors.Is(err, store.ErrCorrupt) {
					t.Fatalf("%s at %d: %v, %v", what, at, e, err)
				}
			}
			for n := range frame {
				refused("cut", n, frame[:n:n])
			}
			refused("one more byte", len(frame), append(slices.Clip(frame), 0))
			for bit := range 8 * len(frame) {
				frame[bit/8] ^= 1 << (bit % 8)
				refused("bit flipped", bit, frame)
				frame[bit/8] ^= 1 << (bit % 8)
			}
			if _, err := DecodeFrame(g.key+"2", frame); !errors.Is(err, ErrOtherKey) {
				t.Errorf("other key: %v", err)
			}
		})
	}
}

func FuzzDecodeFrame(f *testing.F) {
	for _, g := range goldens {
		frame, err := AppendFrame(nil, g.key, g.e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(g.key, frame, false)
		f.Add(g.key, frame[:len(frame)-1], true)
	}
	f.Fuzz(func(t *testing.T, key string, frame []byte, sums bool) {
		if sums && len(frame) >= HeaderSize {
			frame = resigned(frame, func([]byte) {}) // or hardly anything would come past the checksums
		}
		e, err := DecodeFrame(key, frame)
		if err != nil {
			if !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("refused with %v", err)
			}
			return
		}
		again, err := AppendFrame(nil, key, e)
		if err != nil || !bytes.Equal(again, frame) {
			t.Errorf("accepted\n%x, encodes to\n%x, %v", frame, again, err)
		}
	})
}
