package codec

import (
	"bytes"
	"encoding/gob"
	"encoding/hex"
	"errors"
	"io"
	"math/big"
	"net/url"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

type (
	address struct {
		Street string
		Zip    [5]byte
	}
	person struct {
		ID      int64
		Name    string
		Home    *address
		Work    []address
		Scores  []float64
		At      time.Time
		Balance big.Int // encodes itself through its pointer
		Matrix  [2][2]complex64
		Ptrs    []*address
		Skipped func()
		hidden  int
		address
	}
	// Types that are encoded before person, so that its parts get other numbers, and other names.
	early1 struct{ A [][]address }
	early2 struct {
		B [3]address
		C map[string][]float64
		D *early1
	}
)

func samplePerson() person {
	return person{
		ID: 42, Name: "Zoë", Home: &address{"Main", [5]byte{1, 2, 3, 4, 5}}, Work: []address{{Street: "a"}, {}},
		Scores: []float64{0, 1.5, -1}, At: time.Unix(1_760_000_000, 5).UTC(), Balance: *big.NewInt(-7),
		Matrix: [2][2]complex64{{1, 2i}, {}}, Ptrs: []*address{{Street: "x"}},
	}
}

func gobSamples(t testing.TB) []string {
	c := Gob()
	var out []string
	for _, v := range []any{samplePerson(), []person{samplePerson()}, "text", 7, []byte("b"), [][]address{{{Street: "s"}}}, time.Unix(0, 0).UTC()} {
		data, err := c.Append(nil, v)
		if err != nil {
			t.Fatalf("%T: %v", v, err)
		}
		out = append(out, hex.EncodeToString(data))
	}
	var plain bytes.Buffer
	if err := gob.NewEncoder(&plain).Encode(samplePerson().Work); err != nil {
		t.Fatal(err)
	}
	return append(out, hex.EncodeToString(plain.Bytes()))
}

const childEnv = "STRATA_GOB_CHILD"

func TestGobInAnotherProcess(t *testing.T) {
	if os.Getenv(childEnv) != "" {
		if err := gob.NewEncoder(io.Discard).Encode(early2{D: &early1{}}); err != nil {
			t.Fatal(err)
		}
		if _, err := Gob().Append(nil, early1{A: [][]address{{{}}}}); err != nil {
			t.Fatal(err)
		}
		t.Logf("<<%s>>", strings.Join(gobSamples(t), " "))
		return
	}
	mine := gobSamples(t)
	cmd := exec.Command(os.Args[0], "-test.v", "-test.run=^TestGobInAnotherProcess$")
	cmd.Env = append(os.Environ(), childEnv+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	_, rest, _ := strings.Cut(string(out), "<<")
	list, _, _ := strings.Cut(rest, ">>")
	theirs := strings.Fields(list)
	if len(theirs) != len(mine) {
		t.Fatalf("the other process printed %q", out)
	}
	last := len(mine) - 1
	for i := range mine[:last] {
		if mine[i] != theirs[i] {
			t.Errorf("value %d is\n%s here,\n%s there", i, mine[i], theirs[i])
		}
	}
	if mine[last] == theirs[last] {
		t.Error("a plain gob is the same there: the other process is no other case")
	}
	data, err := hex.DecodeString(theirs[0])
	if err != nil {
		t.Fatal(err)
	}
	var p person
	if err := Gob().Decode(data, &p); err != nil || !reflect.DeepEqual(p, samplePerson()) {
		t.Errorf("their bytes decode to %+v, %v", p, err)
	}
}

func TestGobRoundTrip(t *testing.T) {
	c := Gob()
	p := samplePerson()
	byValue := same(t, c, p)
	byPointer := same(t, c, &p)
	if !bytes.Equal(byValue, byPointer) {
		t.Error("a value and a pointer to it differ")
	}
	pp := &p
	same(t, c, &pp)
	p.hidden, p.Street, p.Skipped = 1, "not sent", func() {}
	if data, _ := back(t, c, p); !bytes.Equal(data, byValue) {
		t.Error("fields that gob does not send count")
	}
	same(t, c, person{Scores: make([]float64, 10_000)})
	same(t, c, address{})
	same(t, c, struct{ A, B string }{strings.Repeat("x", 1<<19), "y"})
	same(t, c, "")
	same(t, c, 0)
	same(t, c, uint8(200))
	same(t, c, true)
	same(t, c, -1.5)
	same(t, c, []byte{1, 2})
	same(t, c, []string{"a", ""})
	same(t, c, [3]int16{1, 0, -1})
	same(t, c, text("t"))
	same(t, c, time.Unix(1, 2).UTC())
	same(t, c, *big.NewInt(1 << 60))
	same(t, c, []big.Int{*big.NewInt(1)})
	same(t, c, big.NewInt(5))
	same(t, c, url.URL{Scheme: "https", Host: "a"}) // MarshalBinary on its pointer
}

func TestGobRefuses(t *testing.T) {
	type deep struct{ A []struct{ B map[string]int } }
	type loop struct{ Next []*loop }
	type open struct{ V any }
	c := Gob()
	for _, v := range []any{map[string]int{}, deep{}, loop{}, open{}, &loop{}, []error{}, slices1{}, struct{ a int }{1}, make(chan int)} {
		if out, err := c.Append([]byte("dst"), v); !errors.Is(err, ErrUnsupportedType) || string(out) != "dst" {
			t.Errorf("append %T: %q, %v", v, out, err)
		}
		if err := c.Decode(make([]byte, 20), reflect.New(reflect.TypeOf(v)).Interface()); !errors.Is(err, ErrUnsupportedType) {
			t.Errorf("decode %T: %v", v, err)
		}
		if err := c.(TypeChecker).CheckType(reflect.TypeOf(v)); !errors.Is(err, ErrUnsupportedType) {
			t.Errorf("check %T: %v", v, err)
		}
	}
	if err := c.Decode(make([]byte, 20), new(any)); !errors.Is(err, ErrUnsupportedType) {
		t.Errorf("decode into an interface: %v", err)
	}
	var nilPerson *person
	for _, v := range []any{nil, nilPerson, &nilPerson, []*person{nil}} {
		if out, err := c.Append([]byte("dst"), v); err == nil || string(out) != "dst" {
			t.Errorf("append nil %T: %q, %v", v, out, err)
		}
	}
	same(t, c, []*person{{ID: 1}}) // the error before has spoiled nothing
	// Twice the same type below one another, and a type that encodes itself although it holds a map.
	if err := c.(TypeChecker).CheckType(reflect.TypeFor[struct {
		A, B address
		C    []address
		D    selfish
	}]()); err != nil {
		t.Error(err)
	}
}

type selfish struct{ M map[string]any }

func (selfish) MarshalBinary() ([]byte, error) { return nil, nil }
func (*selfish) UnmarshalBinary([]byte) error  { return nil }
func (panicky) GobEncode() ([]byte, error)     { panic("encode") }
func (*panicky) GobDecode([]byte) error        { panic("decode") }
func (quiet) GobEncode() ([]byte, error)       { return []byte("q"), nil }
func (*quiet) GobDecode([]byte) error          { panic("decode") }

type (
	panicky struct{}
	quiet   struct{}
)

func TestGobForeignBytes(t *testing.T) {
	c := Gob()
	data := same(t, c, samplePerson())
	for name, tc := range map[string][]byte{
		"nothing": nil, "short": data[:8], "other type": same(t, c, address{Street: "x"}), "junk": []byte("junk that is no value"),
	} {
		if err := c.Decode(tc, new(person)); err == nil {
			t.Errorf("%s decoded", name)
		}
	}
	for _, v := range []any{nil, person{}, (*person)(nil)} {
		if err := c.Decode(data, v); err == nil {
			t.Errorf("decoded into a %T", v)
		}
	}
	if _, err := c.Append(nil, panicky{}); err == nil {
		t.Error("a panic of GobEncode is no error")
	}
	if err := c.Decode(same(t, Raw(), string(must(c.Append(nil, quiet{})))), new(quiet)); err == nil {
		t.Error("a panic of GobDecode is no error")
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func TestGobProperty(t *testing.T) {
	type row struct {
		A int16
		B string
		C []uint32
		D [2]bool
		E float64
		F []address
	}
	c := Gob()
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Make[row]().Draw(t, "row")
		if len(v.C) == 0 {
			v.C = nil
		}
		if len(v.F) == 0 {
			v.F = nil
		}
		data, err := c.Append(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		var got row
		if err := c.Decode(data, &got); err != nil || !reflect.DeepEqual(got, v) {
			t.Fatalf("got %+v, want %+v, %v", got, v, err)
		}
		if again := must(Gob().Append(nil, got)); !bytes.Equal(again, data) {
			t.Fatalf("again: %x, before: %x", again, data)
		}
	})
}

func TestGobConcurrent(t *testing.T) {
	c := Gob()
	want := must(Gob().Append(nil, samplePerson()))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				var p person
				if data, err := c.Append(nil, samplePerson()); err != nil || !bytes.Equal(data, want) {
					t.Errorf("%x, %v", data, err)
				} else if err := c.Decode(data, &p); err != nil || p.ID != 42 {
					t.Errorf("%+v, %v", p, err)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzGobDecode(f *testing.F) {
	c := Gob()
	for _, v := range []any{samplePerson(), &person{}} {
		f.Add(must(c.Append(nil, v))[8:])
	}
	id := must(c.Append(nil, person{}))[:8]
	f.Fuzz(func(t *testing.T, data []byte) {
		var p person
		if c.Decode(append(id[:8:8], data...), &p) == nil {
			if _, err := c.Append(nil, &p); err != nil && !strings.Contains(err.Error(), "nil element") {
				t.Errorf("decoded, but does not encode: %v", err)
			}
		}
	})
}

func BenchmarkGob(b *testing.B) {
	c, p := Gob(), samplePerson()
	data := must(c.Append(nil, p))
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			must(c.Append(data[:0], &p))
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var got person
			if err := c.Decode(data, &got); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("plain stream, both", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var (
				buf bytes.Buffer
				got person
			)
			if err := gob.NewEncoder(&buf).Encode(&p); err != nil {
				b.Fatal(err)
			}
			if err := gob.NewDecoder(&buf).Decode(&got); err != nil {
				b.Fatal(err)
			}
		}
	})
}
