package cache_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/guard/keyrule"
	"github.com/strata-cache/strata/core/store"
)

func TestFinalKeys(t *testing.T) {
	schema := func(key string) error {
		if strings.Contains(key, " ") {
			return errors.New("a space")
		}
		return nil
	}
	const ns = "p:1::"
	tests := []struct {
		name string
		rule keyrule.Rule
		key  string
		want string // "#": hashed, "": rejected
	}{
		{"plain", keyrule.Rule{}, "a b:ü", "a b:ü"},
		{"250 bytes with the namespace", keyrule.Rule{}, strings.Repeat("x", 250-len(ns)), strings.Repeat("x", 250-len(ns))},
		{"251 bytes", keyrule.Rule{}, strings.Repeat("x", 251-len(ns)), "#"},
		{"100 characters of 3 bytes", keyrule.Rule{}, strings.Repeat("清", 100), "#"},
		{"100 characters of 3 bytes, rejected", keyrule.Rule{Mode: keyrule.Reject}, strings.Repeat("清", 100), ""},
		{"100 characters of 3 bytes, allowed", keyrule.Rule{Mode: keyrule.Reject, MaxLen: 305}, strings.Repeat("清", 100), strings.Repeat("清", 100)},
		{"control characters", keyrule.Rule{}, "a\nb", "#"},
		{"control characters, rejected", keyrule.Rule{Mode: keyrule.Reject}, "a\x7fb", ""},
		{"empty", keyrule.Rule{}, "", ""},
		{"looks like a hashed one", keyrule.Rule{}, "#0123", "#"},
		{"a schema, kept", keyrule.Rule{Schema: schema}, "ab", "ab"},
		{"a schema, broken", keyrule.Rule{Schema: schema}, "a b", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var rec recorder
			c := open(t, memory(t), cache.Options{Prefix: "p", Key: tt.rule, Observer: rec.observer()})
			err := cache.Set(ctx, c, tt.key, "v")
			final, keyErr := c.Key(tt.key)
			if tt.want == "" {
				if !errors.Is(err, cache.ErrRejected) || !errors.Is(keyErr, cache.ErrRejected) {
					t.Errorf("got %v, %v", err, keyErr)
				}
				wantErr[string](t, cache.ErrRejected)(cache.Get[string](ctx, c, tt.key))
				wantErr[string](t, cache.ErrRejected)(cache.Fetch[string](ctx, c, tt.key, nil))
				wantErr[map[string]string](t, cache.ErrRejected)(cache.GetMany[string](ctx, c, "ok", tt.key))
				wantErr[bool](t, cache.ErrRejected)(cache.Add(ctx, c, tt.key, 1))
				wantErr[bool](t, cache.ErrRejected)(c.Has(ctx, tt.key))
				wantErr[bool](t, cache.ErrRejected)(c.Touch(ctx, tt.key, 0))
				wantErr[bool](t, cache.ErrRejected)(c.Delete(ctx, tt.key))
				wantErr[int64](t, cache.ErrRejected)(c.IncrOrInit(ctx, tt.key, 1))
				wantErr[int](t, cache.ErrRejected)(c.BumpVersion(ctx, tt.key, 1))
				if rec.rejected != 10 || rec.calls[0].Outcome != event.OutcomeRejected {
					t.Errorf("%d events, %v", rec.rejected, rec.calls[0].Outcome)
				}
				return
			}
			must(t, err)
			must(t, keyErr)
			want(t, "v")(cache.Get[string](ctx, c, tt.key))
			got := storedKey(t, c)
			user, ok := strings.CutPrefix(got, ns)
			hashed := strings.HasPrefix(user, "#") && len(user) == 33
			if !ok || got != final || tt.want == "#" && !hashed || tt.want != "#" && user != tt.want {
				t.Errorf("got %q (%q)", got, final)
			}
		})
	}
}

