package uwsgi

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"syscall"
	"time"
)

// What http.ResponseController and older code look for behind a ResponseWriter. All of
// it is on response itself, because handlers in the wild assert the interfaces and
// panic without them.
var (
	_ http.Flusher    = (*response)(nil)
	_ http.Hijacker   = (*response)(nil)
	_ io.ReaderFrom   = (*response)(nil)
	_ io.StringWriter = (*response)(nil)
)

// Flush sends what has gathered.
func (w *response) Flush() { _ = w.FlushError() }

// FlushError is Flush that tells.
func (w *response) FlushError() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.hijacked:
		return http.ErrHijacked
	case w.buf == nil:
		return errFinished
	}
	if w.head.status == 0 {
		w.writeHeaderLocked(http.StatusOK)
	}
	return w.sendLocked()
}

// Hijack hands the connection over. A 101 that the handler wrote before goes out
// first: websocket libraries rely on it.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.hijacked:
		return nil, nil, http.ErrHijacked
	case w.buf == nil:
		return nil, nil, errFinished
	}
	if w.head.status != 0 {
		if err := w.sendLocked(); err != nil {
			return nil, nil, err
		}
	}
	w.hijacked = true
	w.releaseLocked()
	rwc, br := w.conn.hijack()
	return rwc, bufio.NewReadWriter(br, bufio.NewWriter(rwc)), nil
}

// SetReadDeadline limits the reading of the whole request body from now on, in place
// of the server's limit per read.
func (w *response) SetReadDeadline(t time.Time) error {
	return w.conn.src.setDeadline(t)
}

// SetWriteDeadline limits the writing of the whole response from now on, in place of
// the server's limit per write.
func (w *response) SetWriteDeadline(t time.Time) error {
	return w.conn.setWriteDeadline(t)
}

// EnableFullDuplex has nothing to do: a body can always be read while the response is
// written.
func (w *response) EnableFullDuplex() error { return nil }

// CloseNotify is for libraries that have not moved on to the request's context.
func (w *response) CloseNotify() <-chan bool {
	gone := make(chan bool, 1)
	ctx := w.conn.ctx.look()
	context.AfterFunc(ctx, func() {
		if errors.Is(context.Cause(ctx), errClientGone) {
			gone <- true
		}
	})
	return gone
}

// copyChunk is how much a copy moves under one write deadline.
const copyChunk = 1 << 20

// ReadFrom copies src to the body. A file is handed to the connection itself, which
// has the kernel copy it.
func (w *response) ReadFrom(src io.Reader) (int64, error) {
	if !isFile(src) {
		return io.Copy(writerOnly{w}, src)
	}
	// What the Content-Type is guessed from goes the usual way; so does a small file.
	n, err := io.CopyN(writerOnly{w}, src, sniffLen)
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return n, err
	}
	m, err := w.sendFile(src)
	return n + m, err
}

// sendFile ends with an error if src holds more than the declared Content-Length.
func (w *response) sendFile(src io.Reader) (int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.admitLocked(0); err != nil {
		return 0, err
	}
	if err := w.sendLocked(); err != nil {
		return 0, err
	}
	var total int64
	for w.err == nil {
		chunk := int64(copyChunk)
		if w.head.length >= 0 {
			chunk = min(chunk, w.head.length-w.written)
		}
		if chunk == 0 {
			return total, w.nothingLeftLocked(src)
		}
		n, err := w.copyLocked(src, chunk)
		total += n
		w.written += n
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		w.err = err
	}
	return total, w.err
}

// copyLocked moves up to n bytes, io.EOF if src ends before.
func (w *response) copyLocked(src io.Reader, n int64) (int64, error) {
	if w.noBody {
		return io.CopyN(io.Discard, src, n)
	}
	w.conn.extendWrite()
	var copied int64
	var err error
	// Of nested limits the kernel's copy is found behind one only, and net/http's file
	// server has put one already.
	if l, ok := src.(*io.LimitedReader); ok && l.N < n {
		copied, err = io.Copy(w.conn.rwc, l)
		if err == nil {
			err = io.EOF
		}
	} else if ok {
		copied, err = io.CopyN(w.conn.rwc, l.R, n)
		l.N -= copied
	} else {
		copied, err = io.CopyN(w.conn.rwc, src, n)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		w.conn.clientGone()
	}
	return copied, err
}

func (w *response) nothingLeftLocked(src io.Reader) error {
	var one [1]byte
	if n, _ := src.Read(one[:]); n > 0 {
		return http.ErrContentLength
	}
	return nil
}

// writerOnly hides ReadFrom from io.Copy, which would call it again.
type writerOnly struct{ io.Writer }

// isFile reports whether the kernel may be able to copy src. The lock is held
// meanwhile, so a source that can block for long must not count.
func isFile(src io.Reader) bool {
	if l, ok := src.(*io.LimitedReader); ok {
		src = l.R
	}
	switch src.(type) {
	case syscall.Conn: // an *os.File, which io.Copy has wrapped
	case interface{ Descriptor() syscall.RawConn }: // a file that several read
	default:
		return false
	}
	f, ok := src.(interface{ Stat() (fs.FileInfo, error) })
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode().IsRegular()
}
