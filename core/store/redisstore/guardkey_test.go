package redisstore

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/strata-cache/strata/core/store"
)

func TestPrefixBraces(t *testing.T) {
	for prefix, valid := range map[string]bool{
		"shop:": true, "{shop}:": true, "a{b}c": true, "{a}{b}": true,
		"{": false, "}": false, "{}": false, "a{}b": false, "a{b": false, "a}b": false, "{{a}}": false, "{a}}": false, "}{": false,
	} {
		if _, err := (Options{Prefix: prefix}).withDefaults(); (err == nil) != valid {
			t.Errorf("prefix %q: %v", prefix, err)
		}
	}
}

// tagOf is what a Cluster and a Ring hash of a name.
func tagOf(name string) string {
	if _, rest, ok := strings.Cut(name, "{"); ok {
		if tag, _, ok := strings.Cut(rest, "}"); ok && tag != "" {
			return tag
		}
	}
	return name
}

func TestGuardNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &Store{opts: Options{Prefix: rapid.SampledFrom([]string{"shop:", "{shop}:", "a{b}{c}"}).Draw(t, "prefix")}}
		key, other := rapid.StringOfN(rapid.RuneFrom([]rune("ab{}%:")), 0, 6, -1), "lease"
		a, b := key.Draw(t, "a"), key.Draw(t, "b")
		seen := map[string]string{s.logKey(): "log"}
		for _, k := range []string{a, b, other} {
			names := append(s.guarded(k), s.lockNames(k)...)
			for i, n := range names {
				if tagOf(n) != tagOf(s.name(k)) {
					t.Errorf("%q hashes %q, its entry %q", n, tagOf(n), tagOf(s.name(k)))
				}
				if !strings.HasPrefix(n, s.opts.Prefix) {
					t.Errorf("%q is outside of the prefix", n)
				}
				what := k + "\x00" + string(rune('0'+i))
				if have, ok := seen[n]; ok && have != what {
					t.Errorf("%q is both %q and %q", n, have, what)
				}
				seen[n] = what
			}
		}
	})
}

func TestStreamIDs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.OneOf(rapid.Uint64(), rapid.Just(uint64(math.MaxUint64)), rapid.Just(uint64(0)))
		p := store.Position{Time: number.Draw(t, "ms"), Seq: number.Draw(t, "seq")}
		if got, ok := parseStreamID(streamID(p)); !ok || got != p {
			t.Errorf("%v is read as %v, %v", p, got, ok)
		}
		q, ok := next(p)
		if last := (store.Position{Time: math.MaxUint64, Seq: math.MaxUint64}); ok != (p != last) || ok && q.Compare(p) <= 0 {
			t.Errorf("behind %v lies %v, %v", p, q, ok)
		}
	})
	for _, id := range []string{"", "-", "1", "1-", "-1", "01-1", "1-01", "1-1-1", "+1-1", "18446744073709551616-0", "0-18446744073709551616"} {
		if p, ok := parseStreamID(id); ok {
			t.Errorf("%q is read as %v", id, p)
		}
	}
}

func TestMilliseconds(t *testing.T) {
	for d, want := range map[time.Duration]int64{
		-1: 0, 0: 0, 1: 1, time.Millisecond: 1, time.Millisecond + 1: 2, time.Second: 1000, math.MaxInt64: maxPX,
	} {
		if got := milliseconds(d); got != want {
			t.Errorf("%d ns are %d ms, want %d", d, got, want)
		}
	}
}
