package page

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Mode is whose rules the cache follows.
type Mode uint8

// The modes.
const (
	// Site is Django's per-site cache with its holes closed: the application decides what is cached and
	// for how long, requests do not.
	Site Mode = iota
	// Standard is a shared cache as RFC 9111 describes it. It is not there yet: New refuses it.
	Standard
)

// String returns "site" or "standard".
func (m Mode) String() string {
	switch m {
	case Site:
		return "site"
	case Standard:
		return "standard"
	default:
		return "invalid"
	}
}

// CookiePolicy says what a cookie in a request means.
type CookiePolicy uint8

// The cookie policies.
const (
	// CookiesBypass lets requests go past the cache that carry any cookie which is neither ignored nor
	// part of the key: somebody may be logged in.
	CookiesBypass CookiePolicy = iota
	// CookiesIgnore hides all cookies from the handler, so that its answer cannot depend on them. It is
	// for routes that are the same for everybody. Requests that go past the cache, such as a POST or one
	// that Skip names, keep theirs.
	CookiesIgnore
)

// Defaults of Options.
const (
	DefaultMaxBody     = 1 << 20
	DefaultMaxVariants = 100
	DefaultHitForMiss  = 5 * time.Second
)

// Options configure a page cache. The zero value is safe: it never stores what belongs to one user.
type Options struct {
	// Mode is whose rules the cache follows. Default: Site.
	Mode Mode
	// TTL is the lifetime of pages that say nothing about it themselves. It is jittered like every TTL
	// of the cache. Default: the cache's Policy.TTL. Negative: only pages that name a lifetime are
	// stored.
	TTL time.Duration
	// Prefix keeps the pages of several page caches over one cache apart. A name as cache.NewSpace
	// takes it, at most 35 bytes. Default: none.
	Prefix string
	// Vary names request headers that are part of every key, beside those that a response's own Vary
	// names. Naming a header here saves a look-up. Cookie is not allowed: see VaryCookies.
	Vary []string
	// VaryBy returns what else a page depends on, such as a language, time zone or tenant. It is
	// called for each request that is looked up, more than once, and must not change its mind. Default:
	// nothing.
	VaryBy func(*http.Request) string
	// Skip reports that a request is to go past the cache. Default: none does.
	Skip func(*http.Request) bool
	// Validate refuses a GET or HEAD request by an error: it is answered with status 400 and the error's
	// text, the handler is not run, and nothing is stored. It keeps made-up parameters from filling the
	// cache. It sees every request, those that the cache answers included, before any parameter or cookie
	// is hidden. Default: every request is valid.
	Validate func(*http.Request) error
	// Cookies says what cookies in requests mean. Default: CookiesBypass.
	Cookies CookiePolicy
	// IgnoreCookies names cookies that no page depends on; a trailing '*' stands for any ending. They
	// add to _ga*, _gid, _gat*, _fbp and __utm*.
	IgnoreCookies []string
	// VaryCookies names cookies that are part of the key, to the letter. Default: none.
	VaryCookies []string
	// IgnoreParams names query parameters, such as "utm_*", that are neither part of the key nor seen by
	// the handler. A trailing '*' stands for any ending. Default: none.
	IgnoreParams []string
	// OnlyParams, where given, names the only query parameters that are part of the key and seen by the
	// handler. Default: all.
	OnlyParams []string
	// MaxBody is the longest body that is stored, in bytes. Longer ones pass through. Default: 1 MiB;
	// negative: no limit but that of the store.
	MaxBody int64
	// MaxVariants is how many variants of one URL are stored at a time. Default: 100.
	MaxVariants int
	// HitForMiss is how long requests for a page that turned out not to be cacheable run beside each
	// other instead of waiting for one another. Default: 5 seconds; negative: not at all.
	HitForMiss time.Duration
	// HardTimeout ends the context of a handler that has not begun to stream its answer, when requests
	// may be waiting for it. Default: the cache's Policy.HardTimeout; negative: never.
	HardTimeout time.Duration
	// Unavailable answers where a page is not there and cannot be made: Policy.MaxLoads pages are being made
	// and none has ended within Policy.LoadWait, the run that a request has waited for has exceeded
	// HardTimeout, or the handler's error says the same of what it needs (cache.ErrOverload,
	// cache.ErrTimeout) before it has answered. Default: status 503 with Retry-After: 1.
	Unavailable http.Handler
	// Fallback answers a request for a page that is not there with simplified data, at once, while the page
	// is being made in the background. What it answers is not stored. Default: the request makes the page,
	// and waits.
	Fallback http.Handler
	// Handler is what background requests are sent through. Default: the handler of the http.Server that
	// the request came from; where there is none, Fallback is not used.
	Handler http.Handler
	// Name is the cache's name in Cache-Status, a token (RFC 9211 §2). Default: "strata". "-": no
	// Cache-Status is sent.
	Name string
}

