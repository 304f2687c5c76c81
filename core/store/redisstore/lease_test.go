package redisstore_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/redisstore"
)

func TestLeases(t *testing.T) {
	t.Parallel()
	topologies(t, func(t *testing.T, open topology) {
		for name, run := range map[string]func(*testing.T, topology){
			"are held by one":                   leaseHeldByOne,
			"are not granted over an entry":     leaseOverAnEntry,
			"are granted over damage":           leaseOverDamage,
			"store and wake":                    leaseStoresAndWakes,
			"refuse what is too large":          leaseRefusesTooLarge,
			"back off":                          leaseBacksOff,
			"are renewed with those who wait":   leaseRenewed,
			"that were lost store nothing":      leaseLost,
			"end with a delete":                 leaseEndsWithDelete,
			"need a token, a time and a result": leaseArguments,
			"stay when the entries are cleared": leaseStays,
			"of other keys and nodes are apart": leasesApart,
		} {
			t.Run(name, func(t *testing.T) { run(t, open) })
		}
	})
}

func leaseHeldByOne(t *testing.T, open topology) {
	s := open(t, redisstore.Options{})
	s.lease("k", "token")
	if l := s.request("k", ""); l.Entry != nil || l.Result != store.LeaseHeld || l.Left <= 0 || l.Left > time.Minute {
		t.Errorf("a second Lease: %+v", l)
	}
	s.lease("k", "token") // the answer was lost, it asks again
	if ttl := s.raw.PTTL(s.ctx, s.prefix+"{"+s.prefix+"k}lease").Val(); ttl <= 0 || ttl > time.Minute {
		t.Errorf("the lease lasts %v", ttl)
	}
	short, err := s.Lease(s.ctx, "short", store.LeaseRequest{Token: "token", TTL: time.Nanosecond})
	if err != nil || !short.Granted {
		t.Fatalf("a short Lease: %+v, %v", short, err)
	}
	until(t, "a lease ends by itself", func() bool {
		l, err := s.Lease(s.ctx, "short", store.LeaseRequest{Token: "another", TTL: time.Minute})
		return err == nil && l.Granted
	})
}

