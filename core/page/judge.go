package page

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/strata-cache/strata/core/cache"
)

// verdict is what a response's status and header fields say about storing it.
type verdict struct {
	// refused is the reason why it is not stored; empty if it is.
	refused string
	ttl     time.Duration
	// named: the response itself names the lifetime, which so counts from when it was asked for, and not
	// from its end.
	named bool
	age   int64 // seconds that the response was old when it was asked for
	flags pageFlags
	vary  []string
}

// Reasons not to store a response, as events name them.
const (
	refusedStatus        = "status"
	refusedCookie        = "set-cookie"
	refusedPrivate       = "private"
	refusedNoStore       = "no-store"
	refusedNoCache       = "no-cache"
	refusedVary          = "vary"
	refusedAuthorization = "authorization"
	refusedStream        = "stream"
	refusedTrailer       = "trailer"
	refusedStale         = "no-freshness"
	refusedHandler       = "handler"
	refusedTooLarge      = "too-large"
	refusedHeader        = "header"
	refusedVariants      = "variants"
	refusedIncomplete    = "incomplete"
	refusedOvertaken     = "overtaken"
)

// judge applies the rules of site mode to a response of which the header is complete. now is when the
// request came.
func (p *Cache) judge(status int, h http.Header, q *request, ctl *control, now time.Time) (v verdict) {
	cc := parseCacheControl(h["Cache-Control"])
	if len(h["Cache-Control"]) == 0 {
		lists(h["Pragma"], func(pragma string) bool {
			cc.noCache = cc.noCache || strings.EqualFold(pragma, "no-cache")
			return true
		})
	}
	var ok bool
	if v.vary, ok = varyNames(h["Vary"]); !ok {
		v.refused = refusedVary
		return v
	}
	// What the key holds already needs no variants. A request that got here carries no cookie that a page
	// may depend on, but those in its key.
	v.vary = slices.DeleteFunc(v.vary, func(name string) bool {
		_, keyed := slices.BinarySearch(p.opts.Vary, name)
		return keyed || name == "Cookie"
	})
	if cc.public || cc.sMaxAge.set || cc.mustRevalidate {
		v.flags |= pageShared
	}
	switch {
	case ctl.noStore.Load():
		v.refused = refusedHandler
	case !storableStatus(status):
		v.refused = refusedStatus
	case len(h["Set-Cookie"]) > 0 || len(h["Set-Cookie2"]) > 0:
		v.refused = refusedCookie
	case cc.noStore:
		v.refused = refusedNoStore
	case cc.private:
		v.refused = refusedPrivate
	case cc.noCache:
		v.refused = refusedNoCache
	case q.authorized && v.flags&pageShared == 0:
		v.refused = refusedAuthorization
	case len(h["Trailer"]) > 0:
		v.refused = refusedTrailer
	case isEventStream(h.Get("Content-Type")):
		v.refused = refusedStream
	default:
		v.age = initialAge(h, now)
		v.ttl, v.named = p.lifetime(status, h, &cc, ctl, now, v.age)
		if v.ttl = min(v.ttl, ctl.longest()); v.ttl <= 0 {
			v.refused = refusedStale
		}
	}
	return v
}

// storableStatus names the statuses that site mode stores at all; of these only 200 and 203 get a
// lifetime that they did not ask for.
func storableStatus(status int) bool {
	switch status {
	case http.StatusOK, http.StatusNonAuthoritativeInfo, http.StatusMovedPermanently,
		http.StatusPermanentRedirect, http.StatusNotFound, http.StatusGone:
		return true
	}
	return false
}

func isEventStream(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(trim(media), "text/event-stream")
}

// lifetime returns how long a response that is age seconds old is fresh, 0 for not at all, and whether the
// response has named that itself.
func (p *Cache) lifetime(status int, h http.Header, cc *directives, ctl *control, now time.Time, age int64) (ttl time.Duration, named bool) {
	own, named := ownLifetime(h, cc, now)
	route := p.route
	if d := time.Duration(ctl.routeTTL.Load()); d != 0 {
		route = d
	}
	if route < 0 {
		return 0, false
	}
	if d, ok := ctl.lifetime(); ok {
		return d, false
	}
	if !named {
		if route == 0 {
			route = p.opts.TTL
		}
		if status != http.StatusOK && status != http.StatusNonAuthoritativeInfo {
			return 0, false
		}
		return p.jittered(max(route, 0)), false
	}
	if route > 0 && own > 0 && !cc.sMaxAge.set {
		return p.jittered(route), false
	}
	return max(0, own-time.Duration(age)*time.Second), true
}

// ownLifetime returns the freshness lifetime that the response names (RFC 9111 §4.2.1).
func ownLifetime(h http.Header, cc *directives, now time.Time) (d time.Duration, named bool) {
	switch {
	case cc.sMaxAge.set:
		return time.Duration(cc.sMaxAge.n) * time.Second, true
	case cc.maxAge.set:
		return time.Duration(cc.maxAge.n) * time.Second, true
	case len(h["Expires"]) == 0:
		return 0, false
	}
	expires, ok := parseDate(h.Get("Expires"))
	if !ok {
		return 0, true // an invalid date lies in the past (RFC 9111 §5.3)
	}
	if date, ok := parseDate(h.Get("Date")); ok {
		now = date
	}
	return min(max(0, expires.Sub(now)), maxSeconds*time.Second), true
}

// initialAge returns how old a response is that comes now from another cache or origin, in seconds
// (RFC 9111 §4.2.3).
func initialAge(h http.Header, now time.Time) int64 {
	var age int64
	if lines := h["Age"]; len(lines) > 0 {
		first, _, _ := strings.Cut(lines[0], ",")
		age = parseSeconds(trim(first))
	}
	if date, ok := parseDate(h.Get("Date")); ok {
		age = max(age, int64(now.Sub(date)/time.Second))
	}
	return min(age, maxSeconds)
}

// times returns the instants of a page that is complete at end, whose request came at start.
func (v *verdict) times(start, end time.Time) (created, fresh int64) {
	created = start.UnixMilli()
	switch {
	case v.ttl == cache.Forever:
		return created, 0
	case v.named:
		end = start
	}
	return created, end.UnixMilli() + max(1, v.ttl.Milliseconds())
}
