package page

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/strata-cache/strata/core/event"
)

// TryServe answers r from the cache, if it can do so without leaving the process, and reports whether it
// did. An adapter calls Run otherwise. A hit allocates nothing, whatever the size of its body, while w and
// what lies under it do not.
func (p *Cache) TryServe(w http.ResponseWriter, r *http.Request) bool {
	if !p.space.Peeks() {
		return false // Run looks up: a look-up that costs a round trip is not made twice
	}
	q := p.examine(r)
	if q.bypass != "" {
		return false
	}
	start := p.space.StartTimer()
	buf, err := p.newKey(r, &q)
	defer buf.put()
	outer := controlOf(r.Context())
	if err != nil || outer.of(p.site, buf.b) != nil {
		return false // the response of a cache further outside is being made
	}
	f, err := p.lookup(r.Context(), buf, r, false)
	if err != nil || !p.serves(f.page, &q, p.space.Now()) || p.opts.Validate != nil && p.opts.Validate(r) != nil {
		return false
	}
	if outer != nil {
		p.space.Note(r.Context(), string(buf.b), f.stored)
	}
	p.hit(w, r, &q, f.page, start)
	return true
}

func (p *Cache) hit(w http.ResponseWriter, r *http.Request, q *request, pg *page, start time.Time) {
	// Reported first: whoever announces what the cache did, does so in the header.
	now := p.space.Now()
	call := event.Call{Op: event.OpGet, Outcome: event.OutcomeHit, Age: time.Duration(now-pg.created) * time.Millisecond}
	if !start.IsZero() {
		call.Took = time.Since(start)
	}
	p.space.Report(r.Context(), call)
	p.write(w, r, q, pg, pg.shownAt(now, p.status))
}

// write sends a page. Its header fields are assigned without a copy: none has spare capacity, so that
// whoever adds a line to one makes a copy.
func (p *Cache) write(w http.ResponseWriter, r *http.Request, q *request, pg *page, s *shown) {
	h := w.Header()
	notModified := q.conditional && pg.status == http.StatusOK && pg.notModified(r.Header)
	for i := range pg.fields {
		f := &pg.fields[i]
		switch {
		case notModified && f.bodily:
		case f.mode == fieldAdded:
			h[f.name] = append(slices.Clip(h[f.name]), f.values...)
		case f.mode == fieldRemoved:
			delete(h, f.name)
		default:
			h[f.name] = f.values
		}
	}
	h[headerAge] = s.age
	if s.status != nil {
		h[headerCacheStatus] = s.status
	}
	switch {
	case notModified:
		w.WriteHeader(http.StatusNotModified)
	case q.ranged && pg.status == http.StatusOK && r.Method == http.MethodGet:
		pg.serveRange(w, r)
	default:
		w.WriteHeader(pg.status)
		if r.Method != http.MethodHead {
			// An error means that the client has left; there is nobody to tell.
			_, _ = w.Write(pg.body)
		}
	}
}

// serveRange answers a request for a part of the page (RFC 9110 §14). The standard library does all of
// it, preconditions included.
func (pg *page) serveRange(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	delete(h, "Content-Length")
	modified, _ := parseDate(h.Get("Last-Modified"))
	http.ServeContent(w, r, "", modified, bytes.NewReader(pg.body))
}

// notModified evaluates If-None-Match, and If-Modified-Since where that is missing (RFC 9110 §13.2.2).
func (pg *page) notModified(h http.Header) bool {
	if lines, ok := h["If-None-Match"]; ok {
		return matchesETag(lines, pg.get("Etag"))
	}
	since, ok := parseDate(h.Get("If-Modified-Since"))
	if !ok {
		return false
	}
	modified, ok := parseDate(pg.get("Last-Modified"))
	return ok && !modified.After(since)
}

func (pg *page) get(name string) string {
	for i := range pg.fields {
		if f := &pg.fields[i]; f.name == name && len(f.values) > 0 {
			return f.values[0]
		}
	}
	return ""
}

// matchesETag compares weakly (RFC 9110 §8.8.3.2). A quoted tag may hold commas.
func matchesETag(lines []string, etag string) bool {
	etag = strings.TrimPrefix(etag, "W/")
	for _, line := range lines {
		for rest := trim(line); rest != ""; {
			if rest[0] == ',' {
				rest = trim(rest[1:])
				continue
			}
			if rest[0] == '*' {
				return true
			}
			rest = strings.TrimPrefix(rest, "W/")
			if rest == "" || rest[0] != '"' {
				break
			}
			end := strings.IndexByte(rest[1:], '"')
			if end < 0 {
				break
			}
			if rest[:end+2] == etag {
				return true
			}
			rest = trim(rest[end+2:])
		}
	}
	return false
}
