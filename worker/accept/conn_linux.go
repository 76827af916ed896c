package accept

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Conn is an accepted connection. It stays out of the runtime's poller until a call has
// to wait; from then on it is an *os.File under the same descriptor.
type Conn struct {
	fd    int
	local net.Addr
	peer  net.Addr
	refs  refs // of those who use fd directly; who waits holds the file instead

	fresh      atomic.Bool // nobody has waited for its first byte
	promptness *promptness // of the listener's peers

	mu              sync.Mutex
	file            *os.File // nil until somebody had to wait
	readBy, writeBy time.Time
}

// TryRead reads what is there: 0 and no error mean that nothing is. No deadline counts.
// The first one gives the peer a moment, see promptness.
func (c *Conn) TryRead(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if !c.refs.acquire() {
		return 0, c.fail("read", net.ErrClosed)
	}
	n, err := retry(func() (int, error) { return rawRead(c.fd, p) })
	if err == syscall.EAGAIN && c.fresh.Swap(false) && c.promptness.awaitFirst(c.fd) {
		n, err = retry(func() (int, error) { return rawRead(c.fd, p) })
	}
	c.release()
	switch {
	case n > 0:
		if c.fresh.Load() {
			c.fresh.Store(false)
		}
		return n, nil
	case err == nil:
		return 0, io.EOF
	case err == syscall.EAGAIN:
		return 0, nil
	}
	return 0, c.fail("read", os.NewSyscallError("read", err))
}

// TryWrite writes what the socket takes at once, which may be nothing. No deadline counts.
func (c *Conn) TryWrite(p []byte) (int, error) {
	if !c.refs.acquire() {
		return 0, c.fail("write", net.ErrClosed)
	}
	n, err := retry(func() (int, error) { return rawWrite(c.fd, p) })
	c.release()
	switch err {
	case nil:
		return n, nil
	case syscall.EAGAIN:
		return 0, nil
	}
	return 0, c.fail("write", os.NewSyscallError("write", err))
}

// TryWritev is TryWrite of several pieces, one behind the other.
func (c *Conn) TryWritev(pieces [][]byte) (int, error) {
	if !c.refs.acquire() {
		return 0, c.fail("writev", net.ErrClosed)
	}
	n, err := retry(func() (int, error) { return unix.Writev(c.fd, pieces) })
	c.release()
	switch err {
	case nil:
		return n, nil
	case syscall.EAGAIN:
		return 0, nil
	}
	return 0, c.fail("writev", os.NewSyscallError("writev", err))
}

// Read is net.Conn's.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if c.inTime(&c.readBy) {
		if n, err := c.TryRead(p); n > 0 || err != nil {
			return n, err
		}
	}
	return c.awaitRead(p)
}

func (c *Conn) awaitRead(p []byte) (n int, err error) {
	err = c.wait("read", (syscall.RawConn).Read, func(fd int) (err error) {
		n, err = retry(func() (int, error) { return rawRead(fd, p) })
		return err
	})
	if err == nil && n == 0 {
		err = io.EOF
	}
	return max(n, 0), err
}

// Write is net.Conn's.
func (c *Conn) Write(p []byte) (int, error) {
	n := 0
	if c.inTime(&c.writeBy) {
		var err error
		if n, err = c.TryWrite(p); err != nil || n == len(p) {
			return n, err
		}
	}
	m, err := c.writeRest(p[n:])
	return n + m, err
}

func (c *Conn) writeRest(p []byte) (total int, err error) {
	for {
		err := c.wait("write", (syscall.RawConn).Write, func(fd int) error {
			n, err := retry(func() (int, error) { return rawWrite(fd, p[total:]) })
			total += max(n, 0)
			return err
		})
		if err != nil || total == len(p) {
			return total, err
		}
	}
}

// inTime reports whether an operation may be tried without asking the poller, which knows
// the deadline from when it was first asked.
func (c *Conn) inTime(by *time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.file == nil && (by.IsZero() || time.Now().Before(*by))
}

