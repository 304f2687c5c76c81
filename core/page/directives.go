package page

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// directives are the members of a Cache-Control field that a shared cache in site mode obeys.
type directives struct {
	noStore, noCache, private, public, mustRevalidate bool
	maxAge, sMaxAge                                   seconds
}

// seconds is a delta-seconds argument. Absent is the zero value.
type seconds struct {
	n   int64
	set bool
}

// maxSeconds is what an argument that is too large counts as (RFC 9111 §1.2.2).
const maxSeconds = math.MaxInt32 + 1

// parseCacheControl reads all lines of the field. It never fails: an argument that is no number makes
// the response stale, repeated directives count as the shortest, and unknown ones are ignored
// (RFC 9111 §4.2.1, §5.2.3).
func parseCacheControl(lines []string) (d directives) {
	for _, line := range lines {
		for len(line) > 0 {
			var name, value string
			name, value, line = nextDirective(line)
			d.apply(name, value)
		}
	}
	return d
}

func (d *directives) apply(name, value string) {
	switch {
	case strings.EqualFold(name, "no-store"):
		d.noStore = true
	case strings.EqualFold(name, "no-cache"):
		// The form with field names forbids the reuse of these fields only; taking it for the whole
		// response is allowed and safe (RFC 9111 §5.2.2.4).
		d.noCache = true
	case strings.EqualFold(name, "private"):
		d.private = true
	case strings.EqualFold(name, "public"):
		d.public = true
	case strings.EqualFold(name, "must-revalidate"):
		d.mustRevalidate = true
	case strings.EqualFold(name, "max-age"):
		d.maxAge.merge(value)
	case strings.EqualFold(name, "s-maxage"):
		d.sMaxAge.merge(value)
	}
}

func (s *seconds) merge(value string) {
	n := parseSeconds(value)
	if s.set {
		n = min(n, s.n)
	}
	*s = seconds{n, true}
}

// parseSeconds returns 0, which is stale, for what is not a number.
func parseSeconds(v string) int64 {
	if v == "" || strings.ContainsFunc(v, func(r rune) bool { return r < '0' || r > '9' }) {
		return 0
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return maxSeconds
	}
	return min(n, maxSeconds)
}

// nextDirective cuts the first member off a list. A comma inside a quoted argument does not end it; the
// quotes are taken off. A quote that nothing closes, or that is not the argument's first character, is a
// character like any other: it must not hide the directives behind it.
func nextDirective(s string) (name, value, rest string) {
	end := strings.IndexByte(s, ',')
	if eq := strings.IndexByte(s, '='); eq >= 0 && (end < 0 || eq < end) {
		begin := eq + 1
		for begin < len(s) && (s[begin] == ' ' || s[begin] == '\t') {
			begin++
		}
		if closing := endOfQuoted(s, begin); closing > 0 {
			if end = strings.IndexByte(s[closing:], ','); end >= 0 {
				end += closing
			}
		}
	}
	if end < 0 {
		end = len(s)
	}
	member := s[:end]
	if end < len(s) {
		rest = s[end+1:]
	}
	name, value, _ = strings.Cut(member, "=")
	return trim(name), unquote(trim(value)), rest
}

// endOfQuoted returns the index behind the quoted string that begins at s[i], or 0 if there is none.
func endOfQuoted(s string, i int) int {
	if i >= len(s) || s[i] != '"' {
		return 0
	}
	for i++; i < len(s); i++ {
		switch s[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return 0
}

func trim(s string) string { return strings.Trim(s, " \t") }

func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	s = s[1 : len(s)-1]
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

var dateLayouts = [...]string{http.TimeFormat, "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC}

// parseDate reads an HTTP-date (RFC 9110 §5.6.7) strictly, letters in either case. http.ParseTime is too
// lax here: it takes one-digit hours, doubled blanks and zones other than GMT.
func parseDate(s string) (time.Time, bool) {
	for _, layout := range dateLayouts {
		t, err := time.Parse(layout, s)
		if err != nil {
			t, err = time.Parse(layout, canonicalDate(s))
		}
		if err == nil && strings.EqualFold(t.Format(layout), s) {
			return t, true
		}
	}
	return time.Time{}, false
}

// canonicalDate restores the case that time.Parse asks for: "GMT", and names with a capital.
func canonicalDate(s string) string {
	b := []byte(strings.ToLower(s))
	for i, c := range b {
		if c >= 'a' && c <= 'z' && (i == 0 || b[i-1] == ' ' || b[i-1] == '-') {
			b[i] = c - 'a' + 'A'
		}
	}
	if t, ok := strings.CutSuffix(string(b), "Gmt"); ok {
		return t + "GMT"
	}
	return string(b)
}

// lists yields the members of a list field, trimmed, from all its lines; empty ones are left out.
func lists(lines []string, yield func(string) bool) {
	for _, line := range lines {
		for member := range strings.SplitSeq(line, ",") {
			if member = trim(member); member != "" && !yield(member) {
				return
			}
		}
	}
}
