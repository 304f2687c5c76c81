package redisstore_test

import (
	"math"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/strata-cache/strata/core/store/redisstore"
)

func TestOpenValidates(t *testing.T) {
	tests := []struct {
		name, url string
		opts      redisstore.Options
		want      string // in the error; empty for none
	}{
		{name: "plain", url: "redis://localhost"},
		{name: "all parts", url: "redis://user:s3cret@127.0.0.1:6379/15"},
		{name: "TLS", url: "rediss://:s3cret@cache.internal:6380/0"},
		{name: "IPv6", url: "redis://[::1]:6379"},
		{name: "unix", url: "unix://user:s3cret@/run/redis.sock?db=2"},
		{name: "parameters", url: "redis://h?pool_size=7&read_timeout=1s&protocol=2&min_idle_conns=0"},
		{name: "an encoded password", url: "redis://user:s3cret%2F%3F%40%23@h"},
		{name: "no limits", url: "redis://h", opts: redisstore.Options{OpTimeout: -1, MaxEntryBytes: -1}},
		{name: "a hash tag in the prefix", url: "redis://h", opts: redisstore.Options{Prefix: "{shop}:"}},

		{name: "empty", url: "", want: "begins with none of"},
		{name: "only a password", url: "s3cret", want: "begins with none of"},
		{name: "another scheme", url: "http://u:s3cret@h", want: "begins with none of"},
		{name: "no slashes", url: "redis:s3cret@h", want: "without //"},
		{name: "a bad port", url: "redis://u:s3cret@h:port", want: "malformed URL"},
		{name: "port 0", url: "redis://u:s3cret@h:0", want: "port"},
		{name: "port 65536", url: "redis://u:s3cret@h:65536", want: "port"},
		{name: "a bad escape", url: "redis://u:%s3cret@h", want: "malformed URL"},
		{name: "a control character", url: "redis://u:s3cret@h\n", want: "malformed URL"},
		{name: "a slash in the password", url: "redis://u:s3/cret@h", want: "malformed URL"},
		{name: "a slash in a password of digits", url: "redis://u:12/s3cret@h", want: "percent-encode"},
		{name: "a question mark in a password of digits", url: "redis://u:12?s3cret@h", want: "percent-encode"},
		{name: "a hash in a password of digits", url: "redis://u:12#s3cret@h", want: "percent-encode"},
		{name: "an at sign and a slash in the password", url: "redis://u:a@s3/cret@h", want: "percent-encode"},
		{name: "no database", url: "redis://u:s3cret@h/shop", want: "number of a database"},
		{name: "a negative database", url: "redis://u:s3cret@h/-1", want: "number of a database"},
		{name: "two path elements", url: "redis://u:s3cret@h/1/2", want: "number of a database"},
		{name: "a negative database in the query", url: "unix://u:s3cret@/s?db=-1", want: "db -1"},
		{name: "no socket", url: "unix://", want: "unix:///path"},
		{name: "a socket on a host", url: "unix://u:s3cret@host/run/redis.sock", want: "unix:///path"},
		{name: "an unknown parameter", url: "redis://u:s3cret@h?pool=1", want: "unexpected option: pool"},
		{name: "a password as a parameter", url: "redis://h?password=s3cret", want: "unexpected option: password"},
		{name: "no duration", url: "redis://u:s3cret@h?read_timeout=soon", want: "read_timeout"},
		{name: "no number", url: "redis://u:s3cret@h?pool_size=many", want: "pool_size"},
		{name: "a negative pool", url: "redis://u:s3cret@h?pool_size=-1", want: "pool_size -1"},
		{name: "a huge pool", url: "redis://u:s3cret@h?pool_size=99999999999", want: "pool_size"},
		{name: "negative idle connections", url: "redis://h?min_idle_conns=-1", want: "min_idle_conns -1"},
		{name: "a negative buffer", url: "redis://h?pipeline_read_buffer_size=-1", want: "pipeline_read_buffer_size -1"},
		{name: "no time to dial", url: "redis://h?dial_timeout=0", want: "dial_timeout"},
		{name: "another protocol", url: "redis://h?protocol=4", want: "protocol 4"},

		{name: "a long prefix", url: "redis://h", opts: redisstore.Options{Prefix: strings.Repeat("p", 257)}, want: "Prefix of 257 bytes"},
		{name: "a line feed in the prefix", url: "redis://h", opts: redisstore.Options{Prefix: "a\nb:"}, want: "control character"},
		{name: "entries larger than a server takes", url: "redis://h", opts: redisstore.Options{MaxEntryBytes: math.MaxInt}, want: "MaxEntryBytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := redisstore.Open(tt.url, tt.opts)
			if err == nil {
				if err := s.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
				if tt.want != "" {
					t.Fatalf("no error, want one with %q", tt.want)
				}
				return
			}
			if tt.want == "" || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "redisstore: ") {
				t.Errorf("error %q, want %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "s3") || strings.Contains(err.Error(), "cret") {
				t.Errorf("the error shows the password: %v", err)
			}
		})
	}
}

