package page

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/strata-cache/strata/core/cache"
)

// control is what a handler can say about its own response, and what a page cache inside another one
// knows of it. It travels in the request's context.
type control struct {
	site     *site
	key      string   // the primary key that is being answered
	outer    *control // of the page whose handler asked for this one
	noStore  atomic.Bool
	routeTTL atomic.Int64 // of a decorator further inside

	mu    sync.Mutex
	ttl   time.Duration
	set   bool
	limit time.Duration // of pages further inside; Forever where there is none
	tags  []string
}

type controlKey struct{}

func controlOf(ctx context.Context) *control {
	c, _ := ctx.Value(controlKey{}).(*control)
	return c
}

func newControl(s *site, key string, outer *control) *control {
	return &control{site: s, key: key, outer: outer, limit: cache.Forever}
}

// of returns the control of s under key, c or one further out. nil is none.
func (c *control) of(s *site, key []byte) *control {
	for ; c != nil; c = c.outer {
		if c.site == s && c.key == string(key) {
			return c
		}
	}
	return nil
}

// lifetime returns the TTL that the handler has set.
func (c *control) lifetime() (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ttl, c.set
}

// longest returns the lifetime that the pages inside of this one allow.
func (c *control) longest() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.limit
}

func (c *control) labels() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tags
}

// NoStore says that the response to r must not be stored, nor given to anybody else: it holds a CSRF
// token, a nonce or something else that belongs to one user. A handler calls it before it begins to
// write. It holds for all page caches around the handler; without one it does nothing.
func NoStore(r *http.Request) {
	for c := controlOf(r.Context()); c != nil; c = c.outer {
		c.noStore.Store(true)
	}
}

// SetTTL sets how long the response to r is stored, whatever its header says short of what forbids
// storing; it is not jittered. cache.Forever: until it is evicted or purged; 0 or negative: it is not
// stored. A handler calls it before it begins to write. Where page caches stand around each other it sets
// the lifetime in the innermost one; the others keep the response no longer than that.
func SetTTL(r *http.Request, ttl time.Duration) {
	c := controlOf(r.Context())
	if c == nil {
		return
	}
	c.mu.Lock()
	c.ttl, c.set = ttl, true
	c.mu.Unlock()
	for c = c.outer; c != nil; c = c.outer {
		c.mu.Lock()
		c.limit = min(c.limit, ttl)
		c.mu.Unlock()
	}
}

// AddTags labels the stored page, in all page caches around the handler. A handler may call it until it
// returns.
func AddTags(r *http.Request, tags ...string) {
	for c := controlOf(r.Context()); c != nil; c = c.outer {
		c.mu.Lock()
		c.tags = append(c.tags, tags...)
		c.mu.Unlock()
	}
}
