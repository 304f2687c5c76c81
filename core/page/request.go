package page

import (
	"net/http"
	"slices"
	"strings"
)

// request is what the cache has to know of a request before it looks anything up.
type request struct {
	// bypass is the reason why the request goes past the cache; empty if it does not.
	bypass string
	// authorized: the request carries credentials, in a header or as a client's certificate, so only
	// answers that say so may serve it.
	authorized bool
	// conditional: If-None-Match or If-Modified-Since is there. ranged: Range is.
	conditional, ranged bool
	// poison: headers are there that routers and frameworks take a host, scheme or path from.
	poison bool
	// cookies: there is a Cookie header whose cookies are all ignored or keyed.
	cookies bool
}

// Reasons to go past the cache, as events and Cache-Status name them.
const (
	bypassMethod       = "method"
	bypassSkip         = "skip"
	bypassBody         = "body"
	bypassUpgrade      = "upgrade"
	bypassOverride     = "method-override"
	bypassPrecondition = "precondition"
	bypassCookie       = "cookie"
)

// examine reads the request's headers in one pass. It allocates nothing.
func (p *Cache) examine(r *http.Request) (q request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		q.bypass = bypassMethod
		return q
	}
	if r.ContentLength != 0 || len(r.TransferEncoding) > 0 {
		q.bypass = bypassBody
		return q
	}
	// A client's certificate is a credential like any other.
	q.authorized = r.TLS != nil && len(r.TLS.PeerCertificates) > 0
	worst := headerPlain
	for name, values := range r.Header {
		switch class := classify(name); class {
		case headerPlain:
		case headerUpgrade, headerOverride, headerPrecondition:
			worst = max(worst, class)
		case headerPoison:
			q.poison = true
		case headerAuthorization:
			q.authorized = true
		case headerConditional:
			q.conditional = true
		case headerRange:
			q.ranged = true
		case headerCookie:
			switch {
			case p.opts.Cookies == CookiesIgnore:
			case p.cookiesKeyed(values):
				q.cookies = true
			default:
				worst = max(worst, headerCookie)
			}
		}
	}
	switch worst {
	case headerUpgrade:
		q.bypass = bypassUpgrade
	case headerOverride:
		q.bypass = bypassOverride
	case headerPrecondition:
		q.bypass = bypassPrecondition
	case headerCookie:
		q.bypass = bypassCookie
	}
	if q.bypass == "" && p.opts.Skip != nil && p.opts.Skip(r) {
		q.bypass = bypassSkip
	}
	return q
}

// headerClass is what a header means to the cache. Of several that make a request go past the cache the
// last one in this order is the reason.
type headerClass uint8

const (
	headerPlain headerClass = iota
	headerPoison
	headerAuthorization
	headerConditional
	headerRange
	headerCookie
	headerPrecondition
	headerOverride
	headerUpgrade
)

// poisonHeaders are the headers that applications and frameworks are known to build links, redirects and
// routes from although nothing says that a client may not set them. They make the key more specific and
// are trusted for nothing.
var poisonHeaders = [...]string{
	"Forwarded", "Front-End-Https", "X-Forwarded-Host", "X-Forwarded-Path", "X-Forwarded-Port",
	"X-Forwarded-Prefix", "X-Forwarded-Proto", "X-Forwarded-Protocol", "X-Forwarded-Scheme",
	"X-Forwarded-Server", "X-Forwarded-Ssl", "X-Forwarded-Uri", "X-Host", "X-Http-Host-Override",
	"X-Original-Host", "X-Original-Url", "X-Rewrite-Url", "X-Url-Scheme",
}

// classify says what a header, in canonical form, means to the cache. Most are told apart by their first
// letter.
func classify(name string) headerClass {
	if name == "" {
		return headerPlain
	}
	switch name[0] {
	case 'A':
		if name == "Authorization" {
			return headerAuthorization
		}
	case 'C':
		if name == "Cookie" {
			return headerCookie
		}
	case 'F':
		if name == "Forwarded" || name == "Front-End-Https" {
			return headerPoison
		}
	case 'I':
		switch name {
		case "If-None-Match", "If-Modified-Since":
			return headerConditional
		case "If-Match", "If-Unmodified-Since":
			return headerPrecondition
		}
	case 'R':
		if name == "Range" {
			return headerRange
		}
	case 'U':
		if name == "Upgrade" {
			return headerUpgrade
		}
	case 'X':
		return classifyX(name)
	}
	return headerPlain
}

func classifyX(name string) headerClass {
	switch name {
	case "X-Http-Method-Override", "X-Http-Method", "X-Method-Override":
		return headerOverride
	case "X-Forwarded-Host", "X-Forwarded-Path", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Proto",
		"X-Forwarded-Protocol", "X-Forwarded-Scheme", "X-Forwarded-Server", "X-Forwarded-Ssl", "X-Forwarded-Uri",
		"X-Host", "X-Http-Host-Override", "X-Original-Host", "X-Original-Url", "X-Rewrite-Url", "X-Url-Scheme":
		return headerPoison
	}
	return headerPlain
}

// cookiesKeyed reports whether every cookie of the request is ignored or part of the key.
func (p *Cache) cookiesKeyed(lines []string) bool {
	for _, line := range lines {
		for len(line) > 0 {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			name, _, _ := strings.Cut(pair, "=")
			if name = trim(name); name == "" && trim(pair) == "" {
				continue
			}
			if !p.ignoresCookie(name) && !p.variesByCookie(name) {
				return false
			}
		}
	}
	return true
}

// analyticsCookies are set by scripts for scripts: no server answers differently for them. A trailing
// '*' stands for any ending.
var analyticsCookies = [...]string{"_ga*", "_gid", "_gat*", "_fbp", "__utm*"}

func (p *Cache) ignoresCookie(name string) bool {
	for _, pattern := range analyticsCookies {
		if matchName(pattern, name) {
			return true
		}
	}
	for _, pattern := range p.opts.IgnoreCookies {
		if matchName(pattern, name) {
			return true
		}
	}
	return false
}

func (p *Cache) variesByCookie(name string) bool { return slices.Contains(p.opts.VaryCookies, name) }

// matchName matches a name, to the letter, with a pattern that may end in '*'.
func matchName(pattern, name string) bool {
	if n := len(pattern) - 1; n >= 0 && pattern[n] == '*' {
		return strings.HasPrefix(name, pattern[:n])
	}
	return pattern == name
}
