package config_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/codec"
	"github.com/strata-cache/strata/core/config"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/memstore"
	"github.com/strata-cache/strata/core/store/nullstore"
)

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// everything sets each field to what is not its default.
const everything = `{"caches": {
	"default": {
		"url": "memory://main?max=1MiB&max_entry=64KiB", "prefix": "shop", "version": 3, "codec": "json",
		"store_timeout": "20ms", "key_mode": "reject", "key_max_len": 100, "ttl": "10m", "jitter": 0.25,
		"negative_ttl": "off", "stale_for": "forever", "hard_timeout": "2s", "priority": "important", "shared": true
	},
	"no-cache": {"url": "null://"}
}}`

var everythingParsed = config.Cache{
	URL: "memory://main?max=1MiB&max_entry=64KiB", Prefix: "shop", Version: 3, Codec: "json",
	StoreTimeout: 20 * time.Millisecond, KeyMode: "reject", KeyMaxLen: 100, TTL: 10 * time.Minute, Jitter: 0.25,
	NegativeTTL: -1, StaleFor: cache.Forever, HardTimeout: 2 * time.Second, Priority: "important", Shared: true,
}

func TestParse(t *testing.T) {
	cfg, err := config.Parse([]byte(everything))
	must(t, err)
	if len(cfg.Caches) != 2 || cfg.Caches["default"] != everythingParsed || cfg.Caches["no-cache"] != (config.Cache{URL: "null://"}) {
		t.Errorf("got %+v", cfg)
	}
	var again config.Config
	must(t, again.UnmarshalJSON([]byte(everything)))
	if !maps.Equal(again.Caches, cfg.Caches) {
		t.Errorf("got %+v", again)
	}
}

func TestParseRefuses(t *testing.T) {
	field := func(s string) string { return `{"caches":{"default":{"url":"memory://",` + s + `}}}` }
	tests := []struct {
		name, json string
		want       []string
	}{
		{"nothing", ``, []string{"ends too early"}},
		{"half", `{"caches":{"default":{"url":`, []string{"ends too early"}},
		{"no JSON", `caches: default`, []string{"malformed JSON"}},
		{"an array", `[]`, []string{"object is expected"}},
		{"more than one", `{"caches":{}} {}`, []string{"more after"}},
		{"a field beside", `{"caches":{}, "cache":{}}`, []string{`"cache"`}},
		{"the same cache twice", `{"caches":{"default":{},"default":{}}}`, []string{`"default"`, "twice"}},
		{"a cache that is no object", `{"caches":{"default":"memory://"}}`, []string{`"default"`, "object"}},
		{"caches that are no object", `{"caches":["default"]}`, []string{"object"}},
		{"an unknown field", field(`"tll":"1m"`), []string{`"default"`, "tll", "unknown field"}},
		{"a field in upper case", field(`"TTL":"1m"`), []string{`"default"`, "TTL"}},
		{"the same field twice", field(`"ttl":"1m","ttl":"2m"`), []string{`"default"`, `"ttl"`, "twice"}},
		{"a number without a unit", field(`"ttl":300`), []string{`"default"`, "ttl", `"300s"`}},
		{"no duration", field(`"ttl":"soon"`), []string{`"default"`, "ttl", `"soon"`}},
		{"a duration for ever", field(`"negative_ttl":"forever"`), []string{`"default"`, "negative_ttl", "forever"}},
		{"null", field(`"ttl":null`), []string{`"default"`, "ttl"}},
		{"an object", field(`"ttl":{}`), []string{`"default"`, "ttl"}},
		{"a fraction", field(`"version":1.5`), []string{`"default"`, "version", "1.5"}},
		{"no number", field(`"key_max_len":"long"`), []string{`"default"`, "key_max_len", "long"}},
		{"no boolean", field(`"shared":"yes"`), []string{`"default"`, "shared", "yes"}},
		{"a jitter that is none", field(`"jitter":"NaN"`), []string{`"default"`, "jitter", "NaN"}},
		{"a bad name", `{"caches":{"De fault":{}}}`, []string{`"De fault"`, "lower-case"}},
		{"an empty name", `{"caches":{"":{}}}`, []string{`""`, "bytes"}},
		{"too many tiers", field(`"tiers":["a://","b://","c://","d://"]`), []string{`"default"`, "tiers", "4 tiers"}},
		{"tiers that are no list", field(`"tiers":{"url":"a://"}`), []string{`"default"`, "tiers"}},
		{"a tier that is no text", field(`"tiers":["a://",1]`), []string{`"default"`, "tiers", "tier 2"}},
		{"a tier's unknown field", field(`"tiers":["a://",{"ttl":"1m"}]`), []string{`"default"`, "tier 2", "ttl", "max_ttl"}},
		{"a tier's field twice", field(`"tiers":["a://",{"url":"b://","url":"c://"}]`), []string{`"default"`, "tier 2", "twice"}},
		{"a tier's number without a unit", field(`"tiers":["a://",{"max_ttl":60}]`), []string{`"default"`, "tier 2", "max_ttl", `"60s"`}},
		{"a tier for ever", field(`"tiers":["a://",{"max_ttl":"forever"}]`), []string{`"default"`, "tier 2", "max_ttl", "forever"}},
		{"an ambiguous name", `{"caches":{"user_negative":{}}}`, []string{`"user_negative"`, "ambiguous"}},
		{"all at once", `{"caches":{"a":{"x":1},"b":{"ttl":"y"}}}`, []string{`"a"`, "x", `"b"`, "ttl"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := config.Parse([]byte(tt.json))
			for _, w := range tt.want {
				if err == nil || !strings.Contains(err.Error(), w) {
					t.Errorf("the error does not say %s: %v", w, err)
				}
			}
		})
	}
}

