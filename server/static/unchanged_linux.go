//go:build amd64 || arm64 || riscv64

package static

import (
	"syscall"
	"unsafe"
)

// unchanged reports whether the file is what it was when it was opened: its content, its mode
// (Ctim), and its names, one of which it loses to a file that takes its place. The scheduler is
// not told: what the kernel knows of an open file is in memory. See docs/decisions/012.
func (o *handle) unchanged() bool {
	var st syscall.Stat_t
	var errno syscall.Errno
	err := o.raw.Control(func(fd uintptr) {
		_, _, errno = syscall.RawSyscall(syscall.SYS_FSTAT, fd, uintptr(unsafe.Pointer(&st)), 0)
	})
	was, ok := o.info.Sys().(*syscall.Stat_t)
	return err == nil && errno == 0 && ok && st.Size == was.Size && st.Nlink == was.Nlink && st.Mtim == was.Mtim && st.Ctim == was.Ctim
}
