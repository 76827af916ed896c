package pool

import (
	"bufio"
	"io"
	"maps"
	"net"
	"net/http"
	"sync"
)

// ResponseWriter is all that the pool's writer can do and applications look for without
// http.ResponseController.
type ResponseWriter interface {
	http.ResponseWriter
	http.Flusher
	http.Hijacker
	io.ReaderFrom
	io.StringWriter
	FlushError() error
	CloseNotify() <-chan bool
}

// asWriter is nil for a writer of a test, say.
func asWriter(w http.ResponseWriter) ResponseWriter {
	full, _ := w.(ResponseWriter)
	return full
}

// limitedWriter is the writer of a limited request. The limit may answer in the handler's
// place, from another goroutine; then what the handler writes is refused as by
// http.TimeoutHandler.
//
// The handler has a header of its own for that reason: it may change it at any time.
type limitedWriter struct {
	ResponseWriter
	timed  *timed
	header http.Header // the handler's; it is copied when it is sent

	mu       sync.Mutex // held by whoever writes
	answered bool       // by the limit
	left     bool       // the handler is back, or has the connection to itself
}

func (w *limitedWriter) Header() http.Header {
	if w.header == nil {
		w.header = make(http.Header)
	}
	return w.header
}

// enter begins a write of the handler, with mu held if it may.
func (w *limitedWriter) enter() error {
	w.mu.Lock()
	if w.answered {
		w.mu.Unlock()
		return http.ErrHandlerTimeout
	}
	if w.timed.res.status == 0 {
		maps.Copy(w.ResponseWriter.Header(), w.header)
	}
	return nil
}

// leave is for a handler that is back. If it has returned, the head may not be written yet,
// and trailers come after it. One that heeds the end of its context may be back before answer
// comes, and has said nothing.
func (w *limitedWriter) leave(returned bool) {
	if returned && w.timed.over() {
		w.answer()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left = true
	if returned && !w.answered {
		maps.Copy(w.ResponseWriter.Header(), w.header)
	}
}

// answer says that the time is over, if nothing else was said.
func (w *limitedWriter) answer() {
	w.mu.Lock()
	defer w.mu.Unlock()
	res := w.timed.res
	if w.left || w.answered || res.status != 0 || res.hijacked != nil {
		return
	}
	w.answered = true
	h := res.Header()
	clear(h)
	if res.request.ProtoMajor == 1 {
		// Nothing comes behind it while the handler runs, and net/http does not read the
		// request's body before it answers: the handler does that, or waits for it.
		h.Set("Connection", "close")
	}
	refuse(res, res.request, http.StatusGatewayTimeout)
	_ = res.FlushError() // an error is the client's loss, and is counted
}

func (w *limitedWriter) WriteHeader(status int) {
	if w.enter() == nil {
		defer w.mu.Unlock()
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w *limitedWriter) Write(b []byte) (int, error) {
	if err := w.enter(); err != nil {
		return 0, err
	}
	defer w.mu.Unlock()
	return w.ResponseWriter.Write(b)
}

func (w *limitedWriter) WriteString(s string) (int, error) {
	if err := w.enter(); err != nil {
		return 0, err
	}
	defer w.mu.Unlock()
	return w.ResponseWriter.WriteString(s)
}

func (w *limitedWriter) ReadFrom(src io.Reader) (int64, error) {
	if err := w.enter(); err != nil {
		return 0, err
	}
	defer w.mu.Unlock()
	return w.ResponseWriter.ReadFrom(src)
}

func (w *limitedWriter) Flush() { _ = w.FlushError() }

func (w *limitedWriter) FlushError() error {
	if err := w.enter(); err != nil {
		return err
	}
	defer w.mu.Unlock()
	return w.ResponseWriter.FlushError()
}

// Hijack ends the limit: what becomes of the connection is no request any more.
func (w *limitedWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if err := w.enter(); err != nil {
		return nil, nil, err
	}
	defer w.mu.Unlock()
	nc, rw, err := w.ResponseWriter.Hijack()
	if err == nil {
		w.left = true
		w.timed.end()
	}
	return nc, rw, err
}

// Unwrap serves http.ResponseController.
func (w *limitedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