func TestNamespacesAreApart(t *testing.T) {
	st := memory(t)
	cache1 := func(prefix string, version int) *cache.Cache {
		return open(t, st, cache.Options{Prefix: prefix, Version: version, KeepStore: true})
	}
	caches := map[string]*cache.Cache{}
	for _, prefix := range []string{"", "a", "a:b", "a:1", "a%3A1", "a%", "1", ":", "a:1:"} {
		for _, version := range []int{1, 2, 11} {
			c := cache1(prefix, version)
			caches[c.Name()+prefix+"/"+string(rune('0'+version))] = c
		}
	}
	for name, c := range caches {
		for _, key := range []string{"k", ":k", "1:k", "1::k", "b:1::k"} {
			must(t, cache.Set(ctx, c, key, name+key))
		}
	}
	for name, c := range caches {
		for _, key := range []string{"k", ":k", "1:k", "1::k", "b:1::k"} {
			want(t, name+key)(cache.Get[string](ctx, c, key))
		}
		if got := keys(t, c, "*"); len(got) != 5 {
			t.Errorf("%s has the keys %q", name, got)
		}
	}
	must(t, caches["defaulta/1"].Clear(ctx))
	for name, c := range caches {
		if has, err := c.Has(ctx, "k"); err != nil || has == (name == "defaulta/1") {
			t.Errorf("after Clear of a/1, %s: %v, %v", name, has, err)
		}
	}
	must(t, st.Close())
}

func TestOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]cache.Options{
		"long prefix":       {Prefix: strings.Repeat("p", 65)},
		"control prefix":    {Prefix: "a\nb"},
		"negative version":  {Version: -1},
		"short keys":        {Key: keyrule.Rule{MaxLen: 63}},
		"keys without room": {Prefix: strings.Repeat("p", 64), Key: keyrule.Rule{MaxLen: 70}},
		"unknown mode":      {Key: keyrule.Rule{Mode: 9}},
		"jitter":            {Policy: cache.Policy{Jitter: 2}},
		"priority":          {Policy: cache.Policy{Priority: 77}},
	} {
		st := memory(t)
		if _, err := cache.New(st, o); err == nil {
			t.Errorf("%s was accepted", name)
		}
		if err := o.Validate(); err == nil {
			t.Errorf("%s is valid", name)
		}
		must(t, st.Close())
	}
	if _, err := cache.New(nil, cache.Options{}); err == nil {
		t.Error("no store was accepted")
	}
	must(t, cache.Options{}.Validate())
	c := open(t, memory(t), cache.Options{})
	if c.Name() != "default" || c.Version() != 1 || c.Observer() != nil || c.Policy().TTL != cache.DefaultTTL {
		t.Errorf("defaults: %q, %d, %+v", c.Name(), c.Version(), c.Policy())
	}
	if c.WithVersion(1) != c {
		t.Error("a view of the own version is another cache")
	}
}

func TestSpace(t *testing.T) {
	everyStore(t, func(t *testing.T, st store.Store) {
		var rec recorder
		obs := rec.observer()
		c := open(t, st, cache.Options{Name: "main", Prefix: "p", Observer: obs})
		s, err := c.NewSpace("page", event.LayerPage)
		must(t, err)
		if s.Name() != "page" || s.Cache() != "main" || s.Observer() != obs || s.Prefix() != "p:1:page:" {
			t.Errorf("%q, %q, %q", s.Name(), s.Cache(), s.Prefix())
		}
		if _, remote := st.(*remote); s.InProcess() == remote {
			t.Errorf("in process: %v", s.InProcess())
		}
		key, err := s.FinishKey(append([]byte(s.Prefix()), "a b"...))
		must(t, err)
		if e := s.Lookup(ctx, key); e != nil {
			t.Errorf("got %v", e)
		}
		e := &store.Entry{Value: []byte("x"), Times: store.Times{Created: s.Now()}}
		must(t, s.Put(ctx, string(key), e))
		if got := s.Lookup(ctx, key); got == nil || string(got.Value) != "x" {
			t.Errorf("got %v", got)
		}
		want(t, 1)(s.Remove(ctx, string(key)))
		must(t, s.Put(ctx, string(key), e.WithTimes(e.Times)))
		must(t, s.Clear(ctx))
		want(t, 0)(s.Remove(ctx, string(key)))
		s.Report(ctx, event.Call{Op: event.OpGet, Outcome: event.OutcomeHit})
		if got := rec.last(); got.Cache != "main" || got.Kind != "page" || got.Layer != event.LayerPage {
			t.Errorf("reported %+v", got)
		}
		s.Refused(ctx, "why")
		s.Corrupt(ctx, string(key), errLoad)
		if rec.reasons()["why"] != 1 || rec.corrupt[0].Kind != "page" || rec.corrupt[0].Err != errLoad {
			t.Errorf("reported %v, %v", rec.reasons(), rec.corrupt)
		}
	})
}