func TestOpen(t *testing.T) {
	cfg, err := config.Parse([]byte(everything))
	must(t, err)
	var calls, evictions int
	m, err := config.Open(cfg, config.Parts{
		Observer: &event.Observer{Call: func(context.Context, event.Call) { calls++ }, Evict: func(event.Evict) { evictions++ }},
		Logger:   slog.New(slog.DiscardHandler),
	})
	must(t, err)
	defer func() { must(t, m.Close()) }()
	c := m.Default()
	wanted := cache.Policy{
		TTL: 10 * time.Minute, Jitter: 0.25, NegativeTTL: -1, StaleFor: cache.Forever, HardTimeout: 2 * time.Second,
		RefreshAt: cache.DefaultRefreshAt, MaxLoads: cache.DefaultMaxLoads, LoadWait: cache.DefaultLoadWait,
		Priority: cache.Important, Shared: true,
	}
	if c.Policy() != wanted || c.Version() != 3 || c.Name() != "default" {
		t.Errorf("got %+v", c.Policy())
	}
	ctx := context.Background()
	must(t, cache.Set(ctx, c, "k", "v"))
	if key, err := c.Key("k"); key != "shop:3::k" || err != nil {
		t.Errorf("key %q, %v", key, err)
	}
	if err := cache.Set(ctx, c, strings.Repeat("x", 101), "v"); !errors.Is(err, cache.ErrRejected) {
		t.Errorf("a long key: %v", err)
	}
	if err := cache.Set(ctx, c, "big", strings.Repeat("x", 70<<10)); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("a large value: %v", err)
	}
	if _, ok := c.Store().(*memstore.Store); !ok {
		t.Errorf("the store is a %T", c.Store())
	}
	n, err := m.Get("no-cache")
	must(t, err)
	if _, ok := n.Store().(*nullstore.Store); !ok || n.Name() != "no-cache" || n.Policy().TTL != cache.DefaultTTL {
		t.Errorf("a %T called %q with %+v", n.Store(), n.Name(), n.Policy())
	}
	if calls == 0 {
		t.Error("the observer saw nothing")
	}
}

// trackedStore knows whether it was closed.
type trackedStore struct {
	store.Store
	closed bool
}

func (s *trackedStore) Close() error { s.closed = true; return s.Store.Close() }

