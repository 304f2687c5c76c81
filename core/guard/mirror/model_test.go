package mirror

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/strata-cache/strata/core/store"
)

// model remembers every item, and judges by going through all of them.
type model struct {
	m     *Mirror // for the places that its table of keys has
	items []dated
	// recent are, for each shard of the table of keys, the names that it must remember, oldest first.
	recent map[*tableShard][]string
}

type dated struct {
	store.Invalidation
	at store.Position
}

func (d *model) apply(at store.Position, list []store.Invalidation) {
	for _, it := range list {
		d.items = append(d.items, dated{it, at})
		switch it.Kind {
		case store.InvalidateKey, store.ChangeKey, store.HoldKey:
			s := d.m.keys.shard(it.Name)
			names := slices.DeleteFunc(d.recent[s], func(n string) bool { return n == it.Name })
			names = append(names, it.Name)
			d.recent[s] = names[max(0, len(names)-d.m.keys.limit):]
		}
	}
}

// judge tells what the entry is at least: what was forgotten about a key counts for its dependents alone.
func (d *model) judge(key string, e *store.Entry) Verdict {
	v, stamp := Valid, e.Stamp
	known := slices.Contains(d.recent[d.m.keys.shard(key)], key)
	if known {
		for _, it := range d.items {
			if it.Name != key || it.Kind != store.InvalidateKey && it.Kind != store.HoldKey || !before(e.Stamp, it.at) {
				continue
			}
			stamp = e.Stamp
			if it.Kind == store.InvalidateKey && !it.Token.IsZero() && it.Token == e.Token() {
				stamp = it.at
			}
		}
	}
	for _, it := range d.items {
		if !before(stamp, it.at) {
			continue
		}
		changes := it.Kind == store.InvalidateKey || it.Kind == store.HoldKey || it.Kind == store.ChangeKey
		switch {
		case known && it.Name == key && (it.Kind == store.InvalidateKey || it.Kind == store.HoldKey):
			return Invalid
		case it.Kind == store.InvalidatePrefix && strings.HasPrefix(key, it.Name):
			return Invalid
		case (it.Kind == store.InvalidateTag || it.Kind == store.HoldTag) && slices.Contains(e.Tags, it.Name):
			return Invalid
		case it.Kind == store.ExpireTag && slices.Contains(e.Tags, it.Name):
			v = Stale
		}
		for _, dep := range e.Deps {
			if changes && (it.Name == dep || IsArea(dep) && strings.HasPrefix(it.Name, dep)) {
				return Invalid
			}
			if it.Kind == store.InvalidatePrefix &&
				(strings.HasPrefix(dep, it.Name) || IsArea(dep) && strings.HasPrefix(it.Name, dep)) {
				return Invalid
			}
		}
	}
	return v
}

var (
	genKey = rapid.Custom(func(t *rapid.T) string {
		return fmt.Sprintf("p:%d:%s:%d", rapid.IntRange(1, 2).Draw(t, "version"),
			rapid.SampledFrom([]string{"user", "team"}).Draw(t, "kind"), rapid.IntRange(0, 40).Draw(t, "id"))
	})
	genTag   = rapid.Custom(func(t *rapid.T) string { return fmt.Sprint("t", rapid.IntRange(0, 100).Draw(t, "tag")) })
	genValue = rapid.SampledFrom([]string{"one", "two"})
	genItem  = rapid.Custom(func(t *rapid.T) store.Invalidation {
		it := store.Invalidation{Kind: store.InvalidationKind(rapid.IntRange(1, 10).Draw(t, "item"))}
		switch it.Kind {
		case store.InvalidateTag, store.ExpireTag, store.HoldTag, store.ReleaseTag:
			it.Name = genTag.Draw(t, "name")
		case store.InvalidatePrefix:
			it.Name = rapid.SampledFrom([]string{"", "p:1:", "p:2:", "p:1:user:", "p:1:user:1", "p:2:team:3"}).Draw(t, "prefix")
		default:
			it.Name = genKey.Draw(t, "name")
		}
		if it.Kind == store.InvalidateKey && rapid.Bool().Draw(t, "stored") {
			it.Token = (&store.Entry{Value: []byte(genValue.Draw(t, "value"))}).Token()
		}
		return it
	})
	genDep = rapid.Custom(func(t *rapid.T) string {
		k := genKey.Draw(t, "dep")
		return rapid.SampledFrom([]string{k, Area(k), Namespace(k)}).Draw(t, "how")
	})
)

func TestMirrorAgreesWithAModel(t *testing.T) {
	for _, names := range []int{1, 256, 100_000} {
		t.Run(fmt.Sprint(names, " names"), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				m := New(Options{Names: names})
				d := &model{m: m, recent: map[*tableShard][]string{}}
				m.Reset(at(1), store.Position{}, store.Position{})
				type stored struct {
					key string
					e   *store.Entry
				}
				var entries []stored
				for range rapid.IntRange(1, 60).Draw(t, "steps") {
					if rapid.Bool().Draw(t, "load") {
						entries = append(entries, stored{genKey.Draw(t, "key"), &store.Entry{
							Stamp: m.Applied(), Value: []byte(genValue.Draw(t, "value")),
							Tags: rapid.SliceOfN(genTag, 0, 3).Draw(t, "tags"),
							Deps: rapid.SliceOfN(genDep, 0, 3).Draw(t, "deps"),
						}})
						continue
					}
					was := m.Applied()
					r := store.Record{Position: at(was.Time + 1), Prev: was, Items: rapid.SliceOfN(genItem, 1, 4).Draw(t, "items")}
					if err := m.Apply(r); err != nil {
						t.Fatal(err)
					}
					d.apply(r.Position, r.Items)
					for _, s := range entries {
						want, got := d.judge(s.key, s.e), m.Judge(s.key, s.e, true)
						if got < want {
							t.Fatalf("%q %v, tags %q, deps %q: judged %d, the model %d", s.key, s.e.Stamp, s.e.Tags, s.e.Deps, got, want)
						}
						if names > 1000 && got != want {
							t.Fatalf("%q %v, tags %q, deps %q: judged %d, the model %d, and nothing was forgotten", s.key, s.e.Stamp, s.e.Tags, s.e.Deps, got, want)
						}
					}
				}
			})
		})
	}
}
