package master

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/seed17661985/ostler/stats"
	"github.com/seed17661985/ostler/worker/control"
)

// bindPatience is how long an address may be busy: the workers of a master that was just
// killed need a moment to let go.
const bindPatience = time.Second

// bindPause is the time between two attempts.
const bindPause = 50 * time.Millisecond

// Bound is a listening socket that is held, not served: its descriptor is outside Go's
// netpoller, so that connections wake the workers and nobody else.
type Bound struct {
	Socket          // Name has the port the kernel chose; the rest changes with a reload, under mu
	Clamped int     // the kernel's limit, if Backlog was above it; otherwise zero
	file    *fileID // fixed; nil unless it has a path

	mu        sync.Mutex // held only around calls that cannot wait for another process
	fd        int        // -1 after Close
	overflows uint64     // at Close
}

// fileID tells our own socket file from another one at the same path.
//
// Invariant: while the socket is open the file system cannot give its inode to another.
type fileID struct{ dev, ino uint64 }

// Listen binds s. An address in use is tried again for about a second. A unix socket
// that nobody listens on any more is replaced; one that is alive is never taken, and
// neither is a path that is not a socket.
func Listen(ctx context.Context, s Socket) (*Bound, error) {
	b, err := listen(ctx, s, bindPatience)
	if err != nil {
		what := "socket"
		if s.Proto != "" {
			what = s.Proto + " socket"
		}
		return nil, fmt.Errorf("bind %s %s: %w", what, s.Name, err)
	}
	return b, nil
}

func listen(ctx context.Context, s Socket, limit time.Duration) (*Bound, error) {
	attempt := bindAddress
	if isPath(s.Name) {
		if err := checkPath(s.Name); err != nil {
			return nil, err
		}
		attempt = bindPath
	}
	patience, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		b, err := attempt(ctx, s)
		if err == nil || !isBusy(err) {
			return b, err
		}
		select {
		case <-patience.Done():
			return nil, errors.Join(err, ctx.Err())
		case <-time.After(bindPause):
		}
	}
}

// isPath tells a unix socket in the file system from an abstract one and from TCP.
func isPath(name string) bool { return !isAbstract(name) && strings.Contains(name, "/") }

func isAbstract(name string) bool { return strings.HasPrefix(name, "@") }

func network(name string) string {
	if isPath(name) || isAbstract(name) {
		return "unix"
	}
	return "tcp"
}

// isBusy reports whether another attempt can end differently.
func isBusy(err error) bool {
	var held *heldError
	return errors.As(err, &held) || errors.Is(err, syscall.EADDRINUSE)
}

// bindAddress binds TCP and abstract sockets, for which the kernel decides who is first.
func bindAddress(ctx context.Context, s Socket) (*Bound, error) {
	b, err := bind(ctx, s)
	if isAbstract(s.Name) && errors.Is(err, syscall.EADDRINUSE) {
		alive, pid, _ := probe(ctx, s.Name)
		if alive {
			return nil, &heldError{pid}
		}
	}
	return b, err
}

// bind makes the socket listen and takes it out of Go's hands.
func bind(ctx context.Context, s Socket) (*Bound, error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // its accept path is slower, and nothing in front speaks it
	if isPath(s.Name) && s.Mode != 0 {
		lc.Control = narrow(s.Mode)
	}
	ln, err := lc.Listen(ctx, network(s.Name), s.Name)
	if err != nil {
		return nil, bindReason(err)
	}
	defer ln.Close()
	fd, err := control.DupListener(ln)
	if err != nil {
		return nil, err
	}
	b := &Bound{Socket: s, fd: fd}
	if s.Name, err = resolved(s.Name, ln.Addr()); err == nil {
		b.Name = s.Name
		err = b.setBacklog(s.Backlog)
	}
	if err != nil {
		return nil, errors.Join(err, syscall.Close(fd))
	}
	return b, nil
}

// bindReason drops what net.OpError says twice: the caller names the address.
func bindReason(err error) error {
	var sys *os.SyscallError
	if errors.As(err, &sys) {
		return sys.Err
	}
	return err
}

// resolved gives the port the kernel chose when none was asked for.
func resolved(name string, addr net.Addr) (string, error) {
	if network(name) != "tcp" {
		return name, nil
	}
	host, port, err := net.SplitHostPort(name)
	if err != nil || port != "0" {
		return name, err
	}
	_, port, err = net.SplitHostPort(addr.String())
	return net.JoinHostPort(host, port), err
}

// setBacklog calls listen(2) again: package net knows only the kernel's maximum.
func (b *Bound) setBacklog(want int) error {
	if want == 0 {
		want = defaultBacklog
	}
	b.Backlog, b.Clamped = want, 0
	if limit := backlogLimit(); limit > 0 && want > limit {
		b.Backlog, b.Clamped = limit, limit
	}
	if err := syscall.Listen(b.fd, b.Backlog); err != nil {
		return fmt.Errorf("set the backlog to %d: %w", b.Backlog, err)
	}
	return nil
}

// adjust gives a socket that is kept over a reload the settings of the new plan.
func (b *Bound) adjust(s Socket) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fd < 0 {
		return net.ErrClosed
	}
	b.Mode, b.Uid, b.Gid = s.Mode, s.Uid, s.Gid
	return errors.Join(b.setBacklog(s.Backlog), b.setOwner())
}

// Listener returns a listener for this process on the same socket. Closing it neither
// closes the socket nor removes its path.
func (b *Bound) Listener() (net.Listener, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fd < 0 {
		return nil, net.ErrClosed
	}
	fd, err := dup(b.fd)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", b.Name, err)
	}
	f := os.NewFile(uintptr(fd), b.Name)
	defer f.Close() // net.FileListener works on a duplicate
	return net.FileListener(f)
}

// dup holds the fork lock: a worker launched between the two calls would keep the
// duplicate open for ever.
func dup(fd int) (int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fd, err := syscall.Dup(fd)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	return fd, err
}

// FD returns the raw descriptor, for a launch. It is valid until Close.
func (b *Bound) FD() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.fd
}

// Close gives the socket up. With vacuum its path is removed first, if it still is ours.
func (b *Bound) Close(vacuum bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fd < 0 {
		return nil
	}
	b.overflows = stats.QueueOverflows(b.fd)
	var err error
	if vacuum && b.file != nil { // TCP and abstract sockets leave nothing behind
		err = b.unlink()
	}
	err = errors.Join(err, syscall.Close(b.fd))
	b.fd = -1
	return err
}