func TestOpenRefuses(t *testing.T) {
	const good = "memory://"
	one := func(c config.Cache) map[string]config.Cache {
		if c.URL == "" {
			c.URL = good
		}
		return map[string]config.Cache{"default": c}
	}
	tiers := func(list ...config.Tier) map[string]config.Cache {
		var c config.Cache
		copy(c.Tiers[:], list)
		return map[string]config.Cache{"default": c}
	}
	tests := []struct {
		name   string
		caches map[string]config.Cache
		want   []string
	}{
		{"no caches", nil, []string{`"default"`, "mandatory"}},
		{"no default", map[string]config.Cache{"a": {URL: good}}, []string{`"default"`, "mandatory"}},
		{"no URL", map[string]config.Cache{"default": {}}, []string{`"default"`, "url", "missing"}},
		{"no scheme", one(config.Cache{URL: "localhost"}), []string{"url", "no URL"}},
		{"an unknown scheme", one(config.Cache{URL: "foo://a,b"}), []string{"url", `"foo"`, "memory, null"}},
		{"tiers as a URL", one(config.Cache{URL: "tiered://a,b"}), []string{"url", "listed in tiers"}},
		{"tiers beside a URL", one(config.Cache{URL: good, Tiers: config.Tiers{{URL: good}, {URL: good}}}), []string{"url", "beside tiers"}},
		{"one tier", tiers(config.Tier{URL: good}), []string{"tiers", "give it as url"}},
		{"a tier without a URL", tiers(config.Tier{}, config.Tier{URL: good}), []string{"tiers", "tier 1", "missing"}},
		{"a tier of an unknown scheme", tiers(config.Tier{URL: good}, config.Tier{URL: "foo://"}), []string{"tiers", "tier 2", `"foo"`}},
		{"a tier's parameter", tiers(config.Tier{URL: good}, config.Tier{URL: "memory://?x=1"}), []string{"tiers", "tier 2", `"x"`}},
		{"a first tier elsewhere", tiers(config.Tier{URL: "tracked://"}, config.Tier{URL: good}), []string{"tiers", "store.Borrower"}},
		{"a tier's jitter above 1", tiers(config.Tier{URL: good, MaxTTL: 1, Jitter: 2}, config.Tier{URL: good}), []string{"tiers", "tier 1", "jitter", "2"}},
		{"an unknown codec", one(config.Cache{Codec: "raw"}), []string{"codec", `"raw"`, "json"}},
		{"an unknown key mode", one(config.Cache{KeyMode: "allow"}), []string{"key_mode", `"allow"`, "hash, reject"}},
		{"an unknown priority", one(config.Cache{Priority: "high"}), []string{"priority", `"high"`, "critical, important, low, normal"}},
		{"a negative version", one(config.Cache{Version: -1}), []string{"version", "-1"}},
		{"a long prefix", one(config.Cache{Prefix: strings.Repeat("p", 65)}), []string{"prefix", "65"}},
		{"a control character", one(config.Cache{Prefix: "a\nb"}), []string{"prefix"}},
		{"jitter above 1", one(config.Cache{Jitter: 1.5}), []string{"jitter", "1.5"}},
		{"a short key limit", one(config.Cache{KeyMaxLen: 10}), []string{"key_max_len", "10"}},
		{"a negative key limit", one(config.Cache{KeyMaxLen: -1}), []string{"key_max_len", "-1"}},
		{"a bad name", map[string]config.Cache{"default": {URL: good}, "A": {URL: good}}, []string{`"A"`}},
		{"names alike in the environment", map[string]config.Cache{"default": {URL: good}, "a-b": {URL: good}, "a_b": {URL: good}}, []string{`"a-b"`, `"a_b"`}},
		{"an unknown parameter", one(config.Cache{URL: "memory://?maxx=1"}), []string{"url", `"maxx"`, "max, max_entry"}},
		{"a parameter twice", one(config.Cache{URL: "memory://?max=1&max=2"}), []string{"url", `"max"`, "2 times"}},
		{"a bad size", one(config.Cache{URL: "memory://?max=64M"}), []string{"url", `"max"`, `"64M"`}},
		{"a bad query", one(config.Cache{URL: "memory://?a=%zz"}), []string{"url", "malformed"}},
		{"an entry above the bound", one(config.Cache{URL: "memory://?max=1KiB&max_entry=1MiB"}), []string{"url", "MaxEntryBytes"}},
		{"a path", one(config.Cache{URL: "memory:///tmp"}), []string{"url", "path"}},
		{"a port", one(config.Cache{URL: "memory://h:1"}), []string{"url", "port"}},
		{"null with a host", one(config.Cache{URL: "null://host"}), []string{"url", "host"}},
		{"null with a path", one(config.Cache{URL: "null:///x"}), []string{"url", "path"}},
		{"null with a parameter", one(config.Cache{URL: "null://?a=1"}), []string{"url", `"a"`, "none"}},
		{"all at once", map[string]config.Cache{"default": {URL: good, Codec: "x", Version: -2}, "b": {}}, []string{`"default": codec`, `"default": version`, `"b": url`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var opened []*trackedStore
			m, err := config.Open(config.Config{Caches: tt.caches}, config.Parts{Stores: map[string]config.Opener{
				"tracked": func(*url.URL) (store.Store, error) {
					s := &trackedStore{Store: nullstore.New()}
					opened = append(opened, s)
					return s, nil
				},
			}})
			if m != nil {
				t.Error("there is a manager")
			}
			for _, s := range opened {
				if !s.closed {
					t.Error("a store is left open")
				}
			}
			for _, w := range tt.want {
				if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), "null, tracked", "null"), w) {
					t.Errorf("the error does not say %s: %v", w, err)
				}
			}
			var fe *config.FieldError
			if !errors.As(err, &fe) || fe.Cache == "" {
				t.Errorf("no FieldError: %v", err)
			}
		})
	}
}

