package page

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// streamGrace is how long after a handler's first Flush the page may still be completed and stored. Who
// waits for it is then let go: nobody knows how long a stream lasts.
const streamGrace = time.Second

// recorder stands between a handler and its writer. It passes everything on as it is written and, while
// it records, keeps a copy. A recorder that holds passes nothing on until the answer is known: the
// request's preconditions are then evaluated against it.
type recorder struct {
	w       http.ResponseWriter
	run     *run // nil: nothing is recorded
	texts   statusTexts
	forward forward
	params  string

	recording, hold bool
	wrote           bool
	status          int
	verdict         verdict
	before          []field // what the header held before the handler ran
	fields          []field
	declared        int64 // Content-Length; -1 where there is none
	body            []byte
	sniff           bool // Content-Type is still to be found out
	gone            bool // the client is: what is written is only recorded
	grace           *time.Timer
}

var (
	_ http.Flusher  = (*recorder)(nil)
	_ http.Hijacker = (*recorder)(nil)
	_ io.ReaderFrom = (*recorder)(nil)
)

// bodies are buffers for what is recorded. Those that have grown large are left to the collector.
var bodies = sync.Pool{New: func() any { return new([]byte) }}

const maxPooledBody = 256 << 10

func (rec *recorder) start(hold bool) {
	rec.recording, rec.hold = true, hold
	for name, values := range rec.w.Header() {
		rec.before = append(rec.before, field{name: name, values: slices.Clone(values)})
	}
	rec.body = (*bodies.Get().(*[]byte))[:0]
}

// Header is the underlying writer's.
func (rec *recorder) Header() http.Header { return rec.w.Header() }

// Unwrap lets http.ResponseController reach what the recorder does not do itself.
func (rec *recorder) Unwrap() http.ResponseWriter { return rec.w }

// Written reports whether the handler has begun its answer, even if nothing has been passed on yet.
func (rec *recorder) Written() bool { return rec.wrote }

// WriteHeader passes the status on. Informational ones go straight to the server's own writer: a
// framework's may take one for the final status.
func (rec *recorder) WriteHeader(status int) {
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		innermost(rec.w).WriteHeader(status)
		return
	}
	if rec.wrote {
		if !rec.hold {
			rec.w.WriteHeader(status) // which complains about it in its own way
		}
		return
	}
	rec.wrote, rec.status = true, status
	if rec.recording {
		rec.judge()
	}
	if !rec.hold {
		rec.pass()
	}
}

func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = u.Unwrap()
	}
}

// pass sends the header.
func (rec *recorder) pass() {
	params := rec.params
	if rec.recording {
		params += "; stored"
	}
	rec.texts.add(rec.w.Header(), rec.forward, params)
	rec.w.WriteHeader(rec.status)
}

func (rec *recorder) judge() {
	h := rec.w.Header()
	run := rec.run
	rec.verdict = run.p.judge(rec.status, h, &run.q, run.ctl, run.began)
	if rec.verdict.refused != "" {
		rec.stop(rec.verdict.refused)
		return
	}
	rec.declared = -1
	if v := h.Get("Content-Length"); v != "" {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < 0 {
			rec.stop(refusedIncomplete)
			return
		}
		rec.declared = n
	}
	var ok bool
	if rec.fields, ok = rec.made(h); !ok {
		rec.stop(refusedHeader)
		return
	}
	_, typed := h["Content-Type"]
	rec.sniff = !typed && h.Get("Content-Encoding") == ""
}

// made returns the fields that the handler has written, without those of the exchange itself. ok is false
// where one of them could not be sent again as it is.
func (rec *recorder) made(h http.Header) (fields []field, ok bool) {
	var named []string
	lists(h["Connection"], func(name string) bool {
		named = append(named, http.CanonicalHeaderKey(name))
		return true
	})
	fields = make([]field, 0, len(h)+2)
	for name, values := range h {
		if isHopByHop(name) || slices.Contains(named, name) || name == "Content-Length" || len(values) == 0 {
			continue
		}
		f := field{name: name, values: values}
		if i := slices.IndexFunc(rec.before, func(b field) bool { return b.name == name }); i >= 0 {
			old := rec.before[i].values
			if len(values) >= len(old) && slices.Equal(values[:len(old)], old) {
				f.values, f.added = values[len(old):], true
			}
		}
		if len(f.values) == 0 {
			continue
		}
		if !isToken(name) || http.CanonicalHeaderKey(name) != name ||
			slices.ContainsFunc(f.values, func(v string) bool { return !validValue(v) }) {
			return nil, false
		}
		f.values = slices.Clone(f.values)
		fields = append(fields, f)
	}
	if len(h["Expires"]) > 0 && len(h["Date"]) == 0 {
		// Without its date, Expires would say something else on each hit (RFC 9111 §4.2.1).
		fields = append(fields, field{name: "Date", values: []string{rec.run.began.UTC().Format(http.TimeFormat)}})
	}
	slices.SortFunc(fields, func(a, b field) int { return strings.Compare(a.name, b.name) })
	return fields, true
}