func leaseOverAnEntry(t *testing.T, open topology) {
	s := open(t, redisstore.Options{})
	e := entry("v")
	e.Stamp = store.Position{Time: 5, Seq: 6}
	if err := s.Set(s.ctx, "k", e); err != nil {
		t.Fatal(err)
	}
	ask := func(key string, seen *store.Entry) store.Lease {
		t.Helper()
		l, err := s.Lease(s.ctx, key, store.LeaseRequest{Token: "token", TTL: time.Minute, Seen: seen})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	other, later := *entry("v"), *entry("v")
	other.Times, other.Stamp = e.Times, store.Position{Time: 5, Seq: 7}
	later.Created, later.Stamp = e.Created+1, e.Stamp
	for name, seen := range map[string]*store.Entry{
		"nothing": nil, "another stamp": &other, "another time": &later, "a counter": counter("1", store.Times{}),
	} {
		if l := ask("k", seen); l.Granted || l.Entry == nil || string(l.Entry.Value) != "v" || l.Entry.Stamp != e.Stamp {
			t.Errorf("Lease that has seen %s: %+v", name, l)
		}
	}
	if s.exists("{" + s.prefix + "k}lease") {
		t.Error("a lease was taken all the same")
	}
	if l := ask("k", e); !l.Granted {
		t.Errorf("Lease that has seen the entry: %+v", l)
	}
	if err := s.Set(s.ctx, "stale", &store.Entry{Times: store.Times{Fresh: 1}}); err != nil {
		t.Fatal(err)
	}
	if l := ask("stale", nil); !l.Granted {
		t.Errorf("Lease over a stale entry: %+v", l)
	}
	if err := s.Set(s.ctx, "c", counter("41", lifetime(time.Hour))); err != nil {
		t.Fatal(err)
	}
	l := ask("c", nil)
	if l.Entry == nil || string(l.Entry.Value) != "41" || l.Entry.Gone == 0 {
		t.Fatalf("Lease over a counter: %+v", l)
	}
	if l := ask("c", l.Entry); !l.Granted {
		t.Errorf("Lease that has seen the counter: %+v", l)
	}
}

func leaseOverDamage(t *testing.T, open topology) {
	s := open(t, redisstore.Options{})
	for name, damage := range damages {
		key := "k" + name
		s.set(key)
		frame, err := s.raw.Get(s.ctx, s.prefix+key).Result()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.raw.Set(s.ctx, s.prefix+key, damage(frame), 0).Err(); err != nil {
			t.Fatal(err)
		}
		s.lease(key, "token")
		if ok, err := s.SetLeased(s.ctx, key, "token", entry("new")); !ok || err != nil || s.has(key) == "" {
			t.Errorf("%s: SetLeased = %v, %v", name, ok, err)
		}
	}
}

func leaseStoresAndWakes(t *testing.T, open topology) {
	s := open(t, redisstore.Options{})
	one, two, none := s.wakes("one"), s.sibling(open).wakes("two"), s.wakes("none")
	for name, tt := range map[string]struct {
		value  string
		inline bool
	}{"small": {"value", true}, "binary": {"\x00\r\n\xff", true}, "large": {strings.Repeat("x", 17<<10), false}} {
		key := "k{" + name
		s.lease(key, "token")
		s.request(key, "one")
		s.request(key, "two")
		s.request(key, "two")
		e := entry(tt.value)
		e.Tags = []string{"t"}
		if ok, err := s.SetLeased(s.ctx, key, "token", e); !ok || err != nil {
			t.Fatalf("SetLeased = %v, %v", ok, err)
		}
		for _, got := range []<-chan store.Wake{one, two} {
			w := woken(t, got)
			if w.Key != key || w.Result != store.LeaseStored || (w.Entry != nil) != tt.inline {
				t.Errorf("%s: woken by %+v", name, w)
			}
			if w.Entry != nil && (string(w.Entry.Value) != tt.value || w.Entry.Times != e.Times || len(w.Entry.Tags) != 1) {
				t.Errorf("%s: woken with %+v", name, w.Entry)
			}
		}
		if l := s.request(key, ""); l.Entry == nil || string(l.Entry.Value) != tt.value {
			t.Errorf("%s: afterwards %+v", name, l)
		}
		if s.exists("{"+s.prefix+"k%7B"+name+"}waiters") || s.exists("{"+s.prefix+"k%7B"+name+"}lease") {
			t.Errorf("%s: something is left of the lease", name)
		}
	}
	if len(one)+len(two)+len(none) > 0 {
		t.Errorf("%d, %d and %d wake-ups too many", len(one), len(two), len(none))
	}
}

func leaseRefusesTooLarge(t *testing.T, open topology) {
	s := open(t, redisstore.Options{MaxEntryBytes: 300})
	got := s.wakes("node")
	if err := s.Set(s.ctx, "k", &store.Entry{Times: store.Times{Fresh: 1}}); err != nil {
		t.Fatal(err)
	}
	s.lease("k", "token")
	s.request("k", "node")
	if ok, err := s.SetLeased(s.ctx, "k", "token", entry(strings.Repeat("x", 300))); ok || !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("SetLeased = %v, %v", ok, err)
	}
	if w := woken(t, got); w.Result != store.LeaseFree || w.Entry != nil {
		t.Errorf("woken by %+v", w)
	}
	if s.has("k") != "" || s.holds("k", "token") {
		t.Error("the old entry or the lease is still there")
	}
	s.lease("k", "token")
	if ok, err := s.SetLeased(s.ctx, "k", "token", &store.Entry{Times: store.Times{Gone: 1}}); !ok || err != nil || s.holds("k", "token") {
		t.Errorf("SetLeased of what is gone = %v, %v", ok, err)
	}
}

