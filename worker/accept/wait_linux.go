package accept

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// shortWait is for how many milliseconds a wait is kept from the scheduler.
const shortWait = 2

// aloneWait blocks its thread until a connection waits to be accepted. With
// EPOLLEXCLUSIVE the kernel wakes one of the processes that do so, the one that began to
// wait last: it is the warmest.
type aloneWait struct {
	epoll int
	wake  int // an eventfd
}

func newAloneWait(listener int) (*aloneWait, error) {
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	epoll, err := newEpoll()
	if err != nil {
		_ = closeFD(wake)
		return nil, err
	}
	w := &aloneWait{epoll: epoll, wake: wake}
	err = setInterest(epoll, unix.EPOLL_CTL_ADD, listener, unix.EPOLLIN|unix.EPOLLEXCLUSIVE)
	if err == nil {
		err = setInterest(epoll, unix.EPOLL_CTL_ADD, wake, unix.EPOLLIN)
	}
	if err != nil {
		_ = w.close()
		return nil, err
	}
	return w, nil
}

// wait returns when a connection may be there, or after interrupt. At first it does not
// even tell the scheduler that it waits: under load the wait is over before the scheduler
// has given the processor away, which costs more than the request that came.
func (w *aloneWait) wait() error {
	var events [2]unix.EpollEvent
	n, err := rawEpollWait(w.epoll, events[:], shortWait)
	if n == 0 || err == syscall.EINTR { // the scheduler, for one, interrupts when it needs the thread
		n, err = retry(func() (int, error) { return unix.EpollWait(w.epoll, events[:], -1) })
	}
	if err != nil {
		return os.NewSyscallError("epoll_wait", err)
	}
	for _, e := range events[:n] {
		if e.Fd == int32(w.wake) {
			var count [8]byte
			_, _ = unix.Read(w.wake, count[:]) // back to zero; somebody else may have been faster
		}
	}
	return nil
}

// interrupt ends the wait in progress, or the next one.
func (w *aloneWait) interrupt() error {
	one := [8]byte{1}
	if _, err := unix.Write(w.wake, one[:]); err != nil && err != unix.EAGAIN {
		return os.NewSyscallError("write", err)
	}
	return nil
}

func (w *aloneWait) close() error {
	_ = closeFD(w.wake)
	return closeFD(w.epoll)
}

// sharedWait waits in the runtime's poller. The poller knows no EPOLLEXCLUSIVE, and would
// be woken for every connection for as long as it knows the listener; so it knows an epoll
// that knows the listener, and looks at it during a wait only (EPOLLONESHOT).
type sharedWait struct {
	listener int
	epoll    *os.File
	raw      syscall.RawConn
	armed    bool // it looks, or has looked and nobody has asked what it saw
}

func newSharedWait(listener int) (*sharedWait, error) {
	fd, err := newEpoll()
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil { // or the poller would not take it
		_ = closeFD(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	w := &sharedWait{listener: listener, epoll: os.NewFile(uintptr(fd), "epoll")}
	if w.raw, err = w.epoll.SyscallConn(); err == nil {
		err = setInterest(fd, unix.EPOLL_CTL_ADD, listener, 0)
	}
	if err != nil {
		_ = w.close()
		return nil, err
	}
	return w, nil
}

// wait returns when a connection may be there, or at the deadline.
func (w *sharedWait) wait() error {
	waited := false
	var failed error
	err := w.raw.Read(func(fd uintptr) (done bool) {
		if w.armed {
			done, failed = w.saw(int(fd))
		}
		if done || waited || failed != nil {
			return true
		}
		// Not before: the poller forgets what it knew when Read begins.
		waited, w.armed = true, true
		failed = setInterest(int(fd), unix.EPOLL_CTL_MOD, w.listener, unix.EPOLLIN|unix.EPOLLONESHOT)
		return failed != nil
	})
	if err == nil {
		err = failed
	}
	return err
}

// saw has to be called after every look: what was seen stays seen otherwise, and the
// kernel reports it no second time.
func (w *sharedWait) saw(epoll int) (connection bool, err error) {
	var events [1]unix.EpollEvent
	n, err := retry(func() (int, error) { return rawEpollWait(epoll, events[:], 0) })
	if err != nil {
		return false, os.NewSyscallError("epoll_wait", err)
	}
	w.armed = n == 0
	return n > 0, nil
}

func (w *sharedWait) setDeadline(t time.Time) error { return w.epoll.SetReadDeadline(t) }

func (w *sharedWait) close() error { return w.epoll.Close() }

func newEpoll() (int, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return -1, os.NewSyscallError("epoll_create1", err)
	}
	return fd, nil
}

func setInterest(epoll, op, fd int, events uint32) error {
	e := unix.EpollEvent{Events: events, Fd: int32(fd)}
	if err := unix.EpollCtl(epoll, op, fd, &e); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	return nil
}