// stop ends the recording: the response will not be stored, and nobody waits for it any longer.
func (rec *recorder) stop(reason string) {
	if !rec.recording {
		return
	}
	rec.recording = false
	rec.run.refuse(reason)
	if rec.hold && rec.wrote {
		rec.hold = false
		rec.pass()
		_, _ = rec.w.Write(rec.body)
	}
	rec.hold = false
	rec.recycle()
}

func (rec *recorder) recycle() {
	if rec.grace != nil {
		rec.grace.Stop()
	}
	if body := rec.body; body != nil && cap(body) <= maxPooledBody {
		body = body[:0]
		bodies.Put(&body)
	}
	rec.body = nil
}

// Write records b and passes it on. While it records, a client that has left is no error: the page is
// completed for those who come next.
func (rec *recorder) Write(b []byte) (int, error) {
	if !rec.wrote {
		rec.WriteHeader(http.StatusOK)
	}
	if rec.recording {
		rec.keep(b)
	}
	if rec.hold || rec.recording && rec.gone {
		return len(b), nil
	}
	n, err := rec.w.Write(b)
	if err != nil && rec.recording && !errors.Is(err, http.ErrContentLength) && !errors.Is(err, http.ErrBodyNotAllowed) {
		rec.gone = true
		return len(b), nil
	}
	return n, err
}

func (rec *recorder) keep(b []byte) {
	if rec.run.released.Load() {
		rec.stop(refusedStream)
		return
	}
	if limit := rec.run.p.opts.MaxBody; limit > 0 && int64(len(rec.body)+len(b)) > limit {
		rec.stop(refusedTooLarge)
		return
	}
	if rec.sniff && len(b) > 0 {
		rec.sniff = false
		rec.fields = append(rec.fields, field{name: "Content-Type", values: []string{http.DetectContentType(b)}})
	}
	rec.body = append(rec.body, b...)
}

// WriteString is Write for a string.
func (rec *recorder) WriteString(s string) (int, error) { return rec.Write([]byte(s)) }

// ReadFrom lets the server send a file by itself where nothing is recorded.
func (rec *recorder) ReadFrom(src io.Reader) (int64, error) {
	if !rec.wrote && !rec.recording {
		rec.WriteHeader(http.StatusOK)
	}
	if rec.recording {
		return io.Copy(struct{ io.Writer }{rec}, src)
	}
	return io.Copy(rec.w, src)
}

// Flush passes on what there is. A response that is flushed is a stream: its context is not ended by the
// hard timeout any more, and who waits for it is let go after a second.
func (rec *recorder) Flush() { _ = rec.FlushError() }

// FlushError is Flush with the underlying writer's error.
func (rec *recorder) FlushError() error {
	if !rec.wrote {
		rec.WriteHeader(http.StatusOK)
	}
	if rec.run != nil {
		rec.run.streaming.Store(true)
	}
	if rec.hold {
		rec.hold = false
		rec.pass()
		_, _ = rec.w.Write(rec.body)
	}
	if rec.recording && rec.grace == nil {
		rec.grace = time.AfterFunc(streamGrace, func() { rec.run.release(outcomeUncacheable) })
	}
	return http.NewResponseController(rec.w).Flush()
}

// Hijack hands the connection over. Nothing is recorded any more.
func (rec *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	rec.stop(refusedStream)
	return http.NewResponseController(rec.w).Hijack()
}

// complete returns the page that was recorded, or nil with the reason why it is none.
func (rec *recorder) complete() *page {
	switch {
	case !rec.recording:
		return nil
	case !rec.wrote, rec.declared >= 0 && rec.declared != int64(len(rec.body)):
		rec.stop(refusedIncomplete)
		return nil
	case rec.run.ctl.noStore.Load():
		rec.stop(refusedHandler)
		return nil
	case rec.run.released.Load():
		rec.stop(refusedStream)
		return nil
	}
	length := field{name: "Content-Length", values: []string{strconv.Itoa(len(rec.body))}}
	rec.fields = append(rec.fields, length)
	return &page{
		status: rec.status, flags: rec.verdict.flags, age: rec.verdict.age,
		fields: rec.fields, body: rec.body,
	}
}