func leaseBacksOff(t *testing.T, open topology) {
	s := open(t, redisstore.Options{})
	got := s.wakes("node")
	for _, result := range []store.LeaseResult{store.LeaseNotFound, store.LeaseFailed, store.LeaseFree} {
		s.lease("k", "token")
		s.request("k", "node")
		if err := s.ReleaseLease(s.ctx, "k", "foreign", result, time.Minute); err != nil || !s.holds("k", "token") {
			t.Errorf("ReleaseLease with another token: %v", err)
		}
		if err := s.ReleaseLease(s.ctx, "k", "token", result, time.Minute); err != nil {
			t.Fatal(err)
		}
		if w := woken(t, got); w != (store.Wake{Key: "k", Result: result, BackOff: time.Minute}) {
			t.Errorf("woken by %+v", w)
		}
		if l := s.request("k", "node"); l.Result != result || l.Left <= 0 || l.Left > time.Minute {
			t.Errorf("Lease in a back-off: %+v", l)
		}
		if ok, err := s.SetLeased(s.ctx, "k", "token", entry("v")); ok || err != nil || s.holds("k", "token") {
			t.Errorf("the lease still holds in its back-off: %v, %v", ok, err)
		}
		if _, err := s.Delete(s.ctx, "k"); err != nil {
			t.Fatal(err)
		}
		s.lease("k", "token") // the delete ends the back-off
		if err := s.ReleaseLease(s.ctx, "k", "token", result, 0); err != nil {
			t.Fatal(err)
		}
	}
	if len(got) > 0 {
		t.Errorf("woken once more by %+v", <-got)
	}
	s.lease("short", "token")
	if err := s.ReleaseLease(s.ctx, "short", "token", store.LeaseFailed, time.Nanosecond); err != nil {
		t.Fatal(err)
	}
	until(t, "a back-off ends by itself", func() bool {
		l, err := s.Lease(s.ctx, "short", store.LeaseRequest{Token: "another", TTL: time.Minute})
		return err == nil && l.Granted
	})
}

func leaseRenewed(t *testing.T, open topology) {
	s := open(t, redisstore.Options{})
	lease, waiters := s.prefix+"{"+s.prefix+"k}lease", s.prefix+"{"+s.prefix+"k}waiters"
	s.lease("k", "token")
	s.request("k", "node")
	for _, name := range []string{lease, waiters} {
		if ttl := s.raw.PTTL(s.ctx, name).Val(); ttl <= 0 || ttl > time.Minute+time.Second {
			t.Errorf("%q lives %v", name, ttl)
		}
	}
	if ok, err := s.RenewLease(s.ctx, "k", "foreign", time.Hour); ok || err != nil {
		t.Errorf("RenewLease with another token = %v, %v", ok, err)
	}
	if ok, err := s.RenewLease(s.ctx, "k", "token", time.Hour); !ok || err != nil {
		t.Errorf("RenewLease = %v, %v", ok, err)
	}
	for _, name := range []string{lease, waiters} {
		if ttl := s.raw.PTTL(s.ctx, name).Val(); ttl <= time.Minute+time.Second || ttl > time.Hour+time.Second {
			t.Errorf("%q lives %v after it was renewed", name, ttl)
		}
	}
}

func leaseLost(t *testing.T, open topology) {
	s := open(t, redisstore.Options{})
	for name, lose := range map[string]func(key string){
		"evicted": func(key string) { s.raw.Del(s.ctx, s.prefix+"{"+s.prefix+key+"}lease") },
		"taken over": func(key string) {
			s.raw.Del(s.ctx, s.prefix+"{"+s.prefix+key+"}lease")
			s.lease(key, "next")
		},
		"deleted": func(key string) {
			if _, err := s.Delete(s.ctx, key); err != nil {
				t.Error(err)
			}
		},
		"never held": func(key string) { s.raw.Set(s.ctx, s.prefix+"{"+s.prefix+key+"}lease", "token", 0) },
	} {
		s.lease(name, "token")
		lose(name)
		if ok, err := s.SetLeased(s.ctx, name, "token", entry("late")); ok || err != nil || s.has(name) != "" {
			t.Errorf("%s: SetLeased = %v, %v", name, ok, err)
		}
		if s.holds(name, "token") {
			t.Errorf("%s: the lease still holds", name)
		}
		if err := s.ReleaseLease(s.ctx, name, "token", store.LeaseFree, 0); err != nil {
			t.Errorf("%s: ReleaseLease: %v", name, err)
		}
	}
	if !s.holds("taken over", "next") {
		t.Error("the old holder has ended the lease of the next one")
	}
	s.lease("never held", "token") // what never ends is no lease of ours
}

