package page

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestVaryNames(t *testing.T) {
	for _, tt := range []struct {
		lines []string
		want  []string
		ok    bool
	}{
		{nil, nil, true},
		{[]string{"", " ,, "}, nil, true},
		{[]string{"accept"}, []string{"Accept"}, true},
		{[]string{"B, a", "A ,b"}, []string{"A", "B"}, true},
		{[]string{"*"}, nil, false},
		{[]string{"A", "B, * "}, nil, false},
		{[]string{"a b"}, nil, false},
		{[]string{"A:"}, nil, false},
		{[]string{`"A"`}, nil, false},
	} {
		if got, ok := varyNames(tt.lines); !slices.Equal(got, tt.want) || ok != tt.ok {
			t.Errorf("%q: %q, %v", tt.lines, got, ok)
		}
	}
}

func TestUnion(t *testing.T) {
	name := rapid.SampledFrom([]string{"A", "B", "C", "D"})
	set := rapid.Map(rapid.SliceOf(name), func(s []string) []string { slices.Sort(s); return slices.Compact(s) })
	rapid.Check(t, func(t *rapid.T) {
		a, b := set.Draw(t, "a"), set.Draw(t, "b")
		before := slices.Clone(a)
		got, grown := union(a, b)
		want := append(slices.Clone(a), b...)
		slices.Sort(want)
		want = slices.Compact(want)
		if !slices.Equal(got, want) || grown != (len(want) > len(a)) || !slices.Equal(a, before) {
			t.Fatalf("%q and %q make %q, %v", a, b, got, grown)
		}
	})
}

// FuzzVariant: two requests are one variant if, and only if, every line of every named field is equal, up
// to blanks around it.
func FuzzVariant(f *testing.F) {
	f.Add("Accept, X", "a", "b", "a,b", "")
	f.Add("X", "a", "", "a", "0,1:")
	f.Fuzz(func(t *testing.T, vary, a1, a2, b1, b2 string) {
		names, ok := varyNames([]string{vary})
		if !ok {
			for m := range strings.SplitSeq(vary, ",") {
				if m = trim(m); m == "*" || m != "" && !isToken(m) {
					return
				}
			}
			t.Fatalf("%q was refused", vary)
		}
		if len(names) == 0 {
			return
		}
		x := &index{generation: 1, vary: names}
		first, last := names[0], names[len(names)-1]
		requests := []http.Header{{}, {first: {a1}}, {first: {a1, a2}}, {first: {a1 + "," + a2}}, {first: {b1}}, {first: {b1, b2}}, {last: {a1}}, {last: {a2, a1}}, {"Zz": {a1}}}
		key := []byte("key")
		for _, a := range requests {
			for _, b := range requests {
				same := true
				for _, name := range names {
					same = same && slices.EqualFunc(a[name], b[name], func(x, y string) bool { return trim(x) == trim(y) })
				}
				ka, da := appendVariant(slices.Clone(key), x, a)
				kb, db := appendVariant(slices.Clone(key), x, b)
				if (string(ka) == string(kb)) != same || (da == db) != same {
					t.Errorf("Vary %q: %q and %q are one variant: %v", names, a, b, !same)
				}
			}
		}
	})
}

func TestGenerationsKeepVariantsApart(t *testing.T) {
	h := http.Header{"X": {"1"}}
	a, da := appendVariant([]byte("key"), &index{generation: 1, vary: []string{"X"}}, h)
	b, db := appendVariant([]byte("key"), &index{generation: 2, vary: []string{"X"}}, h)
	if string(a) == string(b) || da != db {
		t.Errorf("%q, %q", a, b)
	}
}