// wait calls op until it does something else than fail with EAGAIN.
func (c *Conn) wait(name string, on func(syscall.RawConn, func(uintptr) bool) error, op func(fd int) error) error {
	f, err := c.attach()
	if err != nil {
		return c.fail(name, err)
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return c.fail(name, err)
	}
	var opErr error
	err = on(raw, func(fd uintptr) bool {
		opErr = op(int(fd))
		return opErr != syscall.EAGAIN
	})
	switch {
	case err == nil && opErr == nil:
		return nil
	case err == nil:
		err = os.NewSyscallError(name, opErr)
	case c.refs.closed():
		err = net.ErrClosed // the poller's own word for it is private
	}
	return c.fail(name, err)
}

// attach puts the connection into the runtime's poller.
func (c *Conn) attach() (*os.File, error) {
	if !c.refs.acquire() {
		return nil, net.ErrClosed
	}
	defer c.release()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file != nil {
		return c.file, nil
	}
	c.file = os.NewFile(uintptr(c.fd), "connection")
	err := errors.Join(c.file.SetReadDeadline(c.readBy), c.file.SetWriteDeadline(c.writeBy))
	return c.file, err
}

// Close is net.Conn's. Whoever waits is interrupted.
func (c *Conn) Close() error {
	first, free := c.refs.close()
	if !first {
		return c.fail("close", net.ErrClosed)
	}
	if free {
		return c.free()
	}
	return nil
}

func (c *Conn) release() {
	if c.refs.release() {
		_ = c.free() // Close has returned already
	}
}

// free runs once, when nobody uses the descriptor's number any more.
func (c *Conn) free() error {
	c.mu.Lock()
	f := c.file
	c.mu.Unlock()
	if f != nil {
		return f.Close()
	}
	return closeFD(c.fd)
}

// SetDeadline is net.Conn's.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline is net.Conn's. It costs no more than a note as long as nobody waits.
func (c *Conn) SetReadDeadline(t time.Time) error {
	return c.setDeadline(&c.readBy, t, (*os.File).SetReadDeadline)
}

// SetWriteDeadline is net.Conn's.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	return c.setDeadline(&c.writeBy, t, (*os.File).SetWriteDeadline)
}

func (c *Conn) setDeadline(by *time.Time, t time.Time, set func(*os.File, time.Time) error) error {
	if c.refs.closed() {
		return c.fail("set", net.ErrClosed)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	*by = t
	if c.file == nil {
		return nil
	}
	return set(c.file, t)
}

// CloseWrite ends the writing side, as *net.TCPConn and *net.UnixConn do.
func (c *Conn) CloseWrite() error {
	if !c.refs.acquire() {
		return c.fail("close", net.ErrClosed)
	}
	defer c.release()
	if err := syscall.Shutdown(c.fd, syscall.SHUT_WR); err != nil {
		return c.fail("close", os.NewSyscallError("shutdown", err))
	}
	return nil
}

// LocalAddr is the listener's.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr is net.Conn's.
func (c *Conn) RemoteAddr() net.Addr { return c.peer }

// SyscallConn gives access to the socket. Its Read and Write wait in the runtime's poller.
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return rawConn{c}, nil }

type rawConn struct{ conn *Conn }

func (r rawConn) Control(f func(fd uintptr)) error {
	if !r.conn.refs.acquire() {
		return r.conn.fail("raw-control", net.ErrClosed)
	}
	defer r.conn.release()
	f(uintptr(r.conn.fd))
	return nil
}

func (r rawConn) Read(f func(fd uintptr) (done bool)) error {
	return r.conn.wait("raw-read", (syscall.RawConn).Read, untilDone(f))
}

func (r rawConn) Write(f func(fd uintptr) (done bool)) error {
	return r.conn.wait("raw-write", (syscall.RawConn).Write, untilDone(f))
}

func untilDone(f func(fd uintptr) bool) func(fd int) error {
	return func(fd int) error {
		if f(uintptr(fd)) {
			return nil
		}
		return syscall.EAGAIN
	}
}

// fail words an error as package net does.
func (c *Conn) fail(op string, err error) error {
	return &net.OpError{Op: op, Net: c.local.Network(), Source: c.local, Addr: c.peer, Err: err}
}

// retry calls again what a signal interrupted.
func retry(f func() (int, error)) (int, error) {
	for {
		if n, err := f(); err != syscall.EINTR {
			return n, err
		}
	}
}

// closeFD closes what nobody lingers for, so that it does not wait.
func closeFD(fd int) error { return os.NewSyscallError("close", rawClose(fd)) }
