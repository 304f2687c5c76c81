package negative

import (
	"strings"
	"testing"
	"unsafe"

	"github.com/strata-cache/strata/core/store"
)

// TestSieve runs scripts of one letter a key on a set of three: a lower-case letter sets the key, an upper-case
// one asks for it. want are the keys that are left.
func TestSieve(t *testing.T) {
	for _, tc := range []struct{ name, script, want string }{
		{"in the order in which they came", "abcde", "cde"},
		{"asked for", "abcAde", "ade"},
		{"all asked for: the oldest goes", "abcABCd", "bcd"},
		{"the hand goes on where it was", "abcAdAe", "ade"},
		{"it has passed those that it spared", "abcAdef", "aef"},
		{"spared once only", "abcABdef", "def"},
		{"set again counts as asked for", "abcade", "ade"},
		{"a key that comes back counts as asked for", "abcdaefg", "afg"},
		{"and a new one does not", "abcdxefg", "efg"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := New(Options{MaxKeys: 3})
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range tc.script {
				if key := strings.ToLower(string(c)); key == string(c) {
					s.Set(key, &store.Entry{})
				} else if s.Get(key) == nil {
					t.Fatalf("%s is not there", key)
				}
			}
			var got strings.Builder
			for n := s.shards[0].oldest; n != nil; n = n.newer {
				got.WriteString(n.key)
			}
			if got.String() != tc.want {
				t.Errorf("left %s, want %s", got.String(), tc.want)
			}
		})
	}
}

// TestTheOutdatedGoFirst: that it was asked for does not save a null which is over.
func TestTheOutdatedGoFirst(t *testing.T) {
	var now int64 = 1
	s, err := New(Options{MaxKeys: 2, Now: func() int64 { return now }})
	if err != nil {
		t.Fatal(err)
	}
	s.Set("a", &store.Entry{Times: store.Times{Fresh: 2}})
	s.Set("b", &store.Entry{})
	s.Get("a")
	now = 2
	s.Set("c", &store.Entry{})
	if s.Get("b") == nil || s.Get("c") == nil {
		t.Error("a live null was evicted instead")
	}
}

// TestKeysOfOneHash cannot be had through a Set, whose hashes are seeded.
func TestKeysOfOneHash(t *testing.T) {
	s := shard{maxKeys: 3, maxBytes: 1 << 20}
	for _, key := range []string{"a", "b", "c"} {
		s.set(1, key, &store.Entry{}, 0)
	}
	s.delete(1, "b", 0)
	for key, want := range map[string]bool{"a": true, "b": false, "c": true, "d": false} {
		if there := find(&s, 1, key) != nil; there != want {
			t.Errorf("%s: %v", key, there)
		}
	}
}

// TestKeysAreCopied: a key is often a part of something larger, which would stay in memory with it.
func TestKeysAreCopied(t *testing.T) {
	s, large := shard{maxKeys: 3, maxBytes: 1 << 20}, strings.Repeat("k", 1000)
	s.set(1, large[:10], &store.Entry{}, 0)
	if unsafe.StringData(s.oldest.key) == unsafe.StringData(large) {
		t.Error("the key shares the caller's memory")
	}
}
