package pool

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// response is the http.ResponseWriter that the application sees, and the request's hold
// on its slot. It is the one allocation that the pool makes for a request; it is never
// used again, because a faulty application may still hold it.
type response struct {
	inner   http.ResponseWriter
	request *http.Request
	pool    *Pool
	conn    *conn // nil: it came through no gate
	body    body
	streams *streams // nil: not HTTP/2

	slot     int
	id       uint64
	app      int // see Charge
	arrived  time.Time
	began    time.Time // when it got its slot
	holds    bool      // the slot is not given back yet
	returned bool      // the handler came to its end
	static   bool      // see Static

	status      int // 0: the head is not written
	bytes       int64
	failedWrite bool
	hijacked    net.Conn
	timed       *timed // nil: it may run for ever
}

// begin shows the request on the scoreboard and watches its body.
func (w *response) begin() {
	r, p := w.request, w.pool
	if w.conn != nil {
		w.conn.row.Store(int32(w.slot))
	}
	w.streams = newStreams(w.inner, r, w.conn)
	w.id = p.requests.Add(1)
	if w.id == p.opts.RequestLimit {
		go p.opts.OnLimit()
	}
	p.rows[w.slot].Begin(w.id, w.began, r.Method, r.URL.Path, r.RemoteAddr)
	if r.Body != nil && r.Body != http.NoBody {
		w.body.ReadCloser, w.body.response = r.Body, w
		w.body.limited.Store(w.conn != nil && w.conn.limited() && r.ProtoMajor == 1)
		r.Body = &w.body
	}
}

// finish runs when the handler ends, however it does.
func (w *response) finish() {
	v := recover()
	defer w.done() // even if OnPanic panics
	if v != nil {
		w.panicked(v)
		return
	}
	if w.returned && w.status == 0 && w.hijacked == nil {
		w.beforeHead(http.StatusOK) // the server writes it when we are gone
	}
}

// panicked answers 500 if that is still possible, and has the connection aborted if it
// is not: a truncated response must not look like a complete one.
func (w *response) panicked(v any) {
	if v == http.ErrAbortHandler { // the application's own wish
		panic(v)
	}
	w.pool.rows[w.slot].AddException(w.app)
	if w.pool.opts.OnPanic != nil {
		w.pool.opts.OnPanic(w.request, v, debug.Stack())
	}
	switch {
	case w.hijacked != nil:
		_ = w.hijacked.Close() // nobody else would
	case w.status == 0:
		clear(w.Header()) // half of what the handler had in mind
		refuse(w, w.request, http.StatusInternalServerError)
	default:
		panic(http.ErrAbortHandler)
	}
}

// done gives the slot back and reports. A body that was not read to its end is drained by
// the server to a bound, which must not take longer than a read may.
func (w *response) done() {
	if w.body.ReadCloser != nil {
		// net/http looks here for its own body, to see that it was left unread: only then
		// does it close so that the answer is not lost to a reset.
		w.request.Body = w.body.ReadCloser
	}
	w.body.extend()
	if w.streams != nil {
		w.streams.finish(w.inner)
	}
	w.release()
	if w.pool.opts.OnDone != nil {
		w.pool.opts.OnDone(w.request, w.result())
	}
}

func (w *response) result() Result {
	bytes := w.bytes
	if w.request.Method == http.MethodHead {
		bytes = 0 // counted by Write, but not sent
	}
	return Result{Status: w.status, Bytes: bytes, Start: w.arrived, Took: time.Since(w.arrived), Slot: w.slot}
}

// release gives the slot back, once.
func (w *response) release() {
	if !w.holds {
		return
	}
	w.holds = false
	if w.timed != nil && !w.timed.count() {
		return // the process ends, and did not wait for us
	}
	if took := time.Since(w.began); w.static {
		w.pool.rows[w.slot].EndStatic(w.app, w.status, took)
	} else {
		w.pool.rows[w.slot].End(w.app, w.status, took)
	}
	w.pool.admission.release(w.slot)
}

// beforeHead is called when the head is about to be written, the last moment for ours. An
// upgrade needs its own Connection header, and never goes idle.
func (w *response) beforeHead(status int) {
	w.status = status
	if w.request.ProtoMajor == 2 {
		// A header about the connection is forbidden (RFC 9113 8.2.2): a client takes the
		// stream for broken. Libraries set them anyway, and net/http minds Connection only.
		for _, name := range [...]string{"Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade"} {
			w.inner.Header().Del(name)
		}
	}
	if w.pool.closing(w.request, w.conn) && status != http.StatusSwitchingProtocols {
		w.inner.Header().Set("Connection", "close")
	}
}

func (w *response) Header() http.Header { return w.inner.Header() }

