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
	key      string // the primary key that is being answered
	noStore  atomic.Bool
	routeTTL atomic.Int64 // of a decorator further inside

	mu   sync.Mutex
	ttl  time.Duration
	set  bool
	tags []string
}

type controlKey struct{}

func controlOf(ctx context.Context) *control {
	c, _ := ctx.Value(controlKey{}).(*control)
	return c
}

// lifetime returns the TTL that the handler has set.
func (c *control) lifetime() (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ttl, c.set
}

func (c *control) labels() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tags
}

// NoStore says that the response to r must not be stored, nor given to anybody else: it holds a CSRF
// token, a nonce or something else that belongs to one user. A handler calls it before it begins to
// write. Without a page cache around the handler it does nothing.
func NoStore(r *http.Request) {
	if c := controlOf(r.Context()); c != nil {
		c.noStore.Store(true)
	}
}

// SetTTL sets how long the response to r is stored, whatever its header says short of what forbids
// storing; it is not jittered. cache.Forever: until it is evicted or purged; 0 or negative: it is not
// stored. A handler calls it before it begins to write.
func SetTTL(r *http.Request, ttl time.Duration) {
	if c := controlOf(r.Context()); c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ttl, c.set = min(ttl, cache.Forever), true
	}
}

// AddTags labels the stored page. A handler may call it until it returns.
func AddTags(r *http.Request, tags ...string) {
	if c := controlOf(r.Context()); c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.tags = append(c.tags, tags...)
	}
}
