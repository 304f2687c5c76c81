package tiered_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/tiered"
)

// logged is a shared store with a log, leases and locks, of the plainest kind.
type logged struct {
	*chaos
	records []store.Record
	leases  map[string]string // token by key
	full    string            // a key of Set that is not stored
}

func (l *logged) Append(ctx context.Context, c store.Change, _ store.Position) (a store.Appended, err error) {
	if l.ops != nil {
		l.ops("append")
	}
	what := fine
	if l.decide != nil {
		what = l.decide("append")
	}
	if what == before {
		return a, errChaos
	}
	for _, k := range c.Delete {
		n, err := l.Store.Delete(ctx, k)
		a.Deleted += n
		if err != nil {
			return a, err
		}
	}
	if c.Add != nil {
		if a.Added, err = l.Store.Add(ctx, c.Add.Key, c.Add.Entry); err != nil || !a.Added {
			return a, err
		}
	}
	if len(c.Items) > 0 {
		r := store.Record{Position: store.Position{Seq: uint64(len(l.records) + 1)}, Items: c.Items}
		l.records, a.Records = append(l.records, r), []store.Record{r}
	}
	for _, it := range c.Set {
		if it.Key == l.full {
			a.Failed, a.Err = append(a.Failed, it.Key), errChaos
			_, _ = l.Store.Delete(ctx, it.Key)
		} else if err := l.Store.Set(ctx, it.Key, it.Entry); err != nil {
			return a, err
		}
	}
	if what == after {
		return store.Appended{}, errChaos
	}
	return a, nil
}

func (l *logged) ReadLog(context.Context, store.Position, time.Duration) ([]store.Record, error) {
	return l.records, nil
}

func (l *logged) LogEnds(context.Context) (first, last store.Record, err error) {
	return l.records[0], l.records[len(l.records)-1], nil
}

func (l *logged) Lease(ctx context.Context, key string, r store.LeaseRequest) (store.Lease, error) {
	if e, err := l.Store.Get(ctx, key); err == nil {
		return store.Lease{Entry: e}, nil
	}
	l.leases[key] = r.Token
	return store.Lease{Granted: true}, nil
}

func (l *logged) SetLeased(ctx context.Context, key, token string, e *store.Entry) (bool, error) {
	what := fine
	if l.decide != nil {
		what = l.decide("set leased")
	}
	if what == before {
		return false, errChaos
	}
	if l.leases[key] != token {
		return false, nil
	}
	delete(l.leases, key)
	err := l.Store.Set(ctx, key, e)
	if what == after {
		return false, errChaos
	}
	return err == nil, err
}

func (l *logged) RenewLease(_ context.Context, key, token string, _ time.Duration) (bool, error) {
	return l.leases[key] == token, nil
}

func (l *logged) ReleaseLease(_ context.Context, key, _ string, _ store.LeaseResult, _ time.Duration) error {
	delete(l.leases, key)
	return nil
}

func (l *logged) Wakes(ctx context.Context, _ string, ready func(), _ func(store.Wake)) error {
	ready()
	<-ctx.Done()
	return ctx.Err()
}

func (l *logged) Lock(context.Context, string, string, string, time.Duration) (int64, time.Duration, error) {
	return 7, 0, nil
}

func (l *logged) ExtendLock(context.Context, string, string, time.Duration) (bool, error) {
	return true, nil
}

func (l *logged) Unlock(context.Context, string, string) (bool, error) { return true, nil }

// fleet is a store of three tiers, the second of which has a log.
type fleet struct {
	*three
	shared *logged
	log    store.Log
	leaser store.Leaser
	order  []string
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{three: &three{l1: memory(t), l2: newChaos(t), l3: newChaos(t)}}
	f.shared = &logged{chaos: f.l2, leases: map[string]string{}}
	opts := tiers(f.l1, f.shared, f.l3)
	opts.OnError = func(tier int, op string, _ error) {
		f.errs = append(f.errs, []string{"L1 ", "L2 ", "L3 "}[tier-1]+op)
	}
	f.Store = open(t, opts)
	var ok bool
	if f.log, ok = store.As[store.Log](f.Store); !ok {
		t.Fatal("no log")
	}
	if f.leaser, ok = store.As[store.Leaser](f.Store); !ok {
		t.Fatal("no leases")
	}
	f.l2.ops = func(op string, _ ...string) { f.order = append(f.order, "L2 "+op) }
	f.l3.ops = func(op string, _ ...string) { f.order = append(f.order, "L3 "+op) }
	return f
}

