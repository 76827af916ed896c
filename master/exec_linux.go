package master

import (
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// CanExec reports whether another program can take this one's place without a signal that
// is lost. It needs HoldsSignals.
const CanExec = true

// The signals a master listens to. Between an execution and the new program's first
// signal.Notify each of them would end the process. So a master is born with them held back
// in all its threads: os/signal lets those through that it is asked for, in a thread of its
// own, and holds them back again after Stop. The kernel keeps a held signal across an
// execution.
func heldSignals() *unix.Sigset_t {
	var set unix.Sigset_t
	for _, s := range [...]unix.Signal{
		unix.SIGTERM, unix.SIGINT, unix.SIGQUIT, unix.SIGHUP,
		unix.SIGUSR1, unix.SIGUSR2, unix.SIGTTIN, unix.SIGTTOU,
	} {
		n := int(s) - 1
		set.Val[n/strconv.IntSize] |= 1 << (n % strconv.IntSize)
	}
	return &set
}

// HoldsSignals reports whether this program was executed with its signals held back.
func HoldsSignals() bool {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var now unix.Sigset_t
	want := heldSignals()
	if unix.PthreadSigmask(unix.SIG_BLOCK, nil, &now) != nil {
		return false
	}
	for i := range now.Val {
		if now.Val[i]&want.Val[i] != want.Val[i] {
			return false
		}
	}
	return true
}

// Unheld calls f, which starts a process, in a thread that holds nothing back: a process
// inherits what its parent's thread did, and a worker with SIGQUIT held would never print
// its stacks.
func Unheld(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_UNBLOCK, heldSignals(), &before); err != nil {
		return err
	}
	defer func() { _ = unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil) }()
	return f()
}

// Exec executes the program at path in this process, with the signals held back and the
// descriptors in keep open. It returns only if that fails; then all is as before.
func Exec(path string, argv, env []string, keep []int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, heldSignals(), &before); err != nil {
		return err
	}
	defer func() { _ = unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil) }()
	syscall.ForkLock.Lock() // no child may get what is about to lose its close-on-exec
	defer syscall.ForkLock.Unlock()
	for _, fd := range keep {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return err
		}
		defer syscall.CloseOnExec(fd)
	}
	return syscall.Exec(path, argv, env)
}