func TestOpenHalfWay(t *testing.T) {
	boom := errors.New("no route to host")
	var opened []*trackedStore
	cfg := config.Config{Caches: map[string]config.Cache{
		"a": {URL: "ok://"}, "b": {URL: "ok://"}, "default": {URL: "bad://"}, "z": {URL: "ok://"},
	}}
	parts := config.Parts{Stores: map[string]config.Opener{
		"ok": func(*url.URL) (store.Store, error) {
			s := &trackedStore{Store: nullstore.New()}
			opened = append(opened, s)
			return s, nil
		},
		"bad": func(*url.URL) (store.Store, error) { return nil, boom },
	}}
	_, err := config.Open(cfg, parts)
	var fe *config.FieldError
	if !errors.Is(err, boom) || !errors.As(err, &fe) || fe.Cache != "default" || fe.Field != "url" {
		t.Errorf("got %v", err)
	}
	if len(opened) != 2 || !opened[0].closed || !opened[1].closed {
		t.Errorf("opened %d, closed %v", len(opened), opened)
	}
	parts.Stores["bad"] = func(*url.URL) (store.Store, error) { return nil, nil }
	if _, err := config.Open(cfg, parts); err == nil || !strings.Contains(err.Error(), "no store") {
		t.Errorf("got %v", err)
	}
}

func TestPartsAreUsed(t *testing.T) {
	var got *url.URL
	m, err := config.Open(config.Config{Caches: map[string]config.Cache{
		"default": {URL: "redis://:pw@host:6379/0?prefix=shop", Codec: "mine"},
	}}, config.Parts{
		Stores: map[string]config.Opener{"redis": func(u *url.URL) (store.Store, error) { got = u; return memstore.New(memstore.Options{}) }},
		Codecs: map[string]codec.Codec{"mine": codec.Raw()},
	})
	must(t, err)
	defer func() { must(t, m.Close()) }()
	if got.Host != "host:6379" || got.Query().Get("prefix") != "shop" {
		t.Errorf("the opener got %v", got)
	}
	if err := cache.Set(context.Background(), m.Default(), "k", struct{}{}); err == nil {
		t.Error("another codec is in use")
	}
}

