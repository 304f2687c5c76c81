package redisstore

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/strata-cache/strata/core/store"
)

// drawItem makes an item that a record can hold.
func drawItem(t *rapid.T) store.Invalidation {
	it := store.Invalidation{
		Kind: store.InvalidationKind(rapid.IntRange(int(store.InvalidateKey), int(store.ReleaseTag)).Draw(t, "kind")),
		Name: rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "p", "id", "ms", "k"})).Draw(t, "name"),
		For:  time.Duration(rapid.Int64Range(0, 3).Draw(t, "ms")) * time.Millisecond,
	}
	if rapid.Bool().Draw(t, "with a token") {
		copy(it.Token[:], rapid.SliceOfN(rapid.Byte(), len(it.Token), len(it.Token)).Draw(t, "token"))
	}
	return it
}

func TestRecordsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := store.Record{
			Position: store.Position{Time: rapid.Uint64Min(1).Draw(t, "ms"), Seq: rapid.Uint64().Draw(t, "seq")},
			Prev:     store.Position{Time: rapid.Uint64().Draw(t, "prev ms"), Seq: rapid.Uint64().Draw(t, "prev seq")},
		}
		encoded := []any{fieldPrev, streamID(want.Prev)}
		for range rapid.IntRange(1, 5).Draw(t, "items") {
			it := drawItem(t)
			want.Items = append(want.Items, it)
			var err error
			if encoded, err = appendItem(encoded, &it); err != nil {
				t.Fatal(err)
			}
		}
		fields := make([]string, len(encoded))
		for i, f := range encoded {
			fields[i] = fmt.Sprint(f)
		}
		got, ok := decodeRecord(streamID(want.Position), fields)
		if !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%q is read as %+v, want %+v", fields, got, want)
		}
	})
}

func TestDamagedRecordsMeanEverything(t *testing.T) {
	const id = "5-6"
	token := strings.Repeat("ab", 16)
	for name, fields := range map[string][]string{
		"nothing":           nil,
		"no prev":           {"k", "v"},
		"prev of another":   {"p", "x", "k", "v"},
		"prev later":        {"k", "v", "p", "1-1"},
		"no item":           {"p", "1-1"},
		"unknown kind":      {"p", "1-1", "zz", "v"},
		"unknown field":     {"p", "1-1", "k", "v", "zz", "v"},
		"half an item":      {"p", "1-1", "k"},
		"token alone":       {"p", "1-1", "id", token},
		"short token":       {"p", "1-1", "k", "v", "id", token[1:]},
		"token is not hex":  {"p", "1-1", "k", "v", "id", strings.Repeat("zz", 16)},
		"two tokens":        {"p", "1-1", "k", "v", "id", token, "id", token},
		"hold is no number": {"p", "1-1", "hk", "v", "ms", "soon"},
		"hold is negative":  {"p", "1-1", "hk", "v", "ms", "-5"},
		"hold overflows":    {"p", "1-1", "hk", "v", "ms", "9223372036854775807"},
		"empty field":       {"p", "1-1", "", "v"},
	} {
		r, ok := decodeRecord(id, fields)
		if !ok || !reflect.DeepEqual(r.Items, everything()) {
			t.Errorf("%s: %+v, %v", name, r, ok)
		}
	}
	if r, ok := decodeRecord(id, []string{"p", "0-0"}); !ok || len(r.Items) != 0 || !r.Prev.IsZero() {
		t.Errorf("an origin is read as %+v, %v", r, ok)
	}
}

func TestUnknownKindsAreRefused(t *testing.T) {
	for _, kind := range []store.InvalidationKind{0, store.ReleaseTag + 1, 255} {
		if _, err := appendItem(nil, &store.Invalidation{Kind: kind, Name: "secret"}); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("kind %d: %v", kind, err)
		}
	}
}

func FuzzRecord(f *testing.F) {
	f.Add("5-6", "p\x001-1\x00k\x00user:1\x00id\x00"+strings.Repeat("ab", 16)+"\x00hk\x00a\x00ms\x0010")
	f.Add("5-6", "p\x000-0")
	f.Add("x", "k\x00v")
	f.Fuzz(func(t *testing.T, id, joined string) {
		fields := strings.Split(joined, "\x00")
		r, ok := decodeRecord(id, fields)
		if !ok {
			return
		}
		if len(r.Items) == 0 {
			if fields[0] != fieldPrev || !r.Prev.IsZero() {
				t.Errorf("%q says nothing", fields)
			}
			return
		}
		for i := range r.Items {
			if _, err := appendItem(nil, &r.Items[i]); err != nil {
				t.Errorf("%q has an item that cannot be written: %v", fields, err)
			}
		}
	})
}

func TestForeignReplies(t *testing.T) {
	for name, reply := range map[string]any{
		"a number":           int64(1),
		"a list of numbers":  []any{int64(1)},
		"a short record":     []any{[]any{"1-1"}},
		"a record of no id":  []any{[]any{int64(1), []any{}}},
		"an id of two parts": []any{[]any{"1-1-1", []any{}}},
	} {
		if r, err := recordsOf(reply); err == nil {
			t.Errorf("recordsOf %s: %+v", name, r)
		}
	}
	for name, reply := range map[string]any{
		"a number": int64(1), "two streams": map[any]any{"a": nil, "b": nil}, "an empty list": []any{}, "no pair": []any{"x"},
	} {
		if list, err := streamOf(reply); err == nil {
			t.Errorf("streamOf %s: %v", name, list)
		}
	}
	if r, err := recordsOf([]any{[]any{"1-1", nil}}); err != nil || !reflect.DeepEqual(r[0].Items, everything()) {
		t.Errorf("a deleted record is read as %+v, %v", r, err)
	}
}