func invalidates(keys ...string) (items []store.Invalidation) {
	for _, k := range keys {
		items = append(items, store.Invalidation{Kind: store.InvalidateKey, Name: k})
	}
	return items
}

func TestAppend(t *testing.T) {
	type state struct{ l1, l2, l3 string }
	item := store.Item{Key: "set", Entry: entry("new")}
	for _, tt := range []struct {
		name   string
		change store.Change
		l2, l3 func(string) fault
		full   string
		failed bool
		want   map[string]state
	}{
		{name: "what is deleted is nowhere", change: store.Change{Delete: []string{"del"}, Items: invalidates("del")},
			want: map[string]state{"del": {}, "set": {"old", "old", "old"}}},
		{name: "what is set is everywhere", change: store.Change{Set: []store.Item{item}, Items: invalidates("set")},
			want: map[string]state{"set": {"new", "new", "new"}}},
		{name: "what could not be set is nowhere", full: "set",
			change: store.Change{Delete: []string{"del"}, Set: []store.Item{item}, Items: invalidates("set", "del")},
			want:   map[string]state{"set": {}, "del": {}}},
		{name: "a log that fails leaves this process clean", l2: failing("append"), failed: true,
			change: store.Change{Delete: []string{"del"}, Set: []store.Item{item}, Items: invalidates("set", "del")},
			want:   map[string]state{"set": {"", "old", ""}, "del": {"", "old", ""}}},
		{name: "a log that fails at the end, too", failed: true,
			l2:     func(op string) fault { return map[string]fault{"append": after}[op] },
			change: store.Change{Delete: []string{"del"}, Set: []store.Item{item}, Items: invalidates("set", "del")},
			want:   map[string]state{"set": {"", "new", ""}, "del": {}}},
		{name: "a lower tier that fails is no error for what is recorded", l3: failing(),
			change: store.Change{Delete: []string{"del"}, Items: invalidates("del")},
			want:   map[string]state{"del": {"", "", "old"}}},
		{name: "a lower tier that fails is one for what is not", l3: failing(), failed: true,
			change: store.Change{Delete: []string{"del"}},
			want:   map[string]state{"del": {"", "", "old"}}},
		{name: "a lower tier that only cannot store has nothing old", l3: failing("set"),
			change: store.Change{Set: []store.Item{item}, Items: invalidates("set")},
			want:   map[string]state{"set": {"new", "new", ""}}},
		{name: "an addition", change: store.Change{Add: &store.Item{Key: "add", Entry: entry("new")}, Items: invalidates("add")},
			want: map[string]state{"add": {"new", "new", "new"}}},
		{name: "an addition of what is there", change: store.Change{Add: &item, Items: invalidates("set")},
			want: map[string]state{"set": {"old", "old", "old"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFleet(t)
			for _, k := range []string{"del", "set"} {
				must(t, f.Set(ctx, k, entry("old")))
			}
			f.l2.decide, f.l3.decide, f.shared.full = tt.l2, tt.l3, tt.full
			if _, err := f.log.Append(ctx, tt.change, store.Position{}); (err != nil) != tt.failed || err != nil && !errors.Is(err, errChaos) {
				t.Errorf("Append: %v", err)
			}
			for k, w := range tt.want {
				f.want(t, k, w.l1, w.l2, w.l3)
			}
		})
	}
}

func TestAppendAddsNothingOverWhatIsBelow(t *testing.T) {
	f := newFleet(t)
	must(t, f.l3.Store.Set(ctx, "k", entry("below")))
	a, err := f.log.Append(ctx, store.Change{Add: &store.Item{Key: "k", Entry: entry("new")}, Items: invalidates("k")}, store.Position{})
	if a.Added || err != nil || len(f.shared.records) != 0 {
		t.Errorf("Append = %+v, %v, records %v", a, err, f.shared.records)
	}
	f.want(t, "k", "", "", "below")
}

// TestAppendOrder: below is cleaned first and filled last.
func TestAppendOrder(t *testing.T) {
	f := newFleet(t)
	_, err := f.log.Append(ctx, store.Change{
		Delete: []string{"a"}, Set: []store.Item{{Key: "b", Entry: entry("v")}}, Items: invalidates("a", "b"),
	}, store.Position{})
	must(t, err)
	if want := []string{"L3 delete", "L2 append", "L3 set"}; !slices.Equal(f.order, want) {
		t.Errorf("%q, want %q", f.order, want)
	}
}

func TestAppendStopsBackfills(t *testing.T) {
	f := newFleet(t)
	old := entry("old")
	must(t, f.l2.Store.Set(ctx, "k", old))
	f.l2.decide = func(op string) fault {
		if op == "get" {
			_, err := f.log.Append(ctx, store.Change{Delete: []string{"k"}, Items: invalidates("k")}, store.Position{})
			must(t, err)
			must(t, f.l2.Store.Set(ctx, "k", old)) // as if it had been read before
		}
		return fine
	}
	in(f, "k")
	if f.Peek([]byte("k")) != nil {
		t.Error("what was invalidated came into L1")
	}
}

func TestSetLeased(t *testing.T) {
	lease := func(f *fleet, key string) {
		t.Helper()
		l, err := f.leaser.Lease(ctx, key, store.LeaseRequest{Token: "mine", TTL: time.Minute})
		if err != nil || !l.Granted {
			t.Fatalf("Lease = %+v, %v", l, err)
		}
	}
	for _, tt := range []struct {
		name, token string
		decide      func(string) fault
		ok, failed  bool
		l1, l2, l3  string
	}{
		{name: "with the lease all tiers have it", token: "mine", ok: true, l1: "new", l2: "new", l3: "new"},
		{name: "without it none has", token: "other", l1: "stale"},
		{name: "with a failure none has", token: "mine", decide: failing("set leased"), failed: true},
		{name: "with a late failure L1 has not", token: "mine", failed: true, l2: "new",
			decide: func(op string) fault { return map[string]fault{"set leased": after}[op] }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFleet(t)
			must(t, f.l1.Set(ctx, "k", stale("stale", time.Minute)))
			lease(f, "k")
			f.l2.decide = tt.decide
			ok, err := f.leaser.SetLeased(ctx, "k", tt.token, entry("new"))
			if ok != tt.ok || errors.Is(err, errChaos) != tt.failed {
				t.Errorf("SetLeased = %v, %v", ok, err)
			}
			f.want(t, "k", tt.l1, tt.l2, tt.l3)
		})
	}
	t.Run("what Lease returns does not come into L1", func(t *testing.T) {
		f := newFleet(t)
		must(t, f.l2.Store.Set(ctx, "k", entry("v")))
		l, err := f.leaser.Lease(ctx, "k", store.LeaseRequest{})
		must(t, err)
		if l.Entry == nil || f.Peek([]byte("k")) != nil {
			t.Errorf("Lease = %+v", l)
		}
	})
}

