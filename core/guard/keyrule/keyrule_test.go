package keyrule

import (
	"errors"
	"strings"
	"testing"
)

func TestAppend(t *testing.T) {
	odd := errors.New("odd length")
	for name, tc := range map[string]struct {
		rule Rule
		key  string
		want string // "" for a refusal, "#" for a hashed key
	}{
		"plain":                       {Rule{}, "user:42", "ns:user:42"},
		"spaces and UTF-8 are fine":   {Rule{}, "übung eins", "ns:übung eins"},
		"empty":                       {Rule{}, "", ""},
		"247 bytes fit":               {Rule{}, strings.Repeat("k", 247), "ns:" + strings.Repeat("k", 247)},
		"248 bytes do not":            {Rule{}, strings.Repeat("k", 248), "#"},
		"bytes count, not characters": {Rule{}, strings.Repeat("清", 100), "#"},
		"control character":           {Rule{}, "a\nb", "#"},
		"DEL":                         {Rule{}, "a\x7f", "#"},
		"the mark itself":             {Rule{}, "#00", "#"},
		"reject: too long":            {Rule{Mode: Reject}, strings.Repeat("k", 248), ""},
		"reject: control character":   {Rule{Mode: Reject}, "a\x00", ""},
		"reject: the mark is hashed":  {Rule{Mode: Reject}, "#00", "#"},
		"own limit":                   {Rule{MaxLen: 64}, strings.Repeat("k", 62), "#"},
		"schema":                      {Rule{Schema: func(k string) error { return odd }}, "k", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tc.rule.Append([]byte("ns:"), tc.key)
			switch {
			case tc.want == "":
				if !errors.Is(err, ErrRejected) || string(got) != "ns:" {
					t.Errorf("got %q, %v", got, err)
				}
			case err != nil:
				t.Errorf("refused: %v", err)
			case tc.want == "#":
				if len(got) != len("ns:#")+32 || got[3] != '#' {
					t.Errorf("got %q, which is not hashed", got)
				}
			case string(got) != tc.want:
				t.Errorf("got %q", got)
			}
		})
	}
	if _, err := (Rule{Schema: func(string) error { return odd }}).Append(nil, "k"); !errors.Is(err, odd) {
		t.Errorf("the schema's own error is lost: %v", err)
	}
}

func TestHashedKeysDiffer(t *testing.T) {
	long := strings.Repeat("k", 300)
	a, _ := Rule{}.Append(nil, long+"a")
	b, _ := Rule{}.Append(nil, long+"b")
	if string(a) == string(b) {
		t.Fatal("two keys share a digest")
	}
	// Nobody can write the digest of another key by hand.
	if c, _ := (Rule{}).Append(nil, string(a)); string(c) == string(a) {
		t.Error("a hand-written digest is taken for the key it belongs to")
	}
}

func TestValidate(t *testing.T) {
	for name, r := range map[string]Rule{"short": {MaxLen: 10}, "negative": {MaxLen: -1}, "mode": {Mode: 9}} {
		if r.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := (Rule{}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	buf := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() { _, _ = Rule{}.Append(buf, "user:42") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzAppend(f *testing.F) {
	f.Add("a", "b")
	f.Fuzz(func(t *testing.T, a, b string) {
		x, errA := Rule{}.Append([]byte("ns:"), a)
		y, errB := Rule{}.Append([]byte("ns:"), b)
		if errA == nil && errB == nil && a != b && string(x) == string(y) {
			t.Errorf("%q and %q share the key %q", a, b, x)
		}
		if len(x) > DefaultMaxLen {
			t.Errorf("%d bytes", len(x))
		}
	})
}
