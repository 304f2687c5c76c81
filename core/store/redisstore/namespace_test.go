package redisstore_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/redisstore"
	"github.com/strata-cache/strata/core/store/storetest"
)

// TestContract has a neighbour on the same server, which nothing that another store does may change.
func TestContract(t *testing.T) {
	neighbour := newSpace(t, redisstore.Options{Prefix: "neighbour:"})
	keys := []string{"k", "k0", "a:k", "plain", "many:1", "{a}", "%", "*", "shop:1:x"}
	for _, k := range keys {
		neighbour.set(k, entry("of "+k))
	}
	neighbour.set("count", counter("41", lifetime(1<<40)))
	srv := shared.Redis(t)
	storetest.Run(t, func(t *testing.T) store.Store {
		return open(t, srv.URL(), redisstore.Options{Prefix: prefix(t, srv.Addr), OpTimeout: patient})
	})
	for _, k := range keys {
		neighbour.want(k, "of "+k)
	}
	neighbour.want("count", "41")
}

func TestClearKeepsToItsOwn(t *testing.T) {
	for _, own := range []string{"shop:", "a*", "a?b", "[ab]", "[^a]", `a\`, `\*`, "{tag}", "%41", "é", " "} {
		t.Run(own, func(t *testing.T) {
			s := newSpace(t, redisstore.Options{Prefix: own})
			root := strings.TrimSuffix(s.prefix, own)
			for _, k := range []string{"k", "*", "{k}", "%", "\xff", "[k]"} {
				s.set(k, entry("v"))
			}
			// Other prefixes on the same server, and under ours what no store writes.
			others := []string{"", "s", "shop", "sho", "a", "ab", "aXb", "b", "^", "*", "{tag", "{u}", "%", "A", "e", "\xc3"}
			var kept []string
			for _, o := range others {
				if !strings.HasPrefix(o+"x", own) {
					kept = append(kept, root+o+"x")
				}
			}
			kept = append(kept, s.prefix+"{raw}", s.prefix+"%zz", s.prefix)
			for _, k := range kept {
				if err := s.raw.Set(s.ctx, k, "foreign", 0).Err(); err != nil {
					t.Fatal(err)
				}
			}
			var scanned []string
			for k, err := range s.Scan(s.ctx, "") {
				if err != nil {
					t.Fatal(err)
				}
				scanned = append(scanned, k)
			}
			slices.Sort(scanned)
			if want := []string{"%", "*", "[k]", "k", "{k}", "\xff"}; !slices.Equal(slices.Compact(scanned), want) {
				t.Errorf("Scan shows %q, want %q", scanned, want)
			}
			if err := s.Clear(s.ctx, "["); err != nil {
				t.Fatal(err)
			}
			s.want("k", "v")
			if err := s.Clear(s.ctx, ""); err != nil {
				t.Fatal(err)
			}
			for k, err := range s.Scan(s.ctx, "") {
				t.Errorf("left after Clear: %q, %v", k, err)
			}
			if n, err := s.raw.Exists(s.ctx, kept...).Result(); int(n) != len(kept) || err != nil {
				t.Errorf("%d of %d foreign keys survive, %v", n, len(kept), err)
			}
		})
	}
}

// TestSharedNames: two prefixes that make one name of two keys never show one key's value as the other's.
func TestSharedNames(t *testing.T) {
	outer := newSpace(t, redisstore.Options{Prefix: "a:"})
	inner := open(t, shared.Redis(t).URL(), redisstore.Options{Prefix: outer.prefix + "b:", OpTimeout: patient})
	outer.set("b:k", entry("outer's"))
	if e, err := inner.Get(outer.ctx, "k"); err == nil {
		t.Errorf("the inner store sees %q", e.Value)
	}
}

func TestNamesOnTheServer(t *testing.T) {
	s := newSpace(t, redisstore.Options{Prefix: "shop:"})
	for key, name := range map[string]string{"user:42": "user:42", "{a}": "%7Ba%7D", "50%": "50%25"} {
		s.set(key, entry("v"))
		if n, err := s.raw.Exists(s.ctx, s.prefix+name).Result(); n != 1 || err != nil {
			t.Errorf("%q is not under %q", key, name)
		}
	}
}
