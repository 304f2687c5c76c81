package codec

import (
	"errors"
	"reflect"
	"testing"
)

type (
	text  string
	octet byte
	blob  []byte
)

// back encodes v and decodes it into a new variable of its type.
func back[T any](t *testing.T, c Codec, v T) (data []byte, got T) {
	t.Helper()
	data, err := c.Append([]byte("dst"), v)
	if err != nil {
		t.Fatalf("append %T: %v", v, err)
	}
	if string(data[:3]) != "dst" {
		t.Fatalf("append %T: dst is not kept", v)
	}
	data = data[3:]
	own := append([]byte(nil), data...)
	if err := c.Decode(own, &got); err != nil {
		t.Fatalf("decode %T: %v", v, err)
	}
	clear(own) // what was decoded must not notice
	return data, got
}

func same[T any](t *testing.T, c Codec, v T) []byte {
	t.Helper()
	data, got := back(t, c, v)
	if !reflect.DeepEqual(got, v) {
		t.Errorf("%T: got %#v, want %#v", v, got, v)
	}
	return data
}

func TestRaw(t *testing.T) {
	c := Raw()
	for _, data := range [][]byte{
		same(t, c, "a\x00b"), same(t, c, []byte("a\x00b")), same(t, c, text("a\x00b")), same(t, c, blob("a\x00b")), same(t, c, []octet("a\x00b")),
	} {
		if string(data) != "a\x00b" {
			t.Errorf("encoded as %q", data)
		}
	}
	same(t, c, "")
	same(t, c, []byte{})
	same(t, c, blob{})
	for _, v := range []any{nil, 1, []string{}, new(string), [2]byte{}} {
		if out, err := c.Append([]byte("dst"), v); !errors.Is(err, ErrUnsupportedType) || string(out) != "dst" {
			t.Errorf("append %T: %q, %v", v, out, err)
		}
	}
	for _, v := range []any{nil, 1, "s", new(int), new([]string), (*text)(nil), new([2]byte)} {
		if err := c.Decode([]byte("x"), v); err == nil {
			t.Errorf("decoded into a %T", v)
		}
	}
}

func TestJSON(t *testing.T) {
	c := JSON()
	type inner struct {
		M map[int]string
		P *float64
	}
	f := 0.1
	if data := same(t, c, inner{map[int]string{2: "<&>", 10: "ü"}, &f}); string(data) != `{"M":{"10":"ü","2":"<&>"},"P":0.1}` {
		t.Errorf("encoded as %s", data)
	}
	same(t, c, []map[string]bool{nil, {}, {"a": true}})
	if out, err := c.Append([]byte("dst"), make(chan int)); err == nil || string(out) != "dst" {
		t.Errorf("%q, %v", out, err)
	}
	if err := c.Decode([]byte(`{"M":1} `), new(inner)); err == nil {
		t.Error("junk decoded")
	}
}
