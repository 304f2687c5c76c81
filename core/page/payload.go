package page

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"unsafe"

	"github.com/strata-cache/strata/core/store"
)

// A stored value begins with one byte that says what it is. Both forms are versioned by payloadSchema,
// which is the Schema of their entries; what follows is varints (encoding/binary) and length-prefixed
// strings.
//
//	page   'P' status flags initial-age n { name mode k { value } } body
//	index  'V' generation n { name }
const (
	kindPage  = 'P'
	kindIndex = 'V'

	payloadSchema = 0x5354_7061_6765_0001 // "STpage", version 1
)

// page is the decoded form of a stored response. It is shared by all readers and never modified.
type page struct {
	status int
	flags  pageFlags
	age    int64 // seconds that it was old when it was made
	fields []field
	// upstream is the Cache-Status of the caches behind the handler; it is kept out of fields, because
	// each hit adds to it.
	upstream []string
	body     []byte

	created, fresh int64 // of its entry, in Unix milliseconds

	// shown holds the headers that change once a second.
	shown atomic.Pointer[shown]
}

type pageFlags uint8

const (
	// pageShared: the response said that requests with credentials may be answered with it.
	pageShared pageFlags = 1 << iota
	pageFlagsEnd
)

// field is one header field of a stored response.
type field struct {
	name string
	// values has no spare capacity: whoever appends to it gets a copy. Without any, the field is there
	// and has no lines, which keeps the server from making up its own.
	values []string
	mode   fieldMode
	// bodily fields describe the body, and are left out of a 304.
	bodily bool
}

// fieldMode says what the handler has done to the lines that were there before it ran, which are not part
// of the page.
type fieldMode uint8

const (
	fieldSet     fieldMode = iota // replaced them
	fieldAdded                    // added to them
	fieldRemoved                  // removed them
	fieldModeEnd
)

var errPayload = payloadError{}

type payloadError struct{}

func (payloadError) Error() string        { return "page: malformed page" }
func (payloadError) Is(target error) bool { return target == store.ErrCorrupt }