func leaseEndsWithDelete(t *testing.T, open topology) {
	s := open(t, redisstore.Options{})
	got := s.wakes("node")
	for name, tt := range map[string]struct {
		end    func(key string) error
		result store.LeaseResult
		value  string
	}{
		"Delete": {func(key string) error { _, err := s.Delete(s.ctx, "x", key, "y"); return err }, store.LeaseFree, ""},
		"Append of a delete": {func(key string) error {
			c := invalidate(key)
			c.Delete = []string{"x", key}
			_, err := s.Append(s.ctx, c, store.Position{})
			return err
		}, store.LeaseFree, ""},
		"Append of a set": {func(key string) error {
			c := invalidate(key)
			c.Set = []store.Item{{Key: key, Entry: entry("set")}}
			_, err := s.Append(s.ctx, c, store.Position{})
			return err
		}, store.LeaseStored, "set"},
		"Append of an add": {func(key string) error {
			c := invalidate(key)
			c.Add = &store.Item{Key: key, Entry: entry("added")}
			_, err := s.Append(s.ctx, c, store.Position{})
			return err
		}, store.LeaseStored, "added"},
	} {
		s.lease(name, "token")
		s.request(name, "node")
		if err := tt.end(name); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		w := woken(t, got)
		value := ""
		if w.Entry != nil {
			value = string(w.Entry.Value)
		}
		if w.Key != name || w.Result != tt.result || value != tt.value {
			t.Errorf("%s: woken by %+v with %q", name, w, value)
		}
		if ok, err := s.SetLeased(s.ctx, name, "token", entry("late")); ok || err != nil {
			t.Errorf("%s: SetLeased = %v, %v", name, ok, err)
		}
	}
}

func leaseStays(t *testing.T, open topology) {
	s := open(t, redisstore.Options{})
	s.set("k")
	s.lease("l", "token")
	s.request("l", "node")
	end := s.append(invalidate("k"), store.Position{}).Records[1].Position
	if _, _, err := s.Lock(s.ctx, "k", "token", "", time.Minute); err != nil {
		t.Fatal(err)
	}
	for k, err := range s.Scan(s.ctx, "") {
		if k != "k" || err != nil {
			t.Errorf("Scan shows %q, %v", k, err)
		}
	}
	if err := s.Clear(s.ctx, ""); err != nil {
		t.Fatal(err)
	}
	if s.has("k") != "" || !s.holds("l", "token") || s.end() != end {
		t.Error("Clear has left the entry, or removed the lease or the log")
	}
	if ok, err := s.Unlock(s.ctx, "k", "token"); !ok || err != nil {
		t.Errorf("Unlock after Clear = %v, %v", ok, err)
	}
}

func leasesApart(t *testing.T, open topology) {
	s, other := open(t, redisstore.Options{}), open(t, redisstore.Options{})
	got, others := s.wakes("node"), other.wakes("node")
	s.lease("k", "token")
	other.lease("k", "token")
	s.lease("l", "token")
	s.request("k", "node")
	if err := other.ReleaseLease(s.ctx, "k", "token", store.LeaseFree, 0); err != nil {
		t.Fatal(err)
	}
	if err := s.ReleaseLease(s.ctx, "l", "token", store.LeaseFree, 0); err != nil {
		t.Fatal(err)
	}
	if !s.holds("k", "token") {
		t.Error("the lease has ended with another one")
	}
	if err := s.ReleaseLease(s.ctx, "k", "token", store.LeaseFree, 0); err != nil {
		t.Fatal(err)
	}
	if w := woken(t, got); w != (store.Wake{Key: "k", Result: store.LeaseFree}) {
		t.Errorf("woken by %+v", w)
	}
	if len(got)+len(others) > 0 {
		t.Error("more wake-ups than one")
	}
}
