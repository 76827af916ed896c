package accept

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Keep makes the connections of ln cheaper that serve many requests. They stay in the
// runtime's poller, where they wait most of the time, but read and write without telling
// the scheduler. ln is given back as it is if it is no stream socket's.
func Keep(ln net.Listener) net.Listener {
	if s, ok := ln.(socketListener); ok {
		return keeper{s}
	}
	return ln
}

type socketListener interface {
	net.Listener
	SetDeadline(time.Time) error
	SyscallConn() (syscall.RawConn, error)
}

type keeper struct{ socketListener }

func (k keeper) Accept() (net.Conn, error) {
	c, err := k.socketListener.Accept()
	if err != nil {
		return nil, err
	}
	s, ok := c.(socket)
	if !ok {
		return c, nil
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return c, nil
	}
	return newKept(s, raw), nil
}

// socket is what *net.TCPConn and *net.UnixConn have in common.
type socket interface {
	net.Conn
	CloseWrite() error
	SyscallConn() (syscall.RawConn, error)
}

// kept is a connection in the runtime's poller.
type kept struct {
	socket
	raw     syscall.RawConn
	in, out direction
}

// direction is half a connection. Its fields are what a call would otherwise allocate.
type direction struct {
	mu  sync.Mutex // one call at a time
	try func(fd uintptr) bool

	p   []byte
	n   int
	err error
}

func newKept(s socket, raw syscall.RawConn) *kept {
	c := &kept{socket: s, raw: raw}
	c.in.try, c.out.try = c.in.read, c.out.write
	return c
}

func (d *direction) read(fd uintptr) bool {
	for {
		d.n, d.err = rawRead(int(fd), d.p)
		if d.err != syscall.EINTR {
			return d.err != syscall.EAGAIN
		}
	}
}

// longest is what is written in one go: copying it may take some time.
const longest = 256 << 10

func (d *direction) write(fd uintptr) bool {
	for d.n < len(d.p) {
		n, err := rawWrite(int(fd), d.p[d.n:min(len(d.p), d.n+longest)])
		switch err {
		case nil:
			d.n += n
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			d.err = err
			return true
		}
	}
	return true
}

// call tries p, and again whenever wait says that it may work now.
func (d *direction) call(wait func(syscall.RawConn, func(fd uintptr) bool) error, raw syscall.RawConn, p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.p, d.n, d.err = p, 0, nil
	err := wait(raw, d.try)
	d.p = nil
	if err == nil {
		err = d.err
	}
	return max(d.n, 0), err
}

// Read is net.Conn's.
func (c *kept) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := c.in.call(syscall.RawConn.Read, c.raw, p)
	switch {
	case err != nil:
		return 0, c.fail("read", err)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// Write is net.Conn's.
func (c *kept) Write(p []byte) (int, error) {
	n, err := c.out.call(syscall.RawConn.Write, c.raw, p)
	if err != nil {
		err = c.fail("write", err)
	}
	return n, err
}

// fail words an error as package net does for its own Read and Write.
func (c *kept) fail(op string, err error) error {
	if raw, ok := errors.AsType[*net.OpError](err); ok {
		err = raw.Err
	}
	if errno, ok := err.(syscall.Errno); ok {
		err = os.NewSyscallError(op, errno)
	}
	return &net.OpError{Op: op, Net: c.LocalAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}
