package page

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
)

// Cache caches whole responses. Make it with New. It is safe for concurrent use; the adapters nethttpmw,
// ginmw and echomw carry it into their frameworks.
type Cache struct {
	*site
	// route is the TTL that a route's own decorator gives; 0 where there is none.
	route time.Duration
}

// site is what all routes of one page cache share.
type site struct {
	opts         Options
	mode         Mode
	policy       cache.Policy
	space        *cache.Space
	filtersQuery bool
	marks        marks
	variants     variantCounts
	status       statusTexts
}

// New returns a page cache whose pages live in c, as the region "page" of it, or "page." and the prefix.
func New(c *cache.Cache, opts Options) (*Cache, error) {
	if c == nil {
		return nil, errors.New("page: New needs a cache")
	}
	opts, err := opts.resolve()
	if err != nil {
		return nil, err
	}
	policy := c.Policy()
	if opts.TTL == 0 {
		opts.TTL = policy.TTL
	}
	if opts.HardTimeout == 0 {
		opts.HardTimeout = policy.HardTimeout
	}
	name := "page"
	if opts.Prefix != "" {
		name += "." + opts.Prefix
	}
	space, err := c.NewSpace(name, event.LayerPage)
	if err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	return &Cache{site: &site{
		opts: opts, mode: opts.Mode, policy: policy, space: space,
		filtersQuery: len(opts.IgnoreParams) > 0 || len(opts.OnlyParams) > 0,
		marks:        marks{seed: maphash.MakeSeed()},
		status:       newStatusTexts(opts.Name),
	}}, nil
}

// WithTTL returns a view of the same pages for one route, whose responses are stored for ttl: Django's
// cache_page. It outranks max-age and Expires of the response, but not s-maxage, nor a lifetime of 0, nor
// anything that forbids storing. 0 changes nothing; negative: nothing of the route is stored.
func (p *Cache) WithTTL(ttl time.Duration) *Cache { return &Cache{site: p.site, route: ttl} }

// Clear removes all pages.
func (p *Cache) Clear(ctx context.Context) error { return p.space.Clear(ctx) }

// Purge removes every variant of the page at a URL, which is what a GET request for it by a client
// without special headers would be answered with. The URL is absolute; its fragment is ignored. Pages
// that Options.Vary, VaryBy or VaryCookies tell apart need PurgeRequest. It reports whether there was one.
//
// A handler that is running for the page meanwhile is not stored.
func (p *Cache) Purge(ctx context.Context, rawURL string) (bool, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return false, errors.New("page: Purge needs an absolute http or https URL")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, rawURL, http.NoBody)
	if err != nil {
		return false, fmt.Errorf("page: purge: %w", err)
	}
	if r.URL.Path == "" {
		r.URL.Path = "/" // as every client asks for it
	}
	if u.Scheme == "https" {
		r.TLS = &tls.ConnectionState{}
	}
	return p.PurgeRequest(ctx, r)
}

// PurgeRequest is Purge for the page that r would be answered with.
func (p *Cache) PurgeRequest(ctx context.Context, r *http.Request) (bool, error) {
	q := p.examine(r)
	buf, err := p.newKey(r, &q)
	defer buf.put()
	if err != nil {
		return false, err
	}
	key := string(buf.b)
	flight, err := p.authorizedKey(key)
	if err != nil {
		return false, err
	}
	// The second one holds nothing; a run that requests with credentials share is known by it.
	n, err := p.space.Remove(ctx, key, flight)
	return n > 0, err
}

// authorizedKey returns the key of the run that requests with credentials for a page share. They keep to
// themselves: whoever sends credentials must not make others wait for an answer that is his alone.
func (p *Cache) authorizedKey(key string) (string, error) {
	buf, err := p.space.FinishKey(append([]byte(key), "|a"...))
	return string(buf), err
}

// found is what one look-up has come to.
type found struct {
	page   *page        // fresh or not; nil on a miss
	index  *index       // of a URL that varies
	entry  *store.Entry // which the index was read from
	stored *store.Entry // which the page was read from
	digest digest       // of the variant
	epoch  uint64       // of the flights under the final key, from before it was looked up
}

// lookup looks up the page for r, whose primary key is in buf. Afterwards buf holds the final key of the
// page, or of the variant that r asks for. epochs says that the caller may join a flight later; without, only
// what lies in this process is looked at.
func (p *Cache) lookup(ctx context.Context, buf *keyBuf, r *http.Request, epochs bool) (f found, err error) {
	f.entry = p.read(ctx, buf, &f, epochs)
	f.stored = f.entry
	if f.page, f.index = p.open(ctx, buf.b, f.entry); f.index == nil {
		return f, nil
	}
	buf.b, f.digest = appendVariant(buf.b, f.index, r.Header)
	if buf.b, err = p.space.FinishKey(buf.b); err != nil {
		return f, err
	}
	f.stored = p.read(ctx, buf, &f, epochs)
	f.page, _ = p.open(ctx, buf.b, f.stored)
	return f, nil
}

func (p *Cache) read(ctx context.Context, buf *keyBuf, f *found, epochs bool) *store.Entry {
	if !epochs {
		return p.space.Near(ctx, buf.b)
	}
	f.epoch = p.space.Epoch(string(buf.b))
	return p.space.Lookup(ctx, buf.b)
}

func (p *Cache) open(ctx context.Context, key []byte, e *store.Entry) (*page, *index) {
	if e == nil {
		return nil, nil
	}
	pg, x, err := open(e)
	if err != nil {
		p.space.Corrupt(ctx, string(key), err)
		return nil, nil
	}
	return pg, x
}

// keyBuf is where the key of one look-up is built.
type keyBuf struct{ b []byte }

const keyBufSize = 1024

var keyBufs = sync.Pool{New: func() any { return &keyBuf{make([]byte, 0, keyBufSize)} }}

// newKey returns the primary key of a request, with the key rule applied.
func (p *Cache) newKey(r *http.Request, q *request) (*keyBuf, error) {
	buf := keyBufs.Get().(*keyBuf)
	var err error
	buf.b, err = p.space.FinishKey(p.appendKey(append(buf.b[:0], p.space.Prefix()...), r, q))
	return buf, err
}

func (b *keyBuf) put() {
	if cap(b.b) <= keyBufSize {
		keyBufs.Put(b)
	}
}

// serves reports whether a page may answer the request now.
func (p *Cache) serves(pg *page, q *request, now int64) bool {
	return pg != nil && (pg.fresh == 0 || now < pg.fresh) && (!q.authorized || pg.flags&pageShared != 0)
}

// jittered shortens a TTL that the configuration gives, not the response.
func (p *Cache) jittered(ttl time.Duration) time.Duration {
	if ttl == cache.Forever || p.policy.Jitter <= 0 {
		return ttl
	}
	return ttl - time.Duration(float64(ttl)*p.policy.Jitter*rand.Float64())
}