func (o Options) resolve() (Options, error) {
	if o.Mode == Standard {
		return o, errors.New("page: Options.Mode Standard is not there yet")
	}
	switch {
	case o.Mode > Standard:
		return o, fmt.Errorf("page: Options.Mode %d is none of the named ones", o.Mode)
	case o.Cookies > CookiesIgnore:
		return o, fmt.Errorf("page: Options.Cookies %d is none of the named ones", o.Cookies)
	case o.MaxVariants < 0:
		return o, fmt.Errorf("page: Options.MaxVariants %d is negative", o.MaxVariants)
	case len(o.Prefix) > 35:
		return o, fmt.Errorf("page: Options.Prefix has %d bytes, at most 35 are allowed", len(o.Prefix))
	case len(o.IgnoreParams) > 0 && len(o.OnlyParams) > 0:
		return o, errors.New("page: Options.IgnoreParams and OnlyParams exclude each other")
	}
	if err := o.checkLists(); err != nil {
		return o, err
	}
	if o.MaxBody == 0 {
		o.MaxBody = DefaultMaxBody
	}
	if o.MaxVariants == 0 {
		o.MaxVariants = DefaultMaxVariants
	}
	if o.HitForMiss == 0 {
		o.HitForMiss = DefaultHitForMiss
	}
	if o.Name == "" {
		o.Name = "strata"
	}
	if o.Unavailable == nil {
		o.Unavailable = http.HandlerFunc(unavailable)
	}
	if o.Name != "-" && !isName(o.Name) {
		return o, fmt.Errorf("page: Options.Name %q is not a token", o.Name)
	}
	vary := make([]string, 0, len(o.Vary))
	for _, name := range o.Vary {
		switch canonical := textproto.CanonicalMIMEHeaderKey(name); {
		case !isToken(name) || name == "*":
			return o, fmt.Errorf("page: Options.Vary: %q is not a header name", name)
		case canonical == "Cookie":
			return o, errors.New("page: Options.Vary: name the cookies in Options.VaryCookies instead of the Cookie header")
		default:
			vary = append(vary, canonical)
		}
	}
	slices.Sort(vary)
	o.Vary = slices.Compact(vary)
	return o, nil
}

// isName reports whether s can name a cache: a token that begins with a letter or '*', as those of
// structured fields do (RFC 9651 §3.3.4).
func isName(s string) bool {
	if !isToken(s) {
		return false
	}
	c := s[0]
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '*'
}

// checkLists refuses what can never match, since a slip of the pen there is a cache that keys wrongly.
func (o *Options) checkLists() error {
	for name, patterns := range map[string][]string{"IgnoreCookies": o.IgnoreCookies, "IgnoreParams": o.IgnoreParams} {
		for _, p := range patterns {
			if p == "" || strings.Contains(p[:len(p)-1], "*") {
				return fmt.Errorf("page: Options.%s: %q is no name, with a '*' at its end or without", name, p)
			}
		}
	}
	for _, name := range o.VaryCookies {
		if !isToken(name) {
			return fmt.Errorf("page: Options.VaryCookies: %q is no cookie's name", name)
		}
	}
	if slices.Contains(o.OnlyParams, "") {
		return errors.New("page: Options.OnlyParams: a parameter without a name")
	}
	return nil
}

// isToken reports whether s is a token (RFC 9110 §5.6.2), as header names are.
func isToken(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '!', c == '#', c == '$', c == '%', c == '&', c == '\'', c == '*', c == '+', c == '-', c == '.',
			c == '^', c == '_', c == '`', c == '|', c == '~':
		default:
			return false
		}
	}
	return s != ""
}

func unescapeName(name string) string {
	if n, err := url.QueryUnescape(name); err == nil {
		return n
	}
	return name
}
