package parking

import (
	"fmt"
	"os"
	"syscall"
)

// watch looks after any number of connections without a goroutine for each: an epoll of our
// own. The runtime's poller waits for that as if it were one more connection.
type watch struct {
	file *os.File
	raw  syscall.RawConn
}

func newWatch() (*watch, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make an epoll for idle connections: %w", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil { // or os would not poll it
		syscall.Close(fd)
		return nil, fmt.Errorf("make the epoll for idle connections non-blocking: %w", err)
	}
	w := &watch{file: os.NewFile(uintptr(fd), "epoll")}
	w.raw, err = w.file.SyscallConn()
	return w, err
}

// add has run tell of c once, when there is something to read, be it the end. It reports
// whether it will.
func (w *watch) add(c *Conn) bool {
	ev := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLONESHOT, Fd: int32(c.id), Pad: int32(c.id >> 32)}
	return w.control(c, syscall.EPOLL_CTL_ADD, &ev)
}

// remove makes c as if it had never been added. A connection that was closed meanwhile is.
func (w *watch) remove(c *Conn) { w.control(c, syscall.EPOLL_CTL_DEL, nil) }

func (w *watch) control(c *Conn, op int, ev *syscall.EpollEvent) bool {
	socket, err := c.SyscallConn()
	if err != nil {
		return false
	}
	result := error(nil)
	err = socket.Control(func(fd uintptr) {
		err := w.raw.Control(func(epoll uintptr) { result = syscall.EpollCtl(int(epoll), op, int(fd), ev) })
		if err != nil {
			result = err
		}
	})
	return err == nil && result == nil
}

// run tells of connections until close.
func (w *watch) run(tell func(id uint64)) {
	var events [64]syscall.EpollEvent
	for {
		n := 0
		err := w.raw.Read(func(fd uintptr) bool {
			err := error(syscall.EINTR)
			for err == syscall.EINTR {
				n, err = syscall.EpollWait(int(fd), events[:], 0)
			}
			return n != 0
		})
		if err != nil || n < 0 {
			return
		}
		for _, ev := range events[:n] {
			tell(uint64(uint32(ev.Fd)) | uint64(uint32(ev.Pad))<<32)
		}
	}
}

func (w *watch) close() { _ = w.file.Close() }