// FuzzOpen: whatever the URL, Open does not panic, and its error does not depend on the password.
func FuzzOpen(f *testing.F) {
	for _, s := range []string{
		"redis://u:p@h:1/0", "rediss://h", "unix:///s?db=1", "redis://h?pool_size=-1", "redis://[::1]:70000",
		"redis://u:%zz@h", "redis:opaque", "redis://h?max_active_conns=99999999999&dial_timeout=-1s", "://", "",
	} {
		f.Add(s, "s3cret")
	}
	open := func(u string) string {
		s, err := redisstore.Open(u, redisstore.Options{})
		if err != nil {
			return err.Error()
		}
		s.Close()
		return ""
	}
	f.Fuzz(func(t *testing.T, raw, password string) {
		if strings.Contains(raw, "min_idle_conns") {
			return // they would be dialled
		}
		open(raw)
		u, err := url.Parse(raw)
		if err != nil {
			return
		}
		u.User = url.UserPassword("u", password)
		got := open(u.String())
		u.User = url.UserPassword("u", "another")
		if want := open(u.String()); got != want {
			t.Errorf("%q: the error is %q, with another password %q", raw, got, want)
		}
	})
}

func TestNewValidates(t *testing.T) {
	deaf := redis.NewClient(&redis.Options{})
	defer deaf.Close()
	deafCluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}})
	defer deafCluster.Close()
	deafRing := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": "127.0.0.1:1"}})
	defer deafRing.Close()
	tests := []struct {
		name   string
		client redis.UniversalClient
		opts   redisstore.Options
		want   string
	}{
		{"no client", nil, redisstore.Options{}, "no client"},
		{"a nil client", (*redis.Client)(nil), redisstore.Options{}, "no client"},
		{"a nil cluster", (*redis.ClusterClient)(nil), redisstore.Options{}, "no client"},
		{"a nil ring", (*redis.Ring)(nil), redisstore.Options{}, "no client"},
		{"a client that ignores deadlines", deaf, redisstore.Options{}, "ContextTimeoutEnabled"},
		{"a cluster that ignores deadlines", deafCluster, redisstore.Options{}, "ContextTimeoutEnabled"},
		{"a ring that ignores deadlines", deafRing, redisstore.Options{}, "ContextTimeoutEnabled"},
		{"one that need not", deaf, redisstore.Options{OpTimeout: -1}, ""},
		{"bad options", deaf, redisstore.Options{OpTimeout: -1, Prefix: "\x00"}, "Prefix"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := redisstore.New(tt.client, tt.opts)
			switch {
			case err == nil && tt.want == "":
				s.Close()
			case err == nil || tt.want == "" || !strings.Contains(err.Error(), tt.want):
				t.Errorf("New: %v, want %q", err, tt.want)
			}
		})
	}
}

func TestTuneKeepsWhatIsSet(t *testing.T) {
	o := redis.UniversalOptions{}
	redisstore.Tune(&o, redisstore.Options{})
	if o.DialTimeout != 100*time.Millisecond || o.ReadTimeout != 50*time.Millisecond || o.WriteTimeout != 50*time.Millisecond ||
		o.PoolTimeout != 50*time.Millisecond || o.MaxRetries != -1 || o.DialerRetries != 1 || !o.ContextTimeoutEnabled ||
		o.MaintNotificationsConfig.Mode != maintnotifications.ModeDisabled {
		t.Errorf("the defaults are %+v", o)
	}
	own := redis.UniversalOptions{
		DialTimeout: 1, ReadTimeout: 2, WriteTimeout: 3, PoolTimeout: 4, MaxRetries: 5, DialerRetries: 6,
	}
	redisstore.Tune(&own, redisstore.Options{OpTimeout: time.Second})
	if own.DialTimeout != 1 || own.ReadTimeout != 2 || own.WriteTimeout != 3 || own.PoolTimeout != 4 ||
		own.MaxRetries != 5 || own.DialerRetries != 6 || !own.ContextTimeoutEnabled {
		t.Errorf("set options became %+v", own)
	}
	auto := &maintnotifications.Config{Mode: maintnotifications.ModeAuto}
	cloud := redis.UniversalOptions{MaintNotificationsConfig: auto}
	if redisstore.Tune(&cloud, redisstore.Options{}); cloud.MaintNotificationsConfig != auto {
		t.Error("the configured maintenance notifications are replaced")
	}
	longer := redis.UniversalOptions{}
	redisstore.Tune(&longer, redisstore.Options{OpTimeout: time.Second})
	if longer.ReadTimeout != time.Second || longer.DialTimeout != time.Second {
		t.Errorf("ReadTimeout is %v, DialTimeout %v beside an OpTimeout of 1 s", longer.ReadTimeout, longer.DialTimeout)
	}
}
