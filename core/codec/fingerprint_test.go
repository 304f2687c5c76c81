package codec

import (
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

type (
	sample struct {
		ID      int64  `json:"id"`
		Name    string `json:"name,omitempty"`
		Tags    []string
		Prices  map[string]*big.Int
		At      time.Time
		From    netip.Addr
		Grid    [2][3]float32
		Any     any
		Parent  *sample
		private int
		sampleBase
	}
	sampleBase struct{ Created time.Time }

	list  struct{ Next *list }
	list2 struct{ Next **list2 }
	treeA struct {
		L *treeA
		R *treeB
	}
	treeB struct{ Up *treeA }
	treeC struct {
		L *treeC
		R *treeD
	}
	treeD   struct{ Up *treeD }
	slices1 []slices1
	maps1   map[string]maps1

	hexed    struct{ b []byte }
	base64ed struct{ b []byte }
	hexMore  struct {
		b []byte
		n int
	}
	hexInner struct{ in private1 }
	private1 struct{ b []byte }
	level    int
)

func (hexed) MarshalText() ([]byte, error)           { return nil, nil }
func (base64ed) MarshalText() ([]byte, error)        { return nil, nil }
func (*hexMore) MarshalBinary() ([]byte, error)      { return nil, nil }
func (hexInner) GobEncode() ([]byte, error)          { return nil, nil }
func (level) EncodeMsgpack(interface{ Any() }) error { return nil }

// The unexported fields are there for their shape; nobody reads them.
var _ = []any{sample{private: 0}, hexed{b: nil}, base64ed{b: nil}, hexMore{b: nil, n: 0}, hexInner{in: private1{b: nil}}}

func fingerprint[T any]() uint64 { return Fingerprint(reflect.TypeFor[T](), "json") }

// The numbers are what other processes, and older releases of the kit, have written into their frames.
func TestFingerprintIsStable(t *testing.T) {
	for name, tc := range map[string]struct{ got, want uint64 }{
		"sample": {fingerprint[sample](), 0x412accc97163ca32},
		"string": {fingerprint[string](), 0x1491f9a3e39c1bba},
		"gob":    {Fingerprint(reflect.TypeFor[sample](), "gob"), 0xcfabb34b3c6799e4},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: %#x, want %#x", name, tc.got, tc.want)
		}
	}
}

// Each pair is a type and a change of it that other bytes, or another meaning of them, come with.
func TestFingerprintTellsApart(t *testing.T) {
	for name, tc := range map[string][2]uint64{
		"field name": {fingerprint[struct{ A int }](), fingerprint[struct{ B int }]()},
		"field type": {fingerprint[struct{ A int }](), fingerprint[struct{ A int32 }]()},
		"field tag": {fingerprint[struct{ A int }](), fingerprint[struct {
			A int `json:"a"`
		}]()},
		"field order":         {fingerprint[struct{ A, B int }](), fingerprint[struct{ B, A int }]()},
		"one field more":      {fingerprint[struct{ A int }](), fingerprint[struct{ A, B int }]()},
		"deep field":          {fingerprint[[]map[string]*struct{ A int }](), fingerprint[[]map[string]*struct{ B int }]()},
		"nesting":             {fingerprint[struct{ A, B struct{ C int } }](), fingerprint[struct{ A struct{ B struct{ C int } } }]()},
		"embedding":           {fingerprint[struct{ sampleBase }](), fingerprint[struct{ sampleBase sampleBase }]()},
		"embedded unexported": {fingerprint[struct{ sampleBase }](), fingerprint[struct{ private1 }]()},
		"array length":        {fingerprint[[3]int](), fingerprint[[4]int]()},
		"array or slice":      {fingerprint[[0]int](), fingerprint[[]int]()},
		"pointer":             {fingerprint[*int](), fingerprint[int]()},
		"map key":             {fingerprint[map[string]int](), fingerprint[map[int]int]()},
		"map or its parts": {fingerprint[map[string]int](), fingerprint[struct {
			A string
			B int
		}]()},
		"recursion depth":      {fingerprint[list](), fingerprint[list2]()},
		"recursion target":     {fingerprint[treeA](), fingerprint[treeC]()},
		"recursive kinds":      {fingerprint[slices1](), fingerprint[maps1]()},
		"own method":           {fingerprint[hexed](), fingerprint[private1]()},
		"own methods":          {fingerprint[hexed](), fingerprint[base64ed]()},
		"own method, inside":   {fingerprint[struct{ A hexed }](), fingerprint[struct{ A base64ed }]()},
		"own method, promoted": {fingerprint[struct{ hexed }](), fingerprint[struct{ base64ed }]()},
		"own msgpack method":   {fingerprint[level](), fingerprint[int]()},
		"time or number":       {fingerprint[time.Time](), fingerprint[int64]()},
		"two opaque types":     {fingerprint[netip.Addr](), fingerprint[netip.Prefix]()},
		"codec":                {Fingerprint(reflect.TypeFor[int](), "json"), Fingerprint(reflect.TypeFor[int](), "gob")},
		"codec option":         {Fingerprint(reflect.TypeFor[int](), "zstd(1;json)"), Fingerprint(reflect.TypeFor[int](), "zstd(2;json)")},
		"name runs into shape": {Fingerprint(reflect.TypeFor[int](), `a"int `), Fingerprint(reflect.TypeFor[int](), `a`)},
		"name of a field":      {fingerprint[struct{ A []int }](), fingerprint[struct{ A, B []int }]()},
		"second use of a type": {fingerprint[struct{ A, B []int }](), fingerprint[struct {
			A []int
			B []string
		}]()},
		"field of a self-coder": {fingerprint[hexMore](), fingerprint[hexed]()},
	} {
		if tc[0] == tc[1] {
			t.Errorf("%s: both are %#x", name, tc[0])
		}
		if tc[0] == 0 || tc[1] == 0 {
			t.Errorf("%s: zero", name)
		}
	}
}

