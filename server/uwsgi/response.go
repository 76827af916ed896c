package uwsgi

import (
	"fmt"
	"net/http"
	"path"
	"runtime"
	"strings"
	"sync"
	"time"
)

// bodyBuffer is how much of a response waits for the handler to be done. A response
// that fits is sent in one write, with the Content-Length the handler did not give.
const bodyBuffer = 16 << 10

// sniffLen is what http.DetectContentType looks at.
const sniffLen = 512

// buffers are the two halves of a response before they reach the wire.
type buffers struct {
	head []byte // status line and fields, frozen at WriteHeader
	body []byte // at most bodyBuffer
}

// response is the http.ResponseWriter of one request. It behaves as net/http's does,
// except that nothing is chunked: without a Content-Length the end of the connection
// is the end of the body.
type response struct {
	conn   *conn
	noBody bool        // HEAD
	header http.Header // the handler's; nil until it asks

	// mu is for goroutines that a handler leaves behind: what they do late finds a
	// finished response instead of buffers that belong to the next request.
	mu       sync.Mutex
	buf      *buffers // nil once finished or hijacked
	hijacked bool
	head     head  // zero until WriteHeader
	sent     bool  // the head is on the wire
	written  int64 // of the body, at most the declared length
	overrun  bool  // the handler wrote more than that; it gets no byte more, as in net/http
	err      error // of the connection, sticky
}

func (w *response) begin(c *conn, method string) {
	w.conn, w.noBody, w.buf = c, method == http.MethodHead, c.srv.getBuffers()
}

// Header returns the map that the next call of WriteHeader freezes.
func (w *response) Header() http.Header {
	if w.header == nil {
		w.header = make(http.Header)
	}
	return w.header
}

// WriteHeader decides the status. Informational statuses are dropped: no front end
// relays them over uwsgi, and nginx takes the first status line for the answer.
func (w *response) WriteHeader(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.hijacked:
		w.complain("WriteHeader on a hijacked connection")
	case w.buf == nil:
	case w.head.status != 0:
		w.complain("superfluous WriteHeader call")
	case status < 100 || status > 999:
		panic(fmt.Sprintf("invalid WriteHeader code %v", status))
	case status < 200 && status != http.StatusSwitchingProtocols:
	default:
		w.writeHeaderLocked(status)
	}
}

func (w *response) writeHeaderLocked(status int) {
	w.buf.head = w.head.begin(w.buf.head, status, w.header)
	if w.head.rejected != "" {
		w.conn.log("response header dropped, its name is invalid", "name", w.head.rejected)
	}
	if w.head.badCL != "" {
		w.conn.log("response Content-Length ignored, it is no number", "value", w.head.badCL)
	}
}

// Write appends to the body, sending what does not fit the buffer.
func (w *response) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.admitLocked(int64(len(p))); err != nil || len(p) == 0 {
		return 0, err
	}
	w.written += int64(len(p))
	if len(w.buf.body)+len(p) <= bodyBuffer {
		w.buf.body = append(w.buf.body, p...)
		return len(p), w.err
	}
	return len(p), w.overflowLocked(p)
}

// WriteString is Write without the copy that a conversion would cost.
func (w *response) WriteString(s string) (int, error) {
	w.mu.Lock()
	if w.buf == nil || len(w.buf.body)+len(s) > bodyBuffer {
		w.mu.Unlock()
		return w.Write([]byte(s))
	}
	defer w.mu.Unlock()
	if err := w.admitLocked(int64(len(s))); err != nil {
		return 0, err
	}
	w.written += int64(len(s))
	w.buf.body = append(w.buf.body, s...)
	return len(s), w.err
}

// admitLocked says why n more bytes of body cannot be taken.
func (w *response) admitLocked(n int64) error {
	switch {
	case w.hijacked:
		if n > 0 {
			w.complain("Write on a hijacked connection")
		}
		return http.ErrHijacked
	case w.buf == nil:
		return errFinished
	}
	if w.head.status == 0 {
		w.writeHeaderLocked(http.StatusOK)
	}
	switch {
	case n == 0:
		return nil
	case !bodyAllowed(w.head.status):
		return http.ErrBodyNotAllowed
	case w.overrun || w.head.length >= 0 && w.written+n > w.head.length:
		w.overrun = true
		return http.ErrContentLength
	}
	return w.err
}

