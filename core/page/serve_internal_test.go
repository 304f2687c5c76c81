package page

import (
	"hash/maphash"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestMatchesETag(t *testing.T) {
	for _, tt := range []struct {
		lines []string
		etag  string
		want  bool
	}{
		{[]string{`"a"`}, `"a"`, true},
		{[]string{`W/"a"`}, `"a"`, true},
		{[]string{`"a"`}, `W/"a"`, true},
		{[]string{`"b" , "a"`}, `"a"`, true},
		{[]string{`"b"`, `"a"`}, `"a"`, true},
		{[]string{`"b,a"`}, `"a"`, false},
		{[]string{`"b, "a"`}, `"a"`, false}, // the first tag is "b, "
		{[]string{`a`}, `"a"`, false},
		{[]string{`"a`}, `"a"`, false},
		{[]string{`w/"a"`}, `"a"`, false},
		{[]string{"*"}, `"a"`, true},
		{[]string{"*"}, "", true},
		{[]string{`"*"`}, `"a"`, false},
		{[]string{""}, `"a"`, false},
		{[]string{`""`}, `""`, true},
		{[]string{`""`}, "", false},
		{[]string{`"A"`}, `"a"`, false},
		{[]string{`x, "a"`}, `"a"`, false},
	} {
		if got := matchesETag(tt.lines, tt.etag); got != tt.want {
			t.Errorf("%q and %q: %v", tt.lines, tt.etag, got)
		}
	}
}

func TestETagListsAreReadAsTheyAreWritten(t *testing.T) {
	tag := rapid.Map(rapid.StringMatching(`(W/)?[!#-~]{0,5}`), func(s string) string {
		if weak, ok := strings.CutPrefix(s, "W/"); ok {
			return `W/"` + weak + `"`
		}
		return `"` + s + `"`
	})
	strip := func(s string) string { return strings.TrimPrefix(s, "W/") }
	rapid.Check(t, func(t *rapid.T) {
		tags, etag := rapid.SliceOfN(tag, 0, 5).Draw(t, "tags"), tag.Draw(t, "etag")
		want := false
		for _, s := range tags {
			want = want || strip(s) == strip(etag)
		}
		blank := rapid.SampledFrom([]string{",", ", ", " ,\t", ",,"}).Draw(t, "comma")
		if got := matchesETag([]string{strings.Join(tags, blank)}, etag); got != want {
			t.Fatalf("%q and %q: %v", tags, etag, got)
		}
	})
}

func FuzzETag(f *testing.F) {
	f.Add(`"a", W/"b"`, `"b"`)
	f.Add(`*`, "")
	f.Add(`"a`, `"a`)
	f.Fuzz(func(t *testing.T, line, etag string) {
		if !matchesETag([]string{line}, etag) {
			return
		}
		if !strings.Contains(line, "*") && !strings.Contains(line, strings.TrimPrefix(etag, "W/")) {
			t.Errorf("%q matches %q", line, etag)
		}
	})
}

func TestMarks(t *testing.T) {
	m := marks{seed: maphash.MakeSeed()}
	m.set("a", 100)
	if !m.has("a", 99) || m.has("a", 100) || m.has("b", 99) {
		t.Error("a mark is not where it was made")
	}
	m.set("a", 200)
	if !m.has("a", 199) {
		t.Error("a mark is not renewed")
	}
	m.clear("b")
	if m.clear("a"); m.has("a", 99) {
		t.Error("a mark is not cleared")
	}
	// Whatever is marked, the table is as large as it was: marks push each other out.
	for i := range 3 * markSlots {
		key := string(rune(i + 1))
		if m.set(key, 100); !m.has(key, 99) {
			t.Fatal("the last mark is lost")
		}
	}
}

func TestVariantCounts(t *testing.T) {
	var c variantCounts
	x := &index{generation: 1}
	d := func(n int) (d digest) { d[0], d[1] = byte(n), byte(n>>8); return d }
	for i := range 3 {
		if !c.add(x, d(i), 100, 3, 0) {
			t.Fatalf("variant %d is refused", i)
		}
	}
	if c.add(x, d(3), 100, 3, 99) {
		t.Error("one more than the limit")
	}
	if !c.add(x, d(0), 200, 3, 99) {
		t.Error("a known variant is refused")
	}
	if !c.add(x, d(3), 0, 3, 100) || !c.add(x, d(4), 100, 3, 100) || c.add(x, d(5), 100, 3, 99) {
		t.Error("what has ended makes no room")
	}
	if !c.add(&index{generation: 2}, d(0), 0, 1, 0) || c.add(&index{generation: 2}, d(1), 0, 1, 1<<40) {
		t.Error("generations are counted together, or what never ends makes room")
	}
	for i := range 2 * maxTracked {
		c.add(&index{generation: uint64(i + 10)}, d(0), 100, 1, 0)
	}
	if len(c.m) > maxTracked {
		t.Errorf("%d URLs are tracked", len(c.m))
	}
}

func TestIndexTimes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := rapid.Int64Range(1, 1<<45).Draw(t, "now")
		gone := now + rapid.Int64Range(1, 1<<45).Draw(t, "life")
		if times := indexTimes(now, gone); times.Gone < gone || times.Gone < now+indexLife.Milliseconds() || times.Fresh != times.Gone || times.Created != now {
			t.Fatalf("%+v", times)
		}
		if times := indexTimes(now, 0); times.Gone != 0 {
			t.Fatalf("%+v", times)
		}
	})
}

func TestJitterShortens(t *testing.T) {
	p := testPages(t, Options{})
	rapid.Check(t, func(t *rapid.T) {
		p.policy.Jitter = rapid.Float64Range(0, 1).Draw(t, "jitter")
		ttl := time.Duration(rapid.Int64Range(0, 1<<62).Draw(t, "ttl"))
		if got := p.jittered(ttl); got > ttl || float64(got) < float64(ttl)*(1-p.policy.Jitter)-2048 {
			t.Fatalf("%v has become %v by %v", ttl, got, p.policy.Jitter)
		}
	})
}
