package storetest

import (
	"context"
	"fmt"
	"strings"

	"github.com/strata-cache/strata/core/store"
)

func borrowerCases() []testCase[store.Borrower] {
	return []testCase[store.Borrower]{
		{"returns what Get returns", func(b box, c store.Borrower) {
			for _, k := range oddKeys() {
				b.set(k, entry("of "+k))
			}
			for _, k := range oddKeys() {
				e := c.GetBorrowed([]byte(k))
				if e == nil || string(e.Value) != "of "+k {
					b.t.Errorf("GetBorrowed(%q) = %+v", short(k), e)
				}
			}
		}},
		{"nil is a miss", func(b box, c store.Borrower) {
			if e := c.GetBorrowed([]byte("nothing")); e != nil {
				b.t.Errorf("GetBorrowed = %+v, want nil", e)
			}
		}},
		{"stale is returned, gone is not", func(b box, c store.Borrower) {
			b.set("stale", stale("v"))
			if c.GetBorrowed([]byte("stale")) == nil {
				b.t.Error("a stale entry is not returned")
			}
			end := b.withShortLife(func(gone int64) {
				b.set("k", &store.Entry{Value: []byte("v"), Times: store.Times{Created: nowMs(), Fresh: gone, Gone: gone}})
			}, func() bool { return c.GetBorrowed([]byte("k")) != nil })
			b.wantExpired("k", end)
			if c.GetBorrowed([]byte("k")) != nil {
				b.t.Error("a gone entry is returned")
			}
		}},
		{"the key is neither kept nor changed", func(b box, c store.Borrower) {
			const n = 200
			for i := range n {
				b.set(fmt.Sprintf("key-%03d", i), entry(fmt.Sprint(i)))
			}
			buf := make([]byte, len("key-000"))
			for i := range 2 * n { // the second half are misses
				k := fmt.Sprintf("key-%03d", i)
				copy(buf, k)
				c.GetBorrowed(buf)
				if string(buf) != k {
					b.t.Fatalf("the key became %q", buf)
				}
				copy(buf, "garbage")
			}
			for i := range n {
				b.wantValue(fmt.Sprintf("key-%03d", i), fmt.Sprint(i))
			}
			b.wantMiss("garbage")
		}},
	}
}

func pingerCases() []testCase[store.Pinger] {
	return []testCase[store.Pinger]{
		{"an open store answers", func(b box, c store.Pinger) {
			if err := c.Ping(b.ctx); err != nil {
				b.t.Errorf("Ping: %v", err)
			}
		}},
		{"under a context that has ended it returns", func(b box, c store.Pinger) {
			ctx, cancel := context.WithCancel(b.ctx)
			cancel()
			_ = c.Ping(ctx) // an answer of its own or the context's: both will do
			if err := c.Ping(b.ctx); err != nil {
				b.t.Errorf("Ping afterwards: %v", err)
			}
		}},
	}
}

func sizerCases() []testCase[store.Sizer] {
	return []testCase[store.Sizer]{
		{"grows with what is stored, shrinks with what is removed", func(b box, c store.Sizer) {
			value := strings.Repeat("v", 1000)
			for i := range 100 {
				b.set(fmt.Sprint("k", i), entry(value))
			}
			n, size := c.Size()
			if n < 90 || n > 110 || size < 90_000 || size > 1_000_000 {
				b.t.Errorf("100 entries of 1000 B are reported as %d entries of %d B", n, size)
			}
			b.clear("")
			n, size = c.Size()
			if n > 10 || size > 20_000 {
				b.t.Errorf("an empty store is reported as %d entries of %d B", n, size)
			}
		}},
		{"never negative", func(b box, c store.Sizer) {
			for range 3 {
				b.set("k", entry("v"))
				b.set("k", entry("longer than before"))
				b.wantDeleted(1, "k")
				b.wantDeleted(0, "k")
			}
			if n, size := c.Size(); n < 0 || size < 0 {
				b.t.Errorf("Size = %d, %d", n, size)
			}
		}},
	}
}
