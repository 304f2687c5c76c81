package mirror

import (
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/strata-cache/strata/core/store"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(childEnv); url != "" {
		os.Exit(followAsChild(url))
	}
	goleak.VerifyTestMain(m)
}

func at(n uint64) store.Position { return store.Position{Time: n} }

// chain applies one record for each list of items, at 10, 20, 30 and so on.
func chain(t testing.TB, m *Mirror, records ...[]store.Invalidation) {
	t.Helper()
	for _, items := range records {
		was := m.Applied()
		r := store.Record{Position: at(was.Time + 10), Prev: was, Items: items}
		if was.IsZero() {
			r.Prev = at(1) // these tests have no origin
			m.Reset(r.Prev, store.Position{}, store.Position{})
			r.Position = at(10)
		}
		if err := m.Apply(r); err != nil {
			t.Fatal(err)
		}
	}
}

func items(list ...store.Invalidation) []store.Invalidation { return list }

func key(name string) store.Invalidation {
	return store.Invalidation{Kind: store.InvalidateKey, Name: name}
}

func tag(name string) store.Invalidation {
	return store.Invalidation{Kind: store.InvalidateTag, Name: name}
}

func of(kind store.InvalidationKind, name string) store.Invalidation {
	return store.Invalidation{Kind: kind, Name: name}
}

// clock is a fake one, in Unix milliseconds.
type clock struct{ milli int64 }

func (c *clock) now() time.Time { return time.UnixMilli(c.milli) }