func TestNoErrorShowsAPassword(t *testing.T) {
	opener := func(u *url.URL) (store.Store, error) {
		password, _ := u.User.Password()
		return nil, fmt.Errorf("dial %s with %q as %q and %q: refused", u, password, u.User, u.Query().Get("auth_token"))
	}
	for name, text := range map[string]config.URL{
		"a password":                  "redis://user:hunter2@host:6379/0",
		"an escaped one":              "redis://user:hunter2%2F%20hunter2@host:6379/0",
		"a token as user":             "redis://hunter2@host/0",
		"a parameter":                 "redis://host/0?auth_token=hunter2%26",
		"a port that is none":         "redis://user:hunter2@host:hunter2/0",
		"an unescaped password":       "redis://user:hunter2#x@host/0",
		"an unescaped slash":          "redis://user:hunter2/x@host/0",
		"a broken escape":             "redis://user:hunter2%zz@host/0",
		"no URL at all":               "hunter2",
		"an unknown scheme":           "rediss://user:hunter2@host/0",
		"a scheme that needs no user": "memory://user:hunter2@x",
	} {
		behind := config.Cache{Tiers: config.Tiers{{URL: "memory://"}, {URL: text}}}
		cfg := config.Config{Caches: map[string]config.Cache{"default": {URL: text}, "tiers": behind}}
		_, err := config.Open(cfg, config.Parts{Stores: map[string]config.Opener{"redis": opener}})
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for form, printed := range map[string]string{
			"error": err.Error(), "%+v": fmt.Sprintf("%+v %v %s", cfg, cfg, text), "%#v": fmt.Sprintf("%#v", cfg), "%q": fmt.Sprintf("%q", text),
		} {
			if strings.Contains(printed, "hunter2") {
				t.Errorf("%s, %s: %s", name, form, printed)
			}
		}
	}
}

func TestOverlay(t *testing.T) {
	file := config.Config{Caches: map[string]config.Cache{
		"default": {URL: "memory://", TTL: time.Minute, Prefix: "file"}, "user-data": {URL: "null://", TTL: time.Minute},
	}}
	got, err := config.Overlay(file, []string{
		"PATH=/bin", "STRATA_CONFIG=/x", "STRATA_OTHER=1",
		"STRATA_CACHE_DEFAULT_TTL=1h", "STRATA_CACHE_DEFAULT_PREFIX=", "STRATA_CACHE_DEFAULT_NEGATIVE_TTL=5s",
		"STRATA_CACHE_USER_DATA_STALE_FOR=forever", "STRATA_CACHE_USER_DATA_URL=memory://?max=1MiB&max_entry=1KiB",
		"STRATA_CACHE_NEW_ONE_URL=null://", "STRATA_CACHE_NEW_ONE_JITTER=off", "STRATA_CACHE_NEW_ONE_SHARED=true",
	})
	must(t, err)
	wanted := map[string]config.Cache{
		"default":   {URL: "memory://", TTL: time.Hour, NegativeTTL: 5 * time.Second},
		"user-data": {URL: "memory://?max=1MiB&max_entry=1KiB", TTL: time.Minute, StaleFor: cache.Forever},
		"new_one":   {URL: "null://", Jitter: -1, Shared: true},
	}
	if !maps.Equal(got.Caches, wanted) {
		t.Errorf("got %+v", got.Caches)
	}
	if file.Caches["default"].Prefix != "file" || len(file.Caches) != 2 {
		t.Errorf("the file's was changed: %+v", file)
	}
	for name, tt := range map[string]struct {
		variable string
		want     []string
	}{
		"no field":          {"STRATA_CACHE_DEFAULT_TLL=1m", []string{"STRATA_CACHE_DEFAULT_TLL"}},
		"no cache":          {"STRATA_CACHE_TTL=1m", []string{"STRATA_CACHE_TTL"}},
		"lower case":        {"STRATA_CACHE_new_TTL=1m", []string{"STRATA_CACHE_new_TTL", "upper case"}},
		"a bad name":        {"STRATA_CACHE_9_TTL=1m", []string{"STRATA_CACHE_9_TTL"}},
		"a malformed value": {"STRATA_CACHE_USER_DATA_TTL=1", []string{`"user-data"`, "ttl", "STRATA_CACHE_USER_DATA_TTL"}},
		"an ambiguous name": {"STRATA_CACHE_X_NEGATIVE_NEGATIVE_TTL=1m", []string{"ambiguous"}},
	} {
		_, err := config.Overlay(file, []string{tt.variable})
		for _, w := range tt.want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%s: the error does not say %s: %v", name, w, err)
			}
		}
	}
	if _, err := config.Overlay(config.Config{Caches: map[string]config.Cache{"a-b": {}, "a_b": {}}}, nil); err == nil {
		t.Error("two caches share their variables")
	}
	if got, err := config.Overlay(config.Config{}, nil); err != nil || len(got.Caches) != 0 {
		t.Errorf("nothing over nothing: %v, %v", got, err)
	}
}

