package msgpack

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/strata-cache/strata/core/codec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type (
	base struct {
		Created time.Time
		Note    string `msgpack:"note,omitempty"`
	}
	item struct {
		base
		ID      int64 `msgpack:"id"`
		Price   *big.Int
		Owner   big.Int // encodes itself through its pointer
		From    netip.Addr
		Raw     []byte
		Sum     [4]byte
		Tags    []string
		Attrs   map[string]any
		Counts  map[int]map[uint8]string
		Keys    map[[2]int8]float64
		ByAny   map[any]int
		Private int `msgpack:"-"`
		hidden  int
	}
	tree struct {
		Name string
		Kids []*tree
		Up   *tree `msgpack:"-"`
	}
	list struct{ Next *list }
)

func sampleItem() item {
	it := item{
		base: base{Created: time.Unix(1_760_000_000, 5)}, ID: 7, Price: big.NewInt(125), Owner: *big.NewInt(9),
		hidden: 0, From: netip.MustParseAddr("10.0.0.1"), Raw: []byte{0}, Sum: [4]byte{1, 2}, Tags: []string{"b", "a"},
		Attrs:  map[string]any{"deep": map[string]any{}, "n": int8(1), "s": []any{"x", nil}},
		Counts: map[int]map[uint8]string{}, Keys: map[[2]int8]float64{}, ByAny: map[any]int{},
	}
	for i := range 40 {
		it.Attrs["deep"].(map[string]any)[fmt.Sprint("k", i)] = int16(i)
		it.Counts[i*i-500] = map[uint8]string{uint8(i): "a", uint8(i + 1): "b", uint8(i + 2): "c"}
		it.Keys[[2]int8{int8(i), -1}] = float64(i)
		it.ByAny[fmt.Sprint(i)] = i
		it.ByAny[int8(i)] = i
	}
	return it
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func same[T any](t *testing.T, c codec.Codec, v T) []byte {
	t.Helper()
	data, err := c.Append([]byte("dst"), v)
	if err != nil || !bytes.HasPrefix(data, []byte("dst")) {
		t.Fatalf("append %T: %.20q, %v", v, data, err)
	}
	data = data[3:]
	own := bytes.Clone(data)
	var got T
	if err := c.Decode(own, &got); err != nil {
		t.Fatalf("decode %T: %v", v, err)
	}
	clear(own) // what was decoded must not notice
	if !reflect.DeepEqual(got, v) {
		t.Errorf("%T: got %.300v, want %.300v", v, fmt.Sprint(got), fmt.Sprint(v))
	}
	return data
}

func TestRoundTrip(t *testing.T) {
	c := New()
	it := sampleItem()
	byValue := same(t, c, it)
	if byPointer := same(t, c, &it); !bytes.Equal(byValue, byPointer) {
		t.Error("a value and a pointer to it differ")
	}
	same(t, c, 1)
	same(t, c, uint64(1<<63))
	same(t, c, "x")
	same(t, c, []byte{})
	same(t, c, []byte(nil))
	same(t, c, 2.5)
	same(t, c, []string(nil))
	same(t, c, map[string]bool(nil))
	same(t, c, (*item)(nil))
	same(t, c, time.Unix(1, 0))
	same(t, c, []time.Time{time.Unix(1<<40, 3), time.Unix(2, 939_000_000)}) // a payload that begins like a map
	same(t, c, map[string]time.Time{"a": time.Unix(2, 939_000_000)})
	same(t, c, tree{"a", []*tree{{Name: "b"}, nil}, nil})
	same(t, c, strings.Repeat("x", 1<<20))
	same[any](t, c, "x")
	same[any](t, c, nil)
}

func TestMapsAreSorted(t *testing.T) {
	c := New()
	want := must(c.Append(nil, sampleItem()))
	for range 50 {
		if got := must(c.Append(nil, sampleItem())); !bytes.Equal(got, want) {
			t.Fatalf("two encodings of one value:\n%x\n%x", got, want)
		}
	}
	plain := func() string {
		return string(must(msgpack.Marshal(map[int]int{1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 7, 8: 8})))
	}
	first, differ := plain(), false
	for range 100 {
		differ = differ || plain() != first
	}
	if !differ {
		t.Error("the library has an order of its own: this test proves nothing")
	}
	if got := string(must(c.Append(nil, map[any]bool{"b": true, "a": true, int8(-1): true}))); got != "\x83\xa1a\xc3\xa1b\xc3\xd0\xff\xc3" {
		t.Errorf("%x", got)
	}
	if got := string(must(c.Append(nil, struct{ B, A int }{1, 2}))); got != "\x82\xa1B\x01\xa1A\x02" {
		t.Errorf("a struct without maps is not in the order of its fields: %x", got)
	}
}

const childEnv = "STRATA_MSGPACK_CHILD"

func TestInAnotherProcess(t *testing.T) {
	c := New()
	if os.Getenv(childEnv) != "" {
		must(c.Append(nil, tree{}))
		must(c.Append(nil, []any{base{}, map[string]item{}, &item{}}))
		t.Logf("<<%x>>", must(c.Append(nil, sampleItem())))
		return
	}
	cmd := exec.Command(os.Args[0], "-test.v", "-test.run=^TestInAnotherProcess$")
	cmd.Env = append(os.Environ(), childEnv+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if want := fmt.Sprintf("<<%x>>", must(c.Append(nil, sampleItem()))); !strings.Contains(string(out), want) {
		t.Errorf("%s, the other process wrote %s", want, out)
	}
}

type (
	both    struct{}
	embeds  struct{ *base }
	inlines struct {
		*base `msgpack:",noinline"`
	}
	interns struct {
		A string `msgpack:",intern"`
	}
	panicker struct{ A int }
	rawExt   struct{}
)

func (both) MarshalBinary() ([]byte, error)            { return nil, nil }
func (*both) EncodeMsgpack(*msgpack.Encoder) error     { return nil }
func (panicker) EncodeMsgpack(*msgpack.Encoder) error  { panic("encode") }
func (*panicker) DecodeMsgpack(*msgpack.Decoder) error { panic("decode") }
func (rawExt) EncodeMsgpack(e *msgpack.Encoder) error  { return e.EncodeExtHeader(5, 0) }

func TestRefuses(t *testing.T) {
	c := New()
	for _, v := range []any{both{}, &both{}, embeds{}, interns{}, []map[string]embeds{}} {
		if out, err := c.Append([]byte("dst"), v); !errors.Is(err, codec.ErrUnsupportedType) || string(out) != "dst" {
			t.Errorf("append %T: %q, %v", v, out, err)
		}
		if err := c.Decode([]byte{0xc0}, reflect.New(reflect.TypeOf(v)).Interface()); !errors.Is(err, codec.ErrUnsupportedType) {
			t.Errorf("decode %T: %v", v, err)
		}
	}
	if _, err := c.Append(nil, []any{embeds{}}); !errors.Is(err, codec.ErrUnsupportedType) {
		t.Errorf("in an interface: %v", err)
	}
	if err := c.(codec.TypeChecker).CheckType(reflect.TypeFor[inlines]()); err != nil {
		t.Error(err)
	}
	for _, v := range []any{panicker{}, rawExt{}, make(chan int), complex(1, 2), struct{ F func() }{}} {
		if out, err := c.Append([]byte("dst"), v); err == nil || string(out) != "dst" {
			t.Errorf("append %T: %q, %v", v, out, err)
		}
	}
	if err := c.Decode([]byte{1}, new(panicker)); err == nil {
		t.Error("a panic of DecodeMsgpack is no error")
	}
	for _, v := range []any{nil, 1, (*int)(nil)} {
		if err := c.Decode([]byte{1}, v); err == nil {
			t.Errorf("decoded into a %T", v)
		}
	}
	same(t, c, sampleItem()) // the errors have spoiled nothing
}

func TestCyclesAndDepth(t *testing.T) {
	c := New()
	loop := &list{}
	loop.Next = loop
	self := map[string]any{}
	self["self"] = self
	kid := &tree{Name: "kid"}
	kid.Kids = []*tree{{Kids: []*tree{kid}}}
	deep := &list{}
	for range maxDepth {
		deep = &list{deep}
	}
	for _, v := range []any{loop, self, kid, []any{self}, deep} {
		if out, err := c.Append([]byte("dst"), v); !errors.Is(err, errDepth) || string(out) != "dst" {
			t.Errorf("%T: %q, %v", v, out, err)
		}
	}
	parent := &tree{Name: "parent"}
	parent.Kids = []*tree{{Name: "kid", Up: parent}} // Up is not sent
	if _, err := c.Append(nil, parent); err != nil {
		t.Error(err)
	}
	for _, junk := range [][]byte{bytes.Repeat([]byte{0x91}, 4<<20), append(bytes.Repeat([]byte{0x91}, maxDepth), 0xc0)} {
		var v any
		var l list
		if c.Decode(junk, &v) == nil && len(junk) > maxDepth+1 {
			t.Error("a value deeper than the stack was decoded")
		}
		_ = c.Decode(junk, &l)
	}
}

func TestJunk(t *testing.T) {
	c := New()
	for name, junk := range map[string]string{
		"nothing": "", "array claim": "\xdd\xff\xff\xff\xff", "map claim": "\xdf\x7f\xff\xff\xff", "string claim": "\xdb\xff\xff\xff\xffx",
		"bin claim": "\xc6\xff\xff\xff\xff", "ext claim": "\xc9\xff\xff\xff\xff\xff", "cut": "\x92\x01", "trailing": "\x01\x01",
		"never used": "\xc1", "other ext": "\xd4\x05\x00", "interned": "\xd4\x80\x00",
		"time for a map": "\xd7\xff\xdf\x7f\xff\xff\xff\x00\x00\x00",
		"odd map":        "\x81\x01", "slice as key": "\x81\x91\x01\x01",
	} {
		for _, v := range []any{new(any), new(map[string]any), new(map[any]any), new(item), new([]item), new(string), new([]byte), new(map[string]string), new(time.Time)} {
			switch v.(type) {
			case *time.Time, *any:
				if name == "time for a map" || name == "slice as key" {
					continue // a time is what one may be, and the other error is that of the map
				}
			}
			err := c.Decode([]byte(junk), v)
			if err == nil || strings.Contains(err.Error(), "panic") && name != "slice as key" {
				t.Errorf("%s, into %T: %v", name, v, err)
			}
		}
	}
}

// The extent of each kind of value is the one that the library sees.
func TestTokens(t *testing.T) {
	for c := range 256 {
		for _, size := range []byte{0, 1, 3} {
			b := append([]byte{byte(c), 0, 0, 0, size}, bytes.Repeat([]byte{0xff}, 300)...)
			if c == 0xc4 || c == 0xc7 || c == 0xd9 {
				b = append([]byte{byte(c), size}, bytes.Repeat([]byte{0xff}, 300)...)
			}
			if c >= 0xd4 && c <= 0xd8 {
				b[1] = 0xff
			}
			r := bytes.NewReader(b)
			skipped := msgpack.NewDecoder(r).Skip()
			n := len(b) - r.Len()
			if _, err := check(b[:n]); (err == nil) != (skipped == nil) && !errors.Is(err, errExtension) {
				t.Errorf("%#x: library %v, check %v", c, skipped, err)
			}
			if _, err := check(b[:n-1]); err == nil {
				t.Errorf("%#x: one byte less is as good", c)
			}
		}
	}
}

func TestConcurrent(t *testing.T) {
	c := New()
	want := must(New().Append(nil, sampleItem()))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 30 {
				var it item
				if data, err := c.Append(nil, sampleItem()); err != nil || !bytes.Equal(data, want) {
					t.Errorf("%x, %v", data, err)
				} else if err := c.Decode(data, &it); err != nil || it.ID != 7 {
					t.Errorf("%+v, %v", it, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestProperty(t *testing.T) {
	type row struct {
		A int16
		B string
		C map[int32][]uint32
		D *[2]bool
		E map[string]map[bool]float64
	}
	c := New()
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Make[row]().Draw(t, "row")
		data, err := c.Append(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		var got row
		if err := c.Decode(data, &got); err != nil {
			t.Fatal(err)
		}
		if again := must(New().Append(nil, got)); !bytes.Equal(again, data) {
			t.Fatalf("again: %x, before: %x", again, data)
		}
	})
}

func FuzzDecode(f *testing.F) {
	c := New()
	for _, v := range []any{sampleItem(), map[string]any{"a": []any{1, nil, "x"}}, tree{"a", []*tree{{}}, nil}, time.Unix(1, 1)} {
		f.Add(must(c.Append(nil, v)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, v := range []any{new(item), new(any), new(map[any]any), new(tree), new(map[string]any), new([]map[int]time.Time)} {
			_ = c.Decode(data, v)
		}
		if _, err := check(data); err == nil {
			r := bytes.NewReader(data)
			if err := msgpack.NewDecoder(r).Skip(); err != nil || r.Len() > 0 {
				t.Fatalf("%x is well-formed, the library leaves %d bytes, %v", data, r.Len(), err)
			}
			sorted, err := sortMaps(nil, data)
			if err != nil || len(sorted) != len(data) {
				t.Fatalf("%x is well-formed, sorted it is %x, %v", data, sorted, err)
			}
			if again, err := sortMaps(nil, sorted); err != nil || !bytes.Equal(again, sorted) {
				t.Fatalf("sorted %x, sorted again %x, %v", sorted, again, err)
			}
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	c := New()
	for name, v := range map[string]any{"maps": sampleItem(), "no maps": &base{Note: "note"}} {
		b.Run(name, func(b *testing.B) {
			data := must(c.Append(nil, v))
			b.ReportAllocs()
			for b.Loop() {
				must(c.Append(data[:0], v))
			}
		})
	}
}