// encodePage returns the stored form of a response. The body of the page is then the end of the result.
func encodePage(p *page) []byte {
	n := len(p.body) + 32
	for _, f := range p.fields {
		n += len(f.name) + 8
		for _, v := range f.values {
			n += len(v) + 4
		}
	}
	b := append(make([]byte, 0, n), kindPage)
	b = binary.AppendUvarint(b, uint64(p.status))
	b = append(b, byte(p.flags))
	b = binary.AppendUvarint(b, uint64(p.age))
	b = binary.AppendUvarint(b, uint64(len(p.fields)))
	for _, f := range p.fields {
		b = appendString(b, f.name)
		b = append(b, byte(f.mode))
		b = binary.AppendUvarint(b, uint64(len(f.values)))
		for _, v := range f.values {
			b = appendString(b, v)
		}
	}
	return append(b, p.body...)
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// decodePage reads a page. Its body aliases data, and is exactly as long as its Content-Length says: a page
// that was cut off is none. What it allocates is bounded by the length of data.
func decodePage(data []byte) (*page, error) {
	d := decoder{rest: data}
	if d.byte() != kindPage {
		return nil, errPayload
	}
	p := &page{status: int(d.uvarint(999)), flags: pageFlags(d.byte()), age: int64(d.uvarint(maxSeconds))}
	p.fields = make([]field, d.uvarint(uint64(len(d.rest)/3)))
	for i := range p.fields {
		f := &p.fields[i]
		f.name = d.string()
		f.mode, f.bodily = fieldMode(d.byte()), isBodily(f.name)
		f.values = make([]string, d.uvarint(uint64(len(d.rest))))
		for j := range f.values {
			f.values[j] = d.string()
			d.check(validValue(f.values[j]))
		}
		d.check(f.mode < fieldModeEnd && isCanonical(f.name) && !isHopByHop(f.name))
	}
	d.check(p.status >= 200 && p.status != http.StatusNoContent && p.status != http.StatusNotModified)
	d.check(p.flags < pageFlagsEnd && p.isWhole(len(d.rest)))
	if d.failed {
		return nil, errPayload
	}
	p.body = slices.Clip(d.rest)
	p.fields = slices.DeleteFunc(p.fields, func(f field) bool {
		if f.name == headerCacheStatus {
			p.upstream = f.values
		}
		return f.name == headerCacheStatus
	})
	return p, nil
}

// isWhole reports whether the page has one Content-Length, and a body of n bytes is what it says.
func (pg *page) isWhole(n int) bool {
	lengths := 0
	for i := range pg.fields {
		if f := &pg.fields[i]; f.name == headerContentLength {
			if lengths++; len(f.values) != 1 || f.values[0] != strconv.Itoa(n) || f.mode != fieldSet {
				return false
			}
		}
	}
	return lengths == 1
}

// memoSize is what the decoded page takes beside its stored form.
func (pg *page) memoSize() int {
	n := int(unsafe.Sizeof(*pg)) + 128
	for _, f := range pg.fields {
		n += int(unsafe.Sizeof(f)) + len(f.name)
		for _, v := range f.values {
			n += len(v) + 16
		}
	}
	return n
}

// index is the decoded form of what stands under the key of a URL whose responses vary: which request
// headers tell them apart. The variants have keys of their own, in which generation stands, so that
// removing the index removes all of them at once.
type index struct {
	generation uint64
	vary       []string // canonical, sorted
}

func encodeIndex(x *index) []byte {
	b := append(make([]byte, 0, 16+24*len(x.vary)), kindIndex)
	b = binary.BigEndian.AppendUint64(b, x.generation)
	b = binary.AppendUvarint(b, uint64(len(x.vary)))
	for _, name := range x.vary {
		b = appendString(b, name)
	}
	return b
}

func decodeIndex(data []byte) (*index, error) {
	d := decoder{rest: data}
	if d.byte() != kindIndex {
		return nil, errPayload
	}
	x := &index{generation: d.uint64()}
	x.vary = make([]string, d.uvarint(uint64(len(d.rest))))
	for i := range x.vary {
		x.vary[i] = d.string()
		d.check(isToken(x.vary[i]) && (i == 0 || x.vary[i-1] < x.vary[i]))
	}
	if d.failed || len(d.rest) > 0 {
		return nil, errPayload
	}
	return x, nil
}

// decoder reads from rest. After a failure it returns zeros.
type decoder struct {
	rest   []byte
	failed bool
}

func (d *decoder) check(ok bool) {
	if !ok {
		d.failed, d.rest = true, nil
	}
}

func (d *decoder) byte() byte {
	if len(d.rest) == 0 {
		d.check(false)
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

func (d *decoder) uint64() uint64 {
	if len(d.rest) < 8 {
		d.check(false)
		return 0
	}
	n := binary.BigEndian.Uint64(d.rest)
	d.rest = d.rest[8:]
	return n
}

func (d *decoder) uvarint(limit uint64) uint64 {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 || n > limit {
		d.check(false)
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

func (d *decoder) string() string {
	n := d.uvarint(uint64(len(d.rest)))
	if n > uint64(len(d.rest)) {
		d.check(false)
		return ""
	}
	s := string(d.rest[:n])
	d.rest = d.rest[n:]
	return s
}

// validValue reports whether a header value can be sent: no control characters but the tab.
func validValue(v string) bool {
	for i := range len(v) {
		if c := v[i]; c < 0x20 && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// isCanonical reports whether s is a header name as net/http stores it.
func isCanonical(s string) bool { return isToken(s) && textproto.CanonicalMIMEHeaderKey(s) == s }

// isBodily reports whether a field describes the body that a 304 does not have (RFC 9110 §15.4.5).
func isBodily(name string) bool {
	switch name {
	case "Content-Length", "Content-Type", "Content-Encoding", "Content-Language", "Content-Range":
		return true
	}
	return false
}

// isHopByHop reports whether a field belongs to one connection or to one exchange, and not to the page.
func isHopByHop(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
		"Proxy-Authenticate", "Proxy-Authorization", "Proxy-Authentication-Info", "Authentication-Info",
		"Set-Cookie", "Set-Cookie2", "Server-Timing", "Age":
		return true
	}
	return strings.HasPrefix(name, http.TrailerPrefix)
}

var errNoPage = errors.New("page: entry holds no page")

// open returns what e holds: a page, or the index of a URL that varies. Both come from the entry's memo
// where an earlier reader has left it.
func open(e *store.Entry) (*page, *index, error) {
	switch m := e.Memo().(type) {
	case *page:
		return m, nil, nil
	case *index:
		return nil, m, nil
	}
	if e.Schema != payloadSchema || e.Flags != 0 || len(e.Value) == 0 {
		return nil, nil, fmt.Errorf("%w: %w", store.ErrCorrupt, errNoPage)
	}
	if e.Value[0] == kindIndex {
		x, err := decodeIndex(e.Value)
		if err == nil {
			e.SetMemo(x)
		}
		return nil, x, err
	}
	p, err := decodePage(e.Value)
	if err == nil {
		p.created, p.fresh = e.Created, e.Fresh
		e.SetMemo(p)
	}
	return p, nil, err
}
