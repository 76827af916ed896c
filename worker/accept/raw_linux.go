package accept

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The system calls of a request, made without telling the scheduler. The usual way tells
// it, so that the processor goes to another goroutine if the call takes long. These never
// wait, or for a moment only; but when the kernel has interrupted the thread meanwhile,
// the scheduler takes them for calls that take long, and wakes a thread to do what this
// one is about to do. See docs/decisions/012.

func rawAccept(fd int) (int, error) {
	const flags = syscall.SOCK_NONBLOCK | syscall.SOCK_CLOEXEC
	n, _, errno := syscall.RawSyscall6(syscall.SYS_ACCEPT4, uintptr(fd), 0, 0, flags, 0, 0)
	return result(n, errno)
}

// rawRead wants a socket that does not block, and room in p.
func rawRead(fd int, p []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	return result(n, errno)
}

// rawWrite wants a socket that does not block.
func rawWrite(fd int, p []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	return result(n, errno)
}

// rawSendfile wants a file that is in memory. A nil offset is that of from.
func rawSendfile(to, from int, offset *int64, most int) (int, error) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDFILE, uintptr(to), uintptr(from), uintptr(unsafe.Pointer(offset)), uintptr(most), 0, 0)
	return result(n, errno)
}

func rawClose(fd int) error {
	_, _, errno := syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(fd), 0, 0)
	_, err := result(0, errno)
	return err
}

// rawEpollWait blocks the thread, and with it the goroutines that could run on it: its
// limit, in milliseconds, is how long they may have to wait.
func rawEpollWait(epoll int, events []unix.EpollEvent, limit int) (int, error) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(epoll),
		uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), uintptr(limit), 0, 0)
	return result(n, errno)
}

// rawPoll blocks as rawEpollWait does, until fd can be read. It reports whether it can.
func rawPoll(fd int, limit time.Duration) (bool, error) {
	p := unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
	ts := unix.NsecToTimespec(int64(limit))
	n, _, errno := syscall.RawSyscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
	m, err := result(n, errno)
	return m > 0, err
}

// rawSleep blocks as rawEpollWait does. A signal ends it.
func rawSleep(d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	_, _, _ = syscall.RawSyscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&ts)), 0, 0)
}

// cpuTime is what all threads of this process have computed.
func cpuTime() time.Duration {
	var ts unix.Timespec
	_, _, _ = syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, unix.CLOCK_PROCESS_CPUTIME_ID, uintptr(unsafe.Pointer(&ts)), 0)
	return time.Duration(ts.Nano())
}

// rawLock takes a record lock for this process or, with F_UNLCK, gives it up. It does not wait.
func rawLock(fd int, what int16) error {
	lock := syscall.Flock_t{Type: what} // of all there is
	_, _, errno := syscall.RawSyscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_SETLK, uintptr(unsafe.Pointer(&lock)))
	_, err := result(0, errno)
	return err
}

func result(n uintptr, errno syscall.Errno) (int, error) {
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}
