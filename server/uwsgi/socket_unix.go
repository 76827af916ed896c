//go:build unix

package uwsgi

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// waitGone blocks until the peer has closed, or broken, its connection, and reports
// true; false if the wait was interrupted by a deadline or if the peer sends data that
// nobody asked for, behind which its end cannot be seen.
func waitGone(c net.Conn) (gone bool) {
	raw, ok := rawConn(c)
	if !ok {
		return false
	}
	var one [1]byte
	err := raw.Read(func(fd uintptr) bool {
		for {
			n, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK)
			switch {
			case errors.Is(err, syscall.EINTR):
				continue
			case errors.Is(err, syscall.EAGAIN):
				return false // wait for the next event
			}
			gone = err != nil || n == 0
			return true
		}
	})
	return gone || err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, net.ErrClosed)
}

// resetOnClose makes the next Close of a TCP connection a reset, which tells the peer
// that the response is broken. Unix sockets ignore it.
func resetOnClose(c net.Conn) {
	if raw, ok := rawConn(c); ok {
		_ = raw.Control(func(fd uintptr) {
			_ = syscall.SetsockoptLinger(int(fd), syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
		})
	}
}

// rawConn sees through wrappers that forward SyscallConn.
func rawConn(c net.Conn) (syscall.RawConn, bool) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return nil, false
	}
	raw, err := sc.SyscallConn()
	return raw, err == nil
}
