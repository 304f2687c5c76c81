package negative_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/strata-cache/strata/core/guard/negative"
	"github.com/strata-cache/strata/core/store"
)

// TestModel compares a set with a map. A set with room for all is the map; one without may have forgotten
// anything but the last, and never says anything else.
func TestModel(t *testing.T) {
	for _, tc := range []struct {
		name string
		opts negative.Options
		room bool
	}{
		{"room for all", negative.Options{MaxKeys: 1000}, true},
		{"many shards", negative.Options{MaxKeys: 100_000}, true},
		{"five keys", negative.Options{MaxKeys: 5}, false},
		{"bytes for five keys", negative.Options{MaxKeys: 1000, MaxBytes: 5 * 330}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				var now int64 = 1
				opts := tc.opts
				opts.Now = func() int64 { return now }
				s, err := negative.New(opts)
				if err != nil {
					t.Fatal(err)
				}
				model := map[string]*store.Entry{}
				live := func(key string) *store.Entry {
					if e := model[key]; e != nil && (e.Fresh == 0 || e.Fresh > now) {
						return e
					}
					return nil
				}
				keys := rapid.StringMatching(`[ab]:[0-9]`)
				check := func(key string) {
					got, want := s.Get(key), live(key)
					if got != want && (tc.room || got != nil) {
						t.Fatalf("%s: %p, want %p", key, got, want)
					}
					if again := s.GetBorrowed([]byte(key)); again != got {
						t.Fatalf("%s: borrowed %p, but %p", key, again, got)
					}
				}
				t.Repeat(map[string]func(*rapid.T){
					"": func(t *rapid.T) {
						if n := s.Len(); n > opts.MaxKeys || n > len(model) {
							t.Fatalf("%d keys, in the model %d", n, len(model))
						}
					},
					"get": func(t *rapid.T) { check(keys.Draw(t, "key")) },
					"set": func(t *rapid.T) {
						key, e := keys.Draw(t, "key"), null(rapid.Int64Range(0, 20).Draw(t, "until"))
						s.Set(key, e)
						model[key] = e
						if s.Get(key) != live(key) {
							t.Fatalf("%s is not there after Set", key)
						}
					},
					"delete": func(t *rapid.T) {
						some := rapid.SliceOfN(keys, 0, 3).Draw(t, "keys")
						want := false
						for _, key := range some {
							want = want || live(key) != nil
							delete(model, key)
						}
						if was := s.Delete(some...); was != want && (tc.room || was) {
							t.Fatalf("Delete(%v) = %v", some, was)
						}
						for _, key := range some {
							check(key)
						}
					},
					"clear": func(t *rapid.T) {
						prefix := rapid.SampledFrom([]string{"a:", "b:1", "", "c"}).Draw(t, "prefix")
						s.Clear(prefix)
						for key := range model {
							if strings.HasPrefix(key, prefix) {
								delete(model, key)
								check(key)
							}
						}
					},
					"time": func(*rapid.T) { now++ },
				})
				for key := range model {
					check(key)
				}
			})
		})
	}
}

// TestConcurrentUse: what a goroutine has set and deleted by itself is as it left it, whatever the others
// do; and what is found under a key was set under it.
func TestConcurrentUse(t *testing.T) {
	const goroutines, each = 8, 3000
	s := open(t, negative.Options{MaxKeys: 100})
	done := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			if n := s.Len(); n > 100 {
				t.Errorf("%d keys", n)
			}
			if i%100 == 0 {
				s.Clear("shared:1")
			}
		}
	})
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				own := fmt.Sprintf("own:%d:%d", g, i%20)
				s.Set(own, null(0, own))
				s.Delete(own)
				if s.Get(own) != nil {
					t.Errorf("%s is there after Delete", own)
				}
				shared := fmt.Sprint("shared:", i%50)
				if e := s.Get(shared); e != nil && e.Tags[0] != shared {
					t.Errorf("the null of %s under %s", e.Tags[0], shared)
				}
				s.Set(shared, null(0, shared))
				if i%7 == 0 {
					s.Delete(shared)
				}
			}
		})
	}
	wg.Wait()
	close(done)
	reader.Wait()
	s.Clear("")
	for i := range 50 {
		if s.Get(fmt.Sprint("shared:", i)) != nil {
			t.Error("there after Clear")
		}
	}
}

// TestAKeyThatStaysIsAlwaysFound: readers walk chains while their neighbours come and go.
func TestAKeyThatStaysIsAlwaysFound(t *testing.T) {
	s := open(t, negative.Options{MaxKeys: 64})
	stays := make([]string, 32)
	for i := range stays {
		stays[i] = fmt.Sprint("stays", i)
		s.Set(stays[i], null(0))
	}
	var wg sync.WaitGroup
	done := make(chan struct{})
	for w := range 2 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				key := fmt.Sprint("moves", w, i%16) // no more than there is room for
				s.Set(key, null(0))
				s.Delete(key)
			}
		})
	}
	for range 3000 {
		for _, key := range stays {
			if s.Get(key) == nil {
				t.Errorf("%s is not there", key)
			}
		}
	}
	close(done)
	wg.Wait()
}
