package pool

import (
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"sync/atomic"
	"time"
)

// A deadline is moved only when an eighth of the limit has gone by since it was set last,
// so that a busy connection does not pay for one with each write.
const slack = 8

const (
	// stretch is the most of an HTTP/2 response that is written under one limit. A limit on
	// all of it would cut clients that are slow, not only those that have stalled.
	stretch = 64 << 10

	// fileStretch is the most of a file that is copied before its bytes are counted and the
	// deadline is moved.
	fileStretch = 1 << 20
)

// limit is the moving deadline of one direction.
type limit struct {
	set     atomic.Int64 // Pool.elapsed when it was set; 0: not set
	foreign atomic.Bool  // somebody set another one, which is respected until it is cleared
}

// due reports whether the deadline is to be moved now.
func (l *limit) due(now, timeout time.Duration) bool {
	if l.foreign.Load() {
		return false
	}
	set := time.Duration(l.set.Load())
	if set != 0 && now-set < timeout/slack {
		return false
	}
	l.set.Store(int64(now))
	return true
}

// limited reports whether SocketTimeout is ours to keep on this connection.
func (c *conn) limited() bool {
	return c.kept && c.pool.opts.SocketTimeout > 0 && !c.hijacked.Load()
}

// extendWrite moves the deadline of what is written next.
func (c *conn) extendWrite() {
	timeout := c.pool.opts.SocketTimeout
	if c.writeLimit.due(c.pool.elapsed(), timeout) {
		_ = c.Conn.SetWriteDeadline(time.Now().Add(timeout))
	}
}

// SetWriteDeadline tells apart who calls. net/http clears the deadline after every
// request, whether there is one or not; ours stays, and is moved by the next write.
// Anything else is the application's wish for the response at hand, or TLS closing.
func (c *conn) SetWriteDeadline(t time.Time) error {
	if !c.limited() {
		return c.Conn.SetWriteDeadline(t)
	}
	if t.IsZero() && !c.writeLimit.foreign.Load() {
		return nil
	}
	c.writeLimit.set.Store(0)
	c.writeLimit.foreign.Store(!t.IsZero())
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline comes from a hijack, when the connection stops being a request's.
func (c *conn) SetDeadline(t time.Time) error {
	c.writeLimit.set.Store(0)
	c.writeLimit.foreign.Store(!t.IsZero())
	c.deadline.wanted.Store(c.pool.instant(t))
	return errors.Join(c.arm(c.pool.instant(t), true), c.Conn.SetWriteDeadline(t))
}

// Write counts. A peer that takes a little within the limit is slow; one that takes nothing
// has stalled.
func (c *conn) Write(b []byte) (int, error) {
	if c.shared.Load() {
		c.writing.Lock()
		defer c.writing.Unlock()
	}
	if !c.limited() {
		n, err := c.Conn.Write(b)
		c.sent(int64(n))
		return n, err
	}
	for total := 0; ; {
		c.extendWrite()
		n, err := c.Conn.Write(b[total:])
		c.sent(int64(n))
		total += n
		if n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) || c.writeLimit.foreign.Load() {
			return total, err
		}
	}
}

// ReadFrom lets the kernel copy files where the connection can. Anything else under a limit
// is written piece by piece: a source that is slow is not a client that has stalled.
func (c *conn) ReadFrom(src io.Reader) (int64, error) {
	if !c.limited() {
		n, err := io.Copy(c.Conn, src)
		c.sent(n)
		return n, err
	}
	whole, bounded := src.(*io.LimitedReader)
	if !bounded {
		whole = &io.LimitedReader{R: src, N: math.MaxInt64}
	}
	if _, able := c.Conn.(io.ReaderFrom); !able || !isFile(whole.R) {
		return io.Copy(struct{ io.Writer }{c}, src)
	}
	return c.sendFile(whole)
}

// sendFile copies a file in stretches. As in Write, a peer that took a little before the
// deadline is slow. Then it goes on if no byte was read that was not sent: a copy that the
// kernel did not make may have some, and is cut.
func (c *conn) sendFile(whole *io.LimitedReader) (total int64, err error) {
	part := &io.LimitedReader{R: whole.R} // net looks through one LimitedReader for the file, not through two
	for {
		want := min(whole.N, fileStretch)
		part.N = want
		c.extendWrite()
		n, err := io.Copy(c.Conn, part)
		c.sent(n)
		total += n
		whole.N -= want - part.N
		slow := n > 0 && want-part.N == n && errors.Is(err, os.ErrDeadlineExceeded) && !c.writeLimit.foreign.Load()
		if !slow && (err != nil || n < want) || whole.N <= 0 {
			return total, err
		}
	}
}

// isFile reports whether the kernel may be able to copy src, which never waits then.
func isFile(src io.Reader) bool {
	f, ok := src.(interface{ Stat() (fs.FileInfo, error) })
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode().IsRegular()
}

func (c *conn) sent(n int64) { c.pool.rows[c.row.Load()].AddTx(n) }
