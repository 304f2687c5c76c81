package page

import (
	"bufio"
	"errors"
	"io"
	"maps"
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
//
// A handler may leave a goroutine behind that still writes when it has returned. The lock keeps what that
// one writes out of the page, and out of the buffer, which is another request's by then.
type recorder struct {
	w       http.ResponseWriter
	run     *run // nil: nothing is recorded
	texts   statusTexts
	forward forward
	params  string

	mu              sync.Mutex // guards what follows; what is unexported is called with it held
	recording, hold bool
	wrote           bool
	status          int
	verdict         verdict
	before          []field     // what the header held before the handler ran
	held            http.Header // what it held when the handler began an answer that is held
	fields          []field
	declared        int64 // Content-Length; -1 where there is none
	body            []byte
	sniff           bool // the server finds Content-Type out by itself
	flushed         int  // bytes of the body before the first Flush; -1 where there was none
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
	rec.recording, rec.hold, rec.flushed = true, hold, -1
	for name, values := range rec.w.Header() {
		rec.before = append(rec.before, field{name: name, values: slices.Clone(values)})
	}
	rec.body = (*bodies.Get().(*[]byte))[:0]
}

// Header is the underlying writer's.
func (rec *recorder) Header() http.Header { return rec.w.Header() }

// Unwrap lets http.ResponseController reach what the recorder does not do itself.
func (rec *recorder) Unwrap() http.ResponseWriter { return rec.w }

// Status returns the status that the handler has answered with, even if nothing has been passed on yet; 0
// before.
func (rec *recorder) Status() int {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return rec.status
}

// WriteHeader passes the status on. Informational ones go straight to the server's own writer: a
// framework's may take one for the final status.
func (rec *recorder) WriteHeader(status int) {
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		innermost(rec.w).WriteHeader(status)
		return
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.writeHeader(status)
}

func (rec *recorder) writeHeader(status int) {
	if rec.wrote {
		if status != rec.status {
			// Somebody tries to turn a page that has begun into an error, as those do who recover from a
			// panic: what was written is not all.
			rec.stop(refusedIncomplete)
		}
		if !rec.hold {
			rec.w.WriteHeader(status) // which complains about it in its own way
		}
		return
	}
	rec.status = status
	if rec.recording {
		rec.judge()
	}
	if rec.wrote = true; rec.hold {
		rec.held = rec.w.Header().Clone()
	} else {
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

// pass sends the header, and what was held of the body.
func (rec *recorder) pass() {
	rec.hold = false
	h := rec.w.Header()
	if rec.held != nil {
		rec.rewind(h)
	}
	params := rec.params
	if rec.recording {
		params += "; stored"
	}
	rec.texts.add(h, rec.forward, params)
	rec.w.WriteHeader(rec.status)
	if len(rec.body) > 0 && rec.status != http.StatusNotModified {
		// An error means that the client has left; what it means to the handler the next write tells.
		_, _ = rec.w.Write(rec.body)
	}
}

// rewind takes out of the header what the handler has changed after it began its answer, but for trailers.
func (rec *recorder) rewind(h http.Header) {
	for name := range h {
		if _, kept := rec.held[name]; !kept && !strings.HasPrefix(name, http.TrailerPrefix) {
			delete(h, name)
		}
	}
	maps.Copy(h, rec.held)
	rec.held = nil
}

func (rec *recorder) judge() {
	h := rec.w.Header()
	run := rec.run
	rec.verdict = run.p.judge(rec.status, h, &run.q, run.ctl, run.began)
	if rec.verdict.refused == "" {
		rec.verdict.refused = rec.measure(h)
	}
	if rec.verdict.refused != "" {
		rec.stop(rec.verdict.refused)
		return
	}
	_, typed := h[headerContentType]
	rec.sniff = !typed && h.Get("Content-Encoding") == ""
}

// measure notes the length that the header declares, and its fields. It returns the reason why they cannot
// be stored, if there is one.
func (rec *recorder) measure(h http.Header) (refused string) {
	rec.declared = -1
	if v := h.Get(headerContentLength); v != "" {
		n, err := strconv.ParseInt(v, 10, 64)
		switch {
		case err != nil || n < 0:
			return refusedHeader
		case rec.exceeds(n):
			return refusedTooLarge // nobody has to wait for that much to find out
		}
		rec.declared = n
	}
	var ok bool
	if rec.fields, ok = rec.made(h); !ok {
		return refusedHeader
	}
	return ""
}

// exceeds reports whether a body of n bytes is too long to be stored.
func (rec *recorder) exceeds(n int64) bool {
	limit := rec.run.p.opts.MaxBody
	return limit > 0 && n > limit
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
		if isHopByHop(name) || slices.Contains(named, name) || name == headerContentLength {
			continue
		}
		f := field{name: name, values: values}
		if i := slices.IndexFunc(rec.before, func(b field) bool { return b.name == name }); i >= 0 {
			old := rec.before[i].values
			if len(values) >= len(old) && slices.Equal(values[:len(old)], old) {
				if f.values, f.mode = values[len(old):], fieldAdded; len(f.values) == 0 {
					continue
				}
			}
		}
		if !isCanonical(name) ||
			slices.ContainsFunc(f.values, func(v string) bool { return !validValue(v) }) {
			return nil, false
		}
		f.values = slices.Clone(f.values)
		fields = append(fields, f)
	}
	if _, dated := h["Date"]; len(h["Expires"]) > 0 && !dated {
		// Without its date, Expires would say something else on each hit (RFC 9111 §4.2.1).
		fields = append(fields, field{name: "Date", values: []string{rec.run.began.UTC().Format(http.TimeFormat)}})
	}
	for _, b := range rec.before {
		if _, kept := h[b.name]; !kept && isCanonical(b.name) && !isHopByHop(b.name) && b.name != headerContentLength {
			fields = append(fields, field{name: b.name, mode: fieldRemoved})
		}
	}
	slices.SortFunc(fields, func(a, b field) int { return strings.Compare(a.name, b.name) })
	return fields, true
}

// abort is stop for those who do not hold the lock.
func (rec *recorder) abort(reason string) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.stop(reason)
}

// stop ends the recording and passes on what was held: the response will not be stored.
func (rec *recorder) stop(reason string) {
	if !rec.recording {
		return
	}
	held := rec.hold && rec.wrote
	rec.recording, rec.hold = false, false
	rec.run.refuse(reason)
	if held {
		rec.pass()
	}
	rec.recycle()
}

// recycle gives back what only the recording needs.
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
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if !rec.wrote {
		rec.writeHeader(http.StatusOK)
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
	if rec.exceeds(int64(len(rec.body) + len(b))) {
		rec.stop(refusedTooLarge)
		return
	}
	rec.body = append(rec.body, b...)
}

// WriteString is Write for a string.
func (rec *recorder) WriteString(s string) (int, error) { return rec.Write([]byte(s)) }

// ReadFrom lets the server send a file by itself where nothing is recorded.
func (rec *recorder) ReadFrom(src io.Reader) (int64, error) {
	rec.mu.Lock()
	recording := rec.recording
	if !rec.wrote && !recording {
		rec.writeHeader(http.StatusOK)
	}
	rec.mu.Unlock()
	if recording {
		return io.Copy(struct{ io.Writer }{rec}, src)
	}
	return io.Copy(rec.w, src)
}

// Flush passes on what there is. A response that is flushed is a stream: its context is not ended by the
// hard timeout any more, and who waits for it is let go after a second.
func (rec *recorder) Flush() { _ = rec.FlushError() }

// FlushError is Flush with the underlying writer's error.
func (rec *recorder) FlushError() error {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if !rec.wrote {
		rec.writeHeader(http.StatusOK)
	}
	if rec.run != nil {
		rec.run.streaming.Store(true)
	}
	if rec.hold {
		rec.pass()
	}
	if rec.recording && rec.grace == nil {
		rec.flushed = len(rec.body)
		rec.grace = time.AfterFunc(streamGrace, rec.run.giveUp)
	}
	return http.NewResponseController(rec.w).Flush()
}

// Hijack hands the connection over. Nothing is recorded any more.
func (rec *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	rec.abort(refusedStream)
	return http.NewResponseController(rec.w).Hijack()
}

// complete ends the recording and returns the page, or nil where it is none. What is held stays so.
func (rec *recorder) complete() *page {
	rec.mu.Lock()
	defer rec.mu.Unlock()
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
	rec.recording = false
	if rec.sniff && len(rec.body) > 0 {
		rec.fields = append(rec.fields, rec.sniffed())
	}
	length := field{name: headerContentLength, values: []string{strconv.Itoa(len(rec.body))}}
	rec.fields = append(rec.fields, length)
	return &page{
		status: rec.status, flags: rec.verdict.flags, age: rec.verdict.age,
		fields: rec.fields, body: rec.body,
	}
}

// sniffed returns the Content-Type that the server has found out. It looks at what it has when it sends the
// header, and sends none where that is nothing yet.
func (rec *recorder) sniffed() field {
	head := rec.body
	if rec.flushed >= 0 {
		head = head[:rec.flushed]
	}
	f := field{name: headerContentType}
	if len(head) > 0 {
		f.values = []string{http.DetectContentType(head)}
	}
	return f
}
