package page

import (
	"net/http"
	"slices"
	"strconv"
)

const (
	headerAge           = "Age"
	headerCacheStatus   = "Cache-Status"
	headerContentLength = "Content-Length"
	headerContentType   = "Content-Type"
)

// forward is why a request went on to the handler (RFC 9211 §2.2).
type forward uint8

const (
	forwardURI forward = iota
	forwardVary
	forwardMethod
	forwardBypass
)

func (f forward) String() string {
	return [...]string{"uri-miss", "vary-miss", "method", "bypass"}[f]
}

// statusTexts makes the members of Cache-Status. The zero value makes none.
type statusTexts struct{ name string }

func newStatusTexts(name string) statusTexts {
	if name == "-" {
		return statusTexts{}
	}
	return statusTexts{name}
}

// hit is the member of a hit with ttl seconds left; negative: it does not end.
func (s statusTexts) hit(ttl int64) string {
	if ttl < 0 {
		return s.name + "; hit"
	}
	return s.name + "; hit; ttl=" + strconv.FormatInt(ttl, 10)
}

// add appends the member of a response that the handler made, or of one that another request's made.
func (s statusTexts) add(h http.Header, f forward, params string) {
	if s.name != "" {
		// What is there may belong to somebody who keeps it.
		h[headerCacheStatus] = append(slices.Clip(h[headerCacheStatus]), s.name+"; fwd="+f.String()+params)
	}
}

// shown are the headers of a hit that change once a second.
type shown struct {
	second int64 // since the page was made
	age    []string
	status []string
}

// ageAt returns the page's Age at now, in Unix milliseconds.
func (pg *page) ageAt(now int64) []string {
	return []string{strconv.FormatInt(pg.age+max(0, now-pg.created)/1000, 10)}
}

// shownAt returns the headers for now, in Unix milliseconds. They are made once a second.
func (pg *page) shownAt(now int64, texts statusTexts) *shown {
	second := max(0, now-pg.created) / 1000
	if s := pg.shown.Load(); s != nil && s.second == second {
		return s
	}
	s := &shown{second: second, age: pg.ageAt(now)}
	if texts.name != "" {
		ttl := int64(-1)
		if pg.fresh != 0 {
			ttl = max(0, (pg.fresh-now)/1000)
		}
		s.status = append(append(make([]string, 0, len(pg.upstream)+1), pg.upstream...), texts.hit(ttl))
	}
	pg.shown.Store(s)
	return s
}
