package page

import (
	"bytes"
	"errors"
	"net/http"
	"net/textproto"
	"reflect"
	"runtime"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/strata-cache/strata/core/store"
)

var anyPage = rapid.Custom(func(t *rapid.T) *page {
	p := &page{
		status: rapid.SampledFrom([]int{200, 203, 301, 404}).Draw(t, "status"),
		flags:  pageFlags(rapid.IntRange(0, int(pageFlagsEnd)-1).Draw(t, "flags")),
		age:    rapid.Int64Range(0, maxSeconds).Draw(t, "age"),
		body:   rapid.SliceOf(rapid.Byte()).Draw(t, "body"),
	}
	for _, name := range rapid.SliceOfNDistinct(rapid.StringMatching(`X-[A-Z][a-z0-9]{0,5}`), 0, 5, rapid.ID[string]).Draw(t, "names") {
		p.fields = append(p.fields, field{
			name:   textproto.CanonicalMIMEHeaderKey(name),
			values: rapid.SliceOfN(rapid.StringMatching(`[\t -~]{0,10}`), 0, 3).Draw(t, "values"),
			mode:   fieldMode(rapid.IntRange(0, int(fieldModeEnd)-1).Draw(t, "mode")),
		})
	}
	p.fields = append(p.fields, field{name: "Content-Length", values: []string{strconv.Itoa(len(p.body))}, bodily: true})
	return p
})

func TestPagesComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPage.Draw(t, "page")
		data := encodePage(p)
		got, err := decodePage(data)
		if err != nil {
			t.Fatal(err)
		}
		if got.status != p.status || got.flags != p.flags || got.age != p.age || !bytes.Equal(got.body, p.body) || len(got.fields) != len(p.fields) {
			t.Fatalf("%+v has become %+v", p, got)
		}
		for i := range p.fields {
			a, b := p.fields[i], got.fields[i]
			if a.name != b.name || a.mode != b.mode || a.bodily != b.bodily || len(a.values) != len(b.values) ||
				len(a.values) > 0 && !reflect.DeepEqual(a.values, b.values) || cap(b.values) != len(b.values) {
				t.Fatalf("%+v has become %+v", a, b)
			}
		}
		if cap(got.body) != len(got.body) {
			t.Fatal("the body can be appended to in place")
		}
		// No part of it is a page.
		for n := range data {
			if cut, err := decodePage(data[:n]); err == nil {
				t.Fatalf("the first %d of %d bytes are taken for %+v", n, len(data), cut)
			}
		}
	})
}

func TestIndexesComeBack(t *testing.T) {
	x := &index{generation: 1<<63 + 5, vary: []string{"Accept", "X-A"}}
	data := encodeIndex(x)
	if got, err := decodeIndex(data); err != nil || !reflect.DeepEqual(got, x) {
		t.Fatalf("%+v, %v", got, err)
	}
	for n := range data {
		if _, err := decodeIndex(data[:n]); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("the first %d bytes: %v", n, err)
		}
	}
	for _, bad := range [][]byte{
		append(bytes.Clone(data), 0),
		encodeIndex(&index{vary: []string{"B", "A"}}),
		encodeIndex(&index{vary: []string{"A", "A"}}),
		encodeIndex(&index{vary: []string{"a b"}}),
	} {
		if got, err := decodeIndex(bad); err == nil {
			t.Errorf("%q is taken for %+v", bad, got)
		}
	}
}

func TestPagesThatNobodyHasMade(t *testing.T) {
	whole := func(change func(p *page)) []byte {
		p := &page{status: 200, body: []byte("body"), fields: []field{{name: "Content-Length", values: []string{"4"}}, {name: "X-A", values: []string{"1"}}}}
		change(p)
		return encodePage(p)
	}
	if _, err := decodePage(whole(func(*page) {})); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(p *page){
		"a body too short":       func(p *page) { p.body = p.body[1:] },
		"a body too long":        func(p *page) { p.body = append(p.body, 'x') },
		"no length":              func(p *page) { p.fields = p.fields[1:] },
		"two lengths":            func(p *page) { p.fields[1] = p.fields[0] },
		"a length of two lines":  func(p *page) { p.fields[0].values = []string{"4", "4"} },
		"a length that is added": func(p *page) { p.fields[0].mode = fieldAdded },
		"status 100":             func(p *page) { p.status = 100 },
		"status 204":             func(p *page) { p.status = 204 },
		"status 304":             func(p *page) { p.status = 304 },
		"status 1000":            func(p *page) { p.status = 1000 },
		"unknown flags":          func(p *page) { p.flags = pageFlagsEnd },
		"an unknown mode":        func(p *page) { p.fields[1].mode = fieldModeEnd },
		"a cookie":               func(p *page) { p.fields[1].name = "Set-Cookie" },
		"a hop":                  func(p *page) { p.fields[1].name = "Transfer-Encoding" },
		"a trailer":              func(p *page) { p.fields[1].name = http.TrailerPrefix + "X" },
		"a name in small":        func(p *page) { p.fields[1].name = "x-a" },
		"a name that is none":    func(p *page) { p.fields[1].name = "X A" },
		"a break":                func(p *page) { p.fields[1].values[0] = "1\r\nX: y" },
		"an age below":           func(p *page) { p.age = -1 },
	} {
		if got, err := decodePage(whole(change)); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestUpstreamIsKeptApart(t *testing.T) {
	p, err := decodePage(encodePage(&page{status: 200, fields: []field{
		{name: "Cache-Status", values: []string{"a; hit", "b; hit"}}, {name: "Content-Length", values: []string{"0"}},
	}}))
	if err != nil || len(p.upstream) != 2 || len(p.fields) != 1 {
		t.Errorf("%+v, %v", p, err)
	}
}

// FuzzOpen: whatever stands in a store, decoding it does not panic, costs no more memory than its length
// allows, and what comes out can be sent.
func FuzzOpen(f *testing.F) {
	f.Add(encodePage(&page{status: 200, body: []byte("body"), fields: []field{{name: "Content-Length", values: []string{"4"}}}}))
	f.Add(encodeIndex(&index{generation: 7, vary: []string{"Accept"}}))
	f.Add([]byte("P\xc8\x01\x00\x00\xff\xff\xff\xff\x0f"))
	f.Add([]byte("V12345678\xff\xff\xff\xff\x0f"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		pg, x, err := open(&store.Entry{Value: data, Schema: payloadSchema})
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > uint64(100*len(data)+1<<20) {
			t.Errorf("%d bytes of memory for %d of data", grown, len(data))
		}
		switch {
		case err != nil:
			if !errors.Is(err, store.ErrCorrupt) || pg != nil || x != nil {
				t.Errorf("%v, %v, %v", pg, x, err)
			}
		case pg != nil:
			if again, err := decodePage(encodePage(pg)); err != nil && len(pg.upstream) == 0 {
				t.Errorf("%+v does not come back: %+v, %v", pg, again, err)
			}
			if pg.status < 200 || pg.status > 999 || pg.get("Content-Length") != strconv.Itoa(len(pg.body)) {
				t.Errorf("%+v", pg)
			}
			for _, field := range pg.fields {
				for _, v := range field.values {
					if !validValue(v) || isHopByHop(field.name) {
						t.Errorf("%s: %q", field.name, v)
					}
				}
			}
		default:
			if !bytes.Equal(encodeIndex(x), data) && len(x.vary) > 0 {
				again, err := decodeIndex(encodeIndex(x))
				if err != nil || !reflect.DeepEqual(again, x) {
					t.Errorf("%+v does not come back: %v", x, err)
				}
			}
		}
	})
}
