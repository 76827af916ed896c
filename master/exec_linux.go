package master

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Exec executes the program at path in this process, with the descriptors in keep open. It
// returns only if that fails; then all is as before.
func Exec(path string, argv, env []string, keep []int) error {
	syscall.ForkLock.Lock() // no child may get what is about to lose its close-on-exec
	defer syscall.ForkLock.Unlock()
	for _, fd := range keep {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return fmt.Errorf("keep descriptor %d open: %w", fd, err)
		}
		defer syscall.CloseOnExec(fd)
	}
	return syscall.Exec(path, argv, env)
}