func TestFromEnv(t *testing.T) {
	path := filepath.Join(t.TempDir(), "caches.json")
	must(t, os.WriteFile(path, []byte(everything), 0o600))
	t.Setenv("STRATA_CONFIG", path)
	t.Setenv("STRATA_CACHE_DEFAULT_VERSION", "4")
	cfg, err := config.FromEnv()
	must(t, err)
	wanted := everythingParsed
	wanted.Version = 4
	if cfg.Caches["default"] != wanted {
		t.Errorf("got %+v", cfg.Caches["default"])
	}
	t.Setenv("STRATA_CONFIG", path+".none")
	if _, err := config.FromEnv(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	must(t, os.WriteFile(path, []byte(`{"caches":{"default":{"x":1}}}`), 0o600))
	if _, err := config.Load(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}

func TestParseSize(t *testing.T) {
	for text, wanted := range map[string]int64{
		"0": 0, "1": 1, "1024": 1024, "1B": 1, "1KiB": 1 << 10, "256MiB": 256 << 20, "1.5GiB": 3 << 29, "2TiB": 2 << 40,
		"1kB": 1000, "1MB": 1e6, "0.5GB": 5e8, "3TB": 3e12, "off": -1,
	} {
		if got, err := config.ParseSize(text); err != nil || got != wanted {
			t.Errorf("%q: %d, %v; want %d", text, got, err, wanted)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "+1", "1e3", "0x10", "1M", "1mib", "1 MiB", "1_000", "1.5", "0.3KiB", "9000000TiB", "inf", "NaN", "1.2.3", "offf"} {
		if got, err := config.ParseSize(text); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for text, wanted := range map[string]time.Duration{
		"0": 0, "0s": 0, "90s": 90 * time.Second, "1h30m": 90 * time.Minute, "-5m": -5 * time.Minute, "off": -1, "forever": cache.Forever,
	} {
		if got, err := config.ParseDuration(text); err != nil || got != wanted {
			t.Errorf("%q: %v, %v; want %v", text, got, err, wanted)
		}
	}
	for _, text := range []string{"", "300", "1.5", "1d", "never", "Off"} {
		if got, err := config.ParseDuration(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func TestURLPrinting(t *testing.T) {
	for u, wanted := range map[config.URL]string{
		"redis://user:pw@host:6379/0?token=x": "redis://***@host:6379",
		"memory://?max=1":                     "memory://",
		"no url":                              "(no URL)",
	} {
		if got := u.String(); got != wanted {
			t.Errorf("%q, want %q", got, wanted)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(everything))
	f.Add([]byte(`{"caches":{"a":{"ttl":"1m","ttl":[]}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, err := config.Parse(data)
		if err != nil {
			return
		}
		for alias, c := range cfg.Caches {
			// What was accepted can be said by the environment too.
			name := "STRATA_CACHE_" + strings.ToUpper(strings.ReplaceAll(alias, "-", "_")) + "_URL="
			got, err := config.Overlay(config.Config{}, []string{name + string(c.URL)})
			if err != nil || len(got.Caches) != 1 {
				t.Errorf("%q: %v, %v", alias, got, err)
			}
		}
	})
}

// TestEncodersShowNoPassword: what writes a URL by its encoding methods must not show more than fmt does.
func TestEncodersShowNoPassword(t *testing.T) {
	for _, secret := range []config.URL{"redis://u:s3cret@h:6379/0", "redis://s3cret@h/0", "x://h/?token=s3cret", "redis://u:s3cret@h:bad"} {
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "url", secret, "cache", config.Cache{URL: secret})
		text, err := json.Marshal(config.Cache{URL: secret, Tiers: config.Tiers{{URL: secret}}})
		if err != nil {
			t.Fatal(err)
		}
		if all := log.String() + string(text); strings.Contains(all, "s3cret") {
			t.Errorf("shown: %s", all)
		}
	}
	if text, err := json.Marshal(config.URL("redis://h:6379/0?db=1")); err != nil || string(text) != `"redis://h:6379/0?db=1"` {
		t.Errorf("a URL without a secret becomes %s, %v", text, err)
	}
}