// What no codec sees does not count.
func TestFingerprintIgnores(t *testing.T) {
	type renamed struct{ A int }
	type hidden struct {
		A int
		b int
		m sync.Mutex
	}
	_ = hidden{b: 0, m: sync.Mutex{}}
	want := fingerprint[struct{ A int }]()
	if fingerprint[renamed]() != want {
		t.Error("the name of a type that does not encode itself")
	}
	if fingerprint[hidden]() != want {
		t.Error("unexported fields")
	}
}

func TestDescription(t *testing.T) {
	for want, ty := range map[string]reflect.Type{
		`struct {"Next" "" false ptr (0)}`: reflect.TypeFor[list](),
		`slice (0)`:                        reflect.TypeFor[slices1](),
		`struct {"L" "" false ptr (0)"R" "" false ptr struct {"Up" "" false (1)}}`: reflect.TypeFor[treeA](),
		`struct {"A" "" false slice int "B" "" false (1)"T" "json:\"t\"" false opaque "time"."Time" }`: reflect.TypeFor[struct {
			A, B []int
			T    time.Time `json:"t"`
		}](),
		// The same type twice: inside one that encodes itself with its unexported fields, elsewhere without.
		`struct {"A" "" false struct {}"B" "" false self "github.com/strata-cache/strata/core/codec"."hexInner" ` +
			`struct {"in" "" false struct {"b" "" false slice uint8 }}"C" "" false (1)}`: reflect.TypeFor[struct {
			A private1
			B hexInner
			C private1
		}](),
	} {
		var got strings.Builder
		shaper{w: &got, seen: map[seenShape]int{}}.describe(ty, false)
		if got.String() != want {
			t.Errorf("%v:\n%s, want\n%s", ty, got.String(), want)
		}
	}
}

type fork[T any] struct {
	A []T
	B map[string]T
	C *T
}

type (
	fork2[T any]  = fork[fork[T]]
	fork4[T any]  = fork2[fork2[T]]
	fork8[T any]  = fork4[fork4[T]]
	fork16[T any] = fork8[fork8[T]]
	fork32[T any] = fork16[fork16[T]]
)

// A description that followed every path would have 3 to the power of 32 parts.
func TestFingerprintIsLinear(t *testing.T) {
	if fingerprint[fork32[int]]() == fingerprint[fork32[int8]]() {
		t.Error("a type 32 levels down does not count")
	}
}
