package page

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// appendKey appends the primary key of a request to buf: what the response may depend on by the URL, by
// the options, and by headers that are known to be abused. The form is
//
//	scheme ":" length ":" host path ["?" length ":" query] { "|" tag length ":" value }
//
// in which every part is framed (a path holds neither '?' nor '|'), so that two requests share a key only
// if all parts are equal.
func (p *Cache) appendKey(buf []byte, r *http.Request, q *request) []byte {
	if r.TLS != nil {
		buf = append(buf, "https:"...)
	} else {
		buf = append(buf, "http:"...)
	}
	host := trimPort(r.Host, r.TLS != nil)
	buf = strconv.AppendInt(buf, int64(len(host)), 10)
	buf = append(buf, ':')
	buf = appendLower(buf, host)
	path := r.URL.EscapedPath()
	buf = append(buf, path...)
	switch {
	case r.URL.RawQuery != "":
		buf = p.appendQuery(buf, r.URL.RawQuery)
	case r.URL.ForceQuery:
		buf = append(buf, "?0:"...)
	}
	if !sameTarget(r, path) {
		// Somebody has rewritten the URL, as http.StripPrefix does: then both forms count.
		buf = appendPart(buf, 'u', p.visibleTarget(r.RequestURI))
	}
	if q.poison {
		buf = appendPoison(buf, r.Header)
	}
	for _, name := range p.opts.Vary {
		buf = appendField(buf, 'h', r.Header, name)
	}
	if q.cookies {
		buf = p.appendCookies(buf, r.Header["Cookie"])
	}
	if p.opts.VaryBy != nil {
		buf = appendPart(buf, 'v', p.opts.VaryBy(r))
	}
	return buf
}

func appendPart(buf []byte, tag byte, value string) []byte {
	buf = append(buf, '|', tag)
	buf = strconv.AppendInt(buf, int64(len(value)), 10)
	buf = append(buf, ':')
	return append(buf, value...)
}

// appendField appends the lines of a header field, each framed. Absent, empty and two lines are three
// different things.
func appendField(buf []byte, tag byte, h http.Header, name string) []byte {
	lines := h[name]
	buf = append(buf, '|', tag)
	buf = append(buf, name...)
	buf = append(buf, '*')
	buf = strconv.AppendInt(buf, int64(len(lines)), 10)
	for _, l := range lines {
		l = trim(l)
		buf = append(buf, ',')
		buf = strconv.AppendInt(buf, int64(len(l)), 10)
		buf = append(buf, ':')
		buf = append(buf, l...)
	}
	return buf
}

func appendPoison(buf []byte, h http.Header) []byte {
	for _, name := range poisonHeaders {
		lines, ok := h[name]
		if !ok {
			continue
		}
		if name == "Forwarded" {
			// "for" and "by" differ for every client and are of no interest.
			for _, l := range lines {
				buf = appendForwarded(buf, l)
			}
			continue
		}
		buf = appendField(buf, 'x', h, name)
	}
	return buf
}

// appendForwarded appends host and proto of one line of a Forwarded field (RFC 7239 §4). The parts are
// taken at every ';' and ',', in quotes or not, and one that is not plainly an address counts: a line that
// means to confuse only makes its own key.
func appendForwarded(buf []byte, line string) []byte {
	for part := range strings.FieldsFuncSeq(line, func(r rune) bool { return r == ';' || r == ',' }) {
		part = trim(part)
		name, value, _ := strings.Cut(part, "=")
		address := strings.EqualFold(name, "for") || strings.EqualFold(name, "by")
		if !address || strings.ContainsAny(value, "= \t") {
			buf = appendPart(buf, 'f', part)
		}
	}
	return buf
}

// appendCookies appends the cookies that the options name, in their order. Repeated ones all count, and
// so does one without a value, which is not the same as none.
func (p *Cache) appendCookies(buf []byte, lines []string) []byte {
	for _, want := range p.opts.VaryCookies {
		for _, line := range lines {
			for pair := range strings.SplitSeq(line, ";") {
				if name, _, _ := strings.Cut(pair, "="); trim(name) == want {
					buf = appendPart(buf, 'c', trim(pair))
				}
			}
		}
	}
	return buf
}

// trimPort cuts the scheme's default port off a host.
func trimPort(host string, secure bool) string {
	port := ":80"
	if secure {
		port = ":443"
	}
	return strings.TrimSuffix(host, port)
}

