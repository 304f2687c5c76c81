package redisstore

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// dialTimeout is what establishing a connection may take, where OpTimeout is not longer.
const dialTimeout = 100 * time.Millisecond

// Open opens a store on one server with a client of its own, which Close closes. The URL is
// redis://user:password@host:port/database, rediss:// for TLS, or unix://user:password@/path?db=0;
// special characters in a password are percent-encoded. Query parameters such as pool_size=20 or
// read_timeout=1s set options of the client and win over Tune.
//
// Nothing is asked of the server yet. No error text holds the password.
func Open(rawURL string, opts Options) (*Store, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	co, err := parseURL(rawURL)
	if err != nil {
		return nil, err
	}
	tuneClient(co, o.OpTimeout)
	s, err := New(redis.NewClient(co), opts)
	if err != nil {
		return nil, err
	}
	s.closeClient = s.client.Close
	return s, nil
}

// Tune sets those options of a client that are still zero to what a cache wants: a broken server costs a
// call no more than opts.OpTimeout, and nothing is tried again behind the caller's back, so that no Incr
// counts twice. Maintenance notifications, which Redis Cloud sends, are off unless they are configured:
// go-redis would look up the host's address when the client is made. ContextTimeoutEnabled is always set,
// without which a client keeps no deadline.
func Tune(client *redis.UniversalOptions, opts Options) {
	client.ContextTimeoutEnabled = true
	client.MaxRetries = cmp.Or(client.MaxRetries, -1)
	client.DialerRetries = cmp.Or(client.DialerRetries, 1)
	io := ioTimeout(opts.OpTimeout)
	client.DialTimeout = cmp.Or(client.DialTimeout, max(dialTimeout, io))
	client.ReadTimeout = cmp.Or(client.ReadTimeout, io)
	client.WriteTimeout = cmp.Or(client.WriteTimeout, io)
	client.PoolTimeout = cmp.Or(client.PoolTimeout, io)
	if client.MaintNotificationsConfig == nil {
		client.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	}
}

// tuneClient is Tune for the options of a single server.
func tuneClient(client *redis.Options, opTimeout time.Duration) {
	u := redis.UniversalOptions{
		MaxRetries: client.MaxRetries, DialerRetries: client.DialerRetries, DialTimeout: client.DialTimeout,
		ReadTimeout: client.ReadTimeout, WriteTimeout: client.WriteTimeout, PoolTimeout: client.PoolTimeout,
	}
	Tune(&u, Options{OpTimeout: opTimeout})
	client.ContextTimeoutEnabled, client.MaintNotificationsConfig = u.ContextTimeoutEnabled, u.MaintNotificationsConfig
	client.MaxRetries, client.DialerRetries, client.DialTimeout = u.MaxRetries, u.DialerRetries, u.DialTimeout
	client.ReadTimeout, client.WriteTimeout, client.PoolTimeout = u.ReadTimeout, u.WriteTimeout, u.PoolTimeout
}

// ioTimeout is the client's limit for one read or write: the store's own where it has one.
func ioTimeout(opTimeout time.Duration) time.Duration {
	if opTimeout <= 0 {
		return DefaultOpTimeout
	}
	return opTimeout
}

// parseURL is redis.ParseURL with errors that hold nothing of the URL before its query, where a password
// may stand in the wrong place, and without values that NewClient panics on.
func parseURL(rawURL string) (*redis.Options, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, errors.New("redisstore: malformed URL (are special characters in the password percent-encoded?)")
	}
	_, rest, _ := strings.Cut(rawURL, "://")
	if i := strings.IndexAny(rest, "/?#"); i >= 0 && strings.ContainsAny(rest[i:], "@#") {
		return nil, errors.New("redisstore: URL with '@' or '#' behind its host: a password and a path percent-encode them")
	}
	if u.Opaque != "" {
		return nil, errors.New("redisstore: URL without //")
	}
	switch u.Scheme {
	case "redis", "rediss":
		if _, err := strconv.ParseUint(strings.Trim(u.Path, "/"), 10, 31); err != nil && strings.Trim(u.Path, "/") != "" {
			return nil, errors.New("redisstore: the path of the URL is not the number of a database")
		}
		if port := u.Port(); port != "" {
			if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
				return nil, errors.New("redisstore: the port of the URL is not between 1 and 65535")
			}
		}
	case "unix":
		if u.Path == "" || u.Host != "" {
			return nil, errors.New("redisstore: a unix URL is unix:///path or unix://user:password@/path")
		}
	default:
		return nil, errors.New("redisstore: the URL begins with none of redis://, rediss:// and unix://")
	}
	o, err := redis.ParseURL(rawURL)
	if err != nil {
		return nil, fmt.Errorf("redisstore: URL: %w", err)
	}
	return o, validClient(o)
}

// validClient refuses what go-redis would panic on, or never get a connection with.
func validClient(o *redis.Options) error {
	for _, p := range []struct {
		name  string
		value int
	}{
		{"db", o.DB}, {"pool_size", o.PoolSize}, {"min_idle_conns", o.MinIdleConns},
		{"max_idle_conns", o.MaxIdleConns}, {"max_active_conns", o.MaxActiveConns},
		{"max_concurrent_dials", o.MaxConcurrentDials},
		{"pipeline_read_buffer_size", o.PipelineReadBufferSize}, {"pipeline_write_buffer_size", o.PipelineWriteBufferSize},
	} {
		if p.value < 0 || p.value > math.MaxInt32 {
			return fmt.Errorf("redisstore: URL: %s %d is not between 0 and %d", p.name, p.value, math.MaxInt32)
		}
	}
	switch {
	case o.PipelinePoolSize > math.MaxInt32:
		return fmt.Errorf("redisstore: URL: pipeline_pool_size %d is more than %d", o.PipelinePoolSize, math.MaxInt32)
	case o.Protocol != 0 && o.Protocol != 2 && o.Protocol != 3:
		return fmt.Errorf("redisstore: URL: protocol %d is neither 2 nor 3", o.Protocol)
	case o.DialTimeout < 0:
		return errors.New("redisstore: URL: dial_timeout is not positive")
	}
	return nil
}