// WriteHeader keeps hints (103 and its like) from HTTP/1 peers: nginx before 1.29 takes
// one for the whole answer and waits for its body, and browsers want them on HTTP/2 only.
func (w *response) WriteHeader(status int) {
	informational := status < 200 && status != http.StatusSwitchingProtocols
	if status > http.StatusContinue && informational && w.request.ProtoMajor == 1 {
		return
	}
	if w.status == 0 && !informational {
		w.beforeHead(status)
	}
	w.inner.WriteHeader(status)
}

func (w *response) Write(b []byte) (int, error) {
	w.implyHead()
	n, err := w.write(b)
	w.wrote(int64(n), err)
	return n, err
}

func (w *response) write(b []byte) (int, error) {
	if w.streams != nil {
		return w.streams.written(b, w.inner.Write)
	}
	return w.inner.Write(b)
}

func (w *response) WriteString(s string) (int, error) {
	if w.streams != nil {
		return w.Write([]byte(s))
	}
	w.implyHead()
	n, err := io.WriteString(w.inner, s)
	w.wrote(int64(n), err)
	return n, err
}

// CloseNotify is for the libraries that still ask for it: gin's Stream does, without
// looking whether it is there.
func (w *response) CloseNotify() <-chan bool {
	if n, ok := w.inner.(interface{ CloseNotify() <-chan bool }); ok {
		return n.CloseNotify()
	}
	return make(chan bool) // a writer of a test, say: nobody can know
}

// ReadFrom keeps the server's way to sendfile open, where there is one.
func (w *response) ReadFrom(src io.Reader) (int64, error) {
	if w.streams != nil {
		return io.Copy(struct{ io.Writer }{w}, src)
	}
	w.implyHead()
	n, err := io.Copy(w.inner, src)
	w.wrote(n, err)
	return n, err
}

func (w *response) implyHead() {
	if w.status == 0 {
		w.beforeHead(http.StatusOK)
	}
}

// wrote counts. The two errors left out are the application's, not the client's.
func (w *response) wrote(n int64, err error) {
	w.bytes += n
	if err != nil && !w.failedWrite && err != http.ErrBodyNotAllowed && err != http.ErrContentLength {
		w.failedWrite = true
		w.pool.rows[w.slot].AddWriteError()
	}
}

func (w *response) Flush() { _ = w.FlushError() }

func (w *response) FlushError() error {
	w.implyHead()
	err := w.flush()
	if !errors.Is(err, http.ErrNotSupported) {
		w.wrote(0, err)
	}
	return err
}

func (w *response) flush() error {
	if w.streams != nil {
		w.streams.write.limit(w.streams.timeout)
		defer w.streams.write.done()
	}
	return http.NewResponseController(w.inner).Flush()
}

// Hijack gives the slot back: a websocket is not a request any more. Its connection stays
// known to the drain.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(w.inner).Hijack()
	if err != nil {
		return nc, rw, err
	}
	w.hijacked = nc
	if w.status == 0 {
		w.status = http.StatusSwitchingProtocols
	}
	if c := w.conn; c != nil {
		r := w.request
		w.pool.upgrade(c, Request{Slot: noSlot, Start: w.began, Method: r.Method, Path: r.URL.Path, Peer: r.RemoteAddr})
	}
	w.release()
	return nc, rw, nil
}

// SetReadDeadline is the application's own limit; ours gives way to it.
func (w *response) SetReadDeadline(t time.Time) error {
	w.body.limited.Store(false)
	if w.streams != nil {
		w.streams.read.finish()
	}
	return http.NewResponseController(w.inner).SetReadDeadline(t)
}

// SetWriteDeadline is the application's own limit. On HTTP/1 the connection sees it.
func (w *response) SetWriteDeadline(t time.Time) error {
	if w.streams != nil {
		w.streams.write.finish()
	}
	return http.NewResponseController(w.inner).SetWriteDeadline(t)
}

// Unwrap serves http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.inner }

// body is a request's body under the pool's eyes. It may be read by another goroutine than
// the one that writes the response.
type body struct {
	io.ReadCloser
	response *response
	limited  atomic.Bool // each read has a deadline of ours
	ended    atomic.Bool // nothing is read any more; net/http now watches the connection itself
	limit    limit
}

func (b *body) Read(p []byte) (int, error) {
	b.extend()
	if s := b.response.streams; s != nil {
		s.read.limit(s.timeout)
		defer s.read.done()
	}
	n, err := b.ReadCloser.Read(p)
	if err != nil && !b.ended.Swap(true) && err != io.EOF {
		b.response.pool.rows[b.response.slot].AddReadError()
	}
	return n, err
}

// extend moves the deadline of what is read next.
func (b *body) extend() {
	if !b.limited.Load() || b.ended.Load() {
		return
	}
	c := b.response.conn
	timeout := c.pool.opts.SocketTimeout
	if b.limit.due(c.pool.elapsed(), timeout) {
		_ = c.SetReadDeadline(time.Now().Add(timeout))
	}
}