func offers[C any](s store.Store) bool {
	_, ok := store.As[C](s)
	return ok
}

// TestCapabilities: what is offered depends on the tiers.
func TestCapabilities(t *testing.T) {
	shared := func() store.Store { return &logged{chaos: newChaos(t), leases: map[string]string{}} }
	has := func(s store.Store) (found []string) {
		for _, c := range []struct {
			name string
			ok   bool
		}{
			{"batcher", offers[store.Batcher](s)},
			{"adder", offers[store.Adder](s)},
			{"scanner", offers[store.Scanner](s)},
			{"pinger", offers[store.Pinger](s)},
			{"counter", offers[store.Counter](s)},
			{"log", offers[store.Log](s)},
			{"leaser", offers[store.Leaser](s)},
			{"locker", offers[store.Locker](s)},
			{"borrower", offers[store.Borrower](s)},
			{"fronted", offers[store.Fronted](s)},
		} {
			if c.ok {
				found = append(found, c.name)
			}
		}
		return found
	}
	for _, tt := range []struct {
		name  string
		tiers tiered.Options
		want  []string
	}{
		{"none behind", tiers(memory(t), bare{memory(t)}), []string{"fronted"}},
		{"memory behind", tiers(memory(t), memory(t)), []string{"batcher", "adder", "scanner", "pinger", "counter", "fronted"}},
		{"in the middle", tiers(memory(t), shared(), bare{memory(t)}), []string{"batcher", "adder", "pinger", "counter", "log", "leaser", "locker", "fronted"}},
		{"at the end", tiers(memory(t), bare{memory(t)}, shared()), []string{"adder", "counter", "log", "leaser", "locker", "fronted"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t, tt.tiers)
			if got := has(s); !slices.Equal(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
			if s.Capability(new(int)) {
				t.Error("an int is no capability")
			}
		})
	}
}
