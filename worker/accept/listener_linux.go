package accept

import (
	"errors"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed17661985/ostler/worker/control"
)

// Listen takes over ln, which must be a stream socket's: it is closed, and its socket
// lives on in the listener that is returned. A listener that has no descriptor is
// returned as it is. The path of a unix socket is not removed when it is closed.
func Listen(ln net.Listener) (net.Listener, error) {
	if _, ok := ln.(syscall.Conn); !ok {
		return ln, nil
	}
	l, err := newListener(ln)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: ln.Addr().Network(), Addr: ln.Addr(), Err: err}
	}
	_ = ln.Close() // its descriptor only; the socket is ours
	return l, nil
}

// Listener accepts without the runtime's poller where it can.
type Listener struct {
	fd   int
	addr net.Addr
	tcp  bool
	refs refs // of those in Accept

	unnamed *net.UnixAddr // the peer of every connection of a unix socket

	accepting sync.Mutex // one Accept at a time
	alone     *aloneWait
	shared    *sharedWait
	backlog   backlog
	turns     turns
	peers     promptness

	mu sync.Mutex
	by time.Time // the deadline
}

func newListener(ln net.Listener) (l *Listener, err error) {
	l = &Listener{fd: -1, addr: ln.Addr(), unnamed: &net.UnixAddr{Name: "@", Net: "unix"}}
	_, l.tcp = l.addr.(*net.TCPAddr)
	defer func() {
		if err != nil {
			_ = l.free()
		}
	}()
	if l.fd, err = control.DupListener(ln); err != nil {
		return nil, err
	}
	if l.tcp {
		l.tune()
	}
	l.turns = turns{turn: inodeLock{l.fd}, doze: rawSleep, cpu: cpuTime}
	if l.alone, err = newAloneWait(l.fd); err != nil {
		return nil, err
	}
	l.shared, err = newSharedWait(l.fd)
	return l, err
}

// tune sets what accepted connections inherit, as package net sets it on each of them. An
// error would only mean a slower or a longer connection.
func (l *Listener) tune() {
	_ = unix.SetsockoptInt(l.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	_ = unix.SetsockoptInt(l.fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	for option, value := range map[int]int{unix.TCP_KEEPIDLE: 15, unix.TCP_KEEPINTVL: 15, unix.TCP_KEEPCNT: 9} {
		_ = unix.SetsockoptInt(l.fd, unix.IPPROTO_TCP, option, value)
	}
}

// Accept waits in the runtime's poller: for a process in which others wait as well.
func (l *Listener) Accept() (net.Conn, error) { return l.accept(false) }

// AcceptAlone blocks its thread while it waits, and the runtime may take a while to give
// the processor to somebody else: it is for a process in which nobody else is expected to
// have anything to do. One connection wakes one of all processes that wait like this; while short
// requests come in a stream, they do so by turns.
func (l *Listener) AcceptAlone() (net.Conn, error) { return l.accept(true) }

func (l *Listener) accept(alone bool) (net.Conn, error) {
	if !l.refs.acquire() {
		return nil, l.fail(net.ErrClosed)
	}
	defer l.release()
	l.accepting.Lock()
	defer l.accepting.Unlock()
	c, err := l.next(alone)
	if err != nil {
		l.turns.rest()
		return nil, l.fail(err)
	}
	l.turns.accepted()
	return c, nil
}

// next waits for a connection.
func (l *Listener) next(alone bool) (net.Conn, error) {
	waited := false
	for {
		by := l.deadline() // set later, it ends the wait that follows
		if err := l.over(by); err != nil {
			// A wake-up was for us alone: nobody else comes for the connection it was about.
			if waited {
				if c, _ := l.try(); c != nil {
					return c, nil
				}
			}
			return nil, err
		}
		// With little time, what is there has to be found though others keep the processor.
		if waited || l.backlog.likely() || !by.IsZero() {
			c, err := l.try()
			if c != nil {
				l.backlog.hit(waited)
				return c, nil
			}
			if err != syscall.EAGAIN {
				return nil, os.NewSyscallError("accept4", err)
			}
			l.backlog.missed()
		}
		// Whoever can run should, before this thread stops.
		runtime.Gosched()
		if err := l.wait(alone && by.IsZero()); err != nil {
			return nil, err
		}
		waited = true
	}
}

// wait returns when a connection may be there, or when over has something to say.
func (l *Listener) wait(alone bool) error {
	switch {
	case !alone:
		l.turns.rest()
	case l.turns.standBack():
		return nil
	case l.backlog.mayBlock():
		return l.alone.wait()
	}
	err := l.shared.wait()
	if errors.Is(err, os.ErrDeadlineExceeded) || l.refs.closed() {
		return nil
	}
	return err
}

// over says why there is no waiting any more.
func (l *Listener) over(by time.Time) error {
	if l.refs.closed() {
		return net.ErrClosed
	}
	if !by.IsZero() && !time.Now().Before(by) {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// try returns EAGAIN if nobody waits to be accepted.
func (l *Listener) try() (net.Conn, error) {
	for {
		c, err := l.accept4()
		switch err {
		case nil:
			return c, nil
		case syscall.EINTR, syscall.ECONNABORTED: // the latter: it came and went
		default:
			return nil, err
		}
	}
}

func (l *Listener) accept4() (*Conn, error) {
	if l.tcp {
		fd, peer, err := syscall.Accept4(l.fd, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		if err != nil {
			return nil, err
		}
		return l.newConn(fd, tcpAddr(peer)), nil
	}
	fd, err := rawAccept(l.fd)
	if err != nil {
		return nil, err
	}
	return l.newConn(fd, l.unnamed), nil
}

func (l *Listener) newConn(fd int, peer net.Addr) *Conn {
	c := &Conn{fd: fd, local: l.addr, peer: peer, promptness: &l.peers}
	c.fresh.Store(true)
	return c
}

// SetDeadline limits Accept, as it does that of *net.TCPListener and *net.UnixListener.
func (l *Listener) SetDeadline(t time.Time) error {
	if !l.refs.acquire() {
		return l.fail(net.ErrClosed)
	}
	defer l.release()
	l.mu.Lock()
	l.by = t
	l.mu.Unlock()
	return errors.Join(l.alone.interrupt(), l.shared.setDeadline(t))
}

func (l *Listener) deadline() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.by
}

// Close gives up this process's share of the socket, and interrupts Accept, which may still
// return a connection that it has.
func (l *Listener) Close() error {
	if !l.refs.acquire() {
		return l.fail(net.ErrClosed)
	}
	defer l.release()
	if first, _ := l.refs.close(); !first {
		return l.fail(net.ErrClosed)
	}
	return errors.Join(l.alone.interrupt(), l.shared.setDeadline(longAgo()))
}

func (l *Listener) release() {
	if l.refs.release() {
		_ = l.free() // Close has returned already
	}
}

func (l *Listener) free() error {
	var errs []error
	if l.alone != nil {
		errs = append(errs, l.alone.close())
	}
	if l.shared != nil {
		errs = append(errs, l.shared.close())
	}
	if l.fd >= 0 {
		errs = append(errs, closeFD(l.fd))
	}
	return errors.Join(errs...)
}

// Addr is net.Listener's.
func (l *Listener) Addr() net.Addr { return l.addr }

func (l *Listener) fail(err error) error {
	return &net.OpError{Op: "accept", Net: l.addr.Network(), Addr: l.addr, Err: err}
}

func longAgo() time.Time { return time.Unix(1, 0) }
