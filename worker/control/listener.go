package control

import (
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// DupListener gives a descriptor of ln's socket for any number of launches. The caller
// owns it: it hands the number to syscall.ForkExec, closes it with syscall.Close, and
// may close ln at once, which ends its place in the netpoller but not the socket. A
// unix listener is told not to remove its path when that happens.
//
// Trap: ln.File() is not the same. Its Fd, which os/exec and os.StartProcess call,
// clears O_NONBLOCK on the open file description that all workers share; their accepts
// then block a thread each and their Close hangs, so that no drain ends. Wrapping the
// descriptor in os.NewFile is no better here: the master would be woken by the netpoller
// for every connection of every worker.
func DupListener(ln net.Listener) (fd int, err error) {
	sc, ok := ln.(syscall.Conn)
	if !ok {
		return -1, fmt.Errorf("duplicate the listener %s: a %T has no descriptor", ln.Addr(), ln)
	}
	if u, ok := ln.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return -1, fmt.Errorf("duplicate the listener %s: %w", ln.Addr(), err)
	}
	var dupErr error
	err = raw.Control(func(s uintptr) {
		// From FirstSocketFD upwards, so that what is below stays free even in a master whose
		// standard descriptors are closed.
		fd, dupErr = unix.FcntlInt(s, unix.F_DUPFD_CLOEXEC, FirstSocketFD)
	})
	if err == nil {
		err = dupErr
	}
	if err != nil {
		return -1, fmt.Errorf("duplicate the listener %s: %w", ln.Addr(), err)
	}
	return fd, nil
}

// InheritListener takes over socket i of Setup. Closing the listener gives up this
// process's share only: the socket and its queue live on in the others, and a unix
// socket's path stays.
func InheritListener(i int, s Socket) (net.Listener, error) {
	fd := FirstSocketFD + i
	if !isKind(fd, unix.S_IFSOCK) {
		return nil, fmt.Errorf("inherit %s socket %s: descriptor %d is not a socket", s.Proto, s.Name, fd)
	}
	unix.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), s.Name)
	defer f.Close() // net.FileListener works on a duplicate
	ln, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("inherit %s socket %s: %w", s.Proto, s.Name, err)
	}
	return ln, nil
}