// overflowLocked sends the buffer and then p itself, uncopied but for what the
// Content-Type must be guessed from.
func (w *response) overflowLocked(p []byte) error {
	if n := sniffLen - len(w.buf.body); !w.sent && n > 0 {
		n = min(n, len(p))
		w.buf.body = append(w.buf.body, p[:n]...)
		p = p[n:]
	}
	if w.noBody {
		return w.sendLocked()
	}
	w.sendWithLocked(p)
	return w.err
}

// sendLocked writes what has gathered.
func (w *response) sendLocked() error {
	w.sendWithLocked(nil)
	return w.err
}

// sendWithLocked writes what has gathered, and p behind it. The first time it completes
// the head, from the beginning of the body.
func (w *response) sendWithLocked(p []byte) {
	out := w.buf.body
	if w.noBody {
		out = nil
	}
	if !w.sent {
		w.sent = true
		date := w.conn.srv.dates.at(time.Now())
		w.buf.head = w.head.finish(w.buf.head, w.buf.body[:min(len(w.buf.body), sniffLen)], date)
		out = append(w.buf.head, out...)
		w.buf.head = out[:0]
	}
	w.buf.body = w.buf.body[:0]
	switch {
	case w.err != nil:
	case len(p) > 0:
		w.err = w.conn.writeBoth(out, p)
	case len(out) > 0:
		_, w.err = w.conn.Write(out)
	}
}

// put writes to the connection. A client that cannot be written to is gone.
func (w *response) put(p []byte) error {
	if w.err == nil {
		_, w.err = w.conn.Write(p)
	}
	return w.err
}

// ending is how a response ended.
type ending uint8

const (
	endComplete ending = iota + 1
	endShort           // less than the declared Content-Length, which the peer can see
	endBroken          // the peer must be shown that something is missing
	endHijacked
)

func (e ending) String() string {
	switch e {
	case endComplete:
		return "complete"
	case endShort:
		return "short"
	case endBroken:
		return "broken"
	case endHijacked:
		return "hijacked"
	}
	return fmt.Sprintf("ending(%d)", uint8(e))
}

// finish completes the response after the handler returned.
func (w *response) finish() ending {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hijacked {
		return endHijacked
	}
	defer w.releaseLocked()
	if w.head.status == 0 {
		w.writeHeaderLocked(http.StatusOK)
	}
	switch {
	case w.sent || w.head.length >= 0:
	case w.noBody && w.written == 0:
		// HEAD: the handler may have known that and written nothing on purpose.
	default:
		w.head.length = int64(len(w.buf.body))
	}
	if err := w.sendLocked(); err != nil {
		return endBroken
	}
	if short := w.head.length - w.written; short > 0 && !w.noBody && bodyAllowed(w.head.status) {
		w.conn.log("response is shorter than its Content-Length",
			"declared", w.head.length, "written", w.written)
		return endShort
	}
	return endComplete
}

// fail ends the response of a handler that panicked: with a 500 in its place while
// nothing of it has reached the wire, otherwise broken.
func (w *response) fail(silent bool) ending {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hijacked {
		return endHijacked
	}
	defer w.releaseLocked()
	if w.sent || silent {
		return endBroken
	}
	w.buf.head, w.buf.body = w.buf.head[:0], w.buf.body[:0]
	if w.put(appendError(w.buf.head, http.StatusInternalServerError, "", w.conn.srv.dates.at(time.Now()), w.noBody)) != nil {
		return endBroken
	}
	return endComplete
}

func (w *response) releaseLocked() {
	w.conn.srv.putBuffers(w.buf)
	w.buf = nil
}

// complain logs a mistake of the handler with the place it was made in.
func (w *response) complain(what string) {
	pc := make([]uintptr, 16)
	frames := runtime.CallersFrames(pc[:runtime.Callers(1, pc)])
	for {
		f, more := frames.Next()
		if !strings.Contains(f.Function, "uwsgi.(*response).") || !more {
			w.conn.log(what, "caller", fmt.Sprintf("%s (%s:%d)", f.Function, path.Base(f.File), f.Line))
			return
		}
	}
}