func appendLower(buf []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		buf = append(buf, c)
	}
	return buf
}

// sameTarget reports whether the URL still is what the client sent.
func sameTarget(r *http.Request, path string) bool {
	rest, ok := strings.CutPrefix(r.RequestURI, path)
	switch {
	case r.RequestURI == "":
		return true
	case !ok:
		return false
	case rest == "":
		return r.URL.RawQuery == "" && !r.URL.ForceQuery
	default:
		return rest[0] == '?' && rest[1:] == r.URL.RawQuery
	}
}

// maxParams is how many query parameters are sorted without an allocation.
const maxParams = 16

// param is one parameter of a query, as offsets: it begins at start, its name ends at name.
type param struct{ start, name, end int }

// appendQuery appends '?' and the query with its pairs sorted by name; the order within one name stays,
// and so does every byte. '&' is the only separator. A query with escaped names is not sorted at all:
// "%61" and "a" are the same name to the application, and their order may matter. A query all of which is
// hidden is none.
func (p *Cache) appendQuery(buf []byte, query string) []byte {
	var stack [maxParams]param
	params, size, sorted := p.params(stack[:0], query)
	if size == 0 {
		return buf
	}
	if !sorted {
		sortParams(query, params)
	}
	buf = append(buf, '?')
	buf = strconv.AppendInt(buf, int64(size), 10)
	buf = append(buf, ':')
	if sorted && size == len(query) {
		return append(buf, query...)
	}
	for i, c := range params {
		if i > 0 {
			buf = append(buf, '&')
		}
		buf = append(buf, query[c.start:c.end]...)
	}
	return buf
}

// params appends the visible parameters of the query to dst. size is their length with separators; sorted
// says that their order is that of the key already.
func (p *Cache) params(dst []param, query string) (params []param, size int, sorted bool) {
	escaped, ordered := p.mode != Site, true
	for i := 0; i <= len(query); i++ {
		c := param{start: i, name: -1}
		special := false
		for ; i < len(query) && query[i] != '&'; i++ {
			switch query[i] {
			case '=':
				if c.name < 0 {
					c.name = i
				}
			case '%', '+':
				special = special || c.name < 0
			}
		}
		if c.end = i; c.name < 0 {
			c.name = i
		}
		if p.filtersQuery && p.hidesParam(query[c.start:c.end]) {
			continue
		}
		if n := len(dst); n > 0 {
			size++
			ordered = ordered && c.compare(query, dst[n-1]) >= 0
		}
		escaped = escaped || special
		size += c.end - c.start
		dst = append(dst, c)
	}
	return dst, size, ordered || escaped
}

// compare compares the names of two parameters.
func (c param) compare(query string, d param) int {
	return strings.Compare(query[c.start:c.name], query[d.start:d.name])
}

// sortParams is stable, and an insertion sort where there are few.
func sortParams(query string, params []param) {
	if len(params) > maxParams {
		slices.SortStableFunc(params, func(a, b param) int { return a.compare(query, b) })
		return
	}
	for i := 1; i < len(params); i++ {
		for j := i; j > 0 && params[j].compare(query, params[j-1]) < 0; j-- {
			params[j], params[j-1] = params[j-1], params[j]
		}
	}
}

func paramName(pair string) string {
	name, _, _ := strings.Cut(pair, "=")
	return name
}

// hidesParam reports whether the options keep a query parameter from the key and from the handler.
func (p *Cache) hidesParam(pair string) bool {
	name := paramName(pair)
	if strings.ContainsAny(name, "%+") {
		name = unescapeName(name)
	}
	for _, pattern := range p.opts.IgnoreParams {
		if matchName(pattern, name) {
			return true
		}
	}
	return len(p.opts.OnlyParams) > 0 && !slices.Contains(p.opts.OnlyParams, name)
}

// visibleQuery returns the query without the hidden parameters, its order unchanged.
func (p *Cache) visibleQuery(query string) string {
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		if !p.hidesParam(pair) {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}

// visibleTarget returns a request target without the hidden parameters.
func (p *Cache) visibleTarget(target string) string {
	path, query, found := strings.Cut(target, "?")
	if !found || !p.filtersQuery || query == "" {
		return target
	}
	if query = p.visibleQuery(query); query == "" {
		return path
	}
	return path + "?" + query
}
