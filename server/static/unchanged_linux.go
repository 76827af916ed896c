//go:build amd64 || arm64 || riscv64

package static

import (
	"syscall"
	"unsafe"
)

// unchanged reports whether the file is what it was when it was opened: its content, its mode
// (Ctim), and its names, one of which it loses to a file that takes its place. The scheduler is
// not told: what the kernel knows of an open file is in memory, if it is local. See
// docs/decisions/012.
func (o *handle) unchanged() bool {
	var st syscall.Stat_t
	var errno syscall.Errno
	err := o.raw.Control(func(fd uintptr) {
		_, _, errno = syscall.RawSyscall(syscall.SYS_FSTAT, fd, uintptr(unsafe.Pointer(&st)), 0)
	})
	was, ok := o.info.Sys().(*syscall.Stat_t)
	return err == nil && errno == 0 && ok && st.Size == was.Size && st.Nlink == was.Nlink && st.Mtim == was.Mtim && st.Ctim == was.Ctim
}

// local reports whether the file is on a file system of this machine. Any other may have to ask
// elsewhere for what the kernel of this one has forgotten, and wait for an answer without end.
func local(o *handle) bool {
	var st syscall.Statfs_t
	var err error
	if used := o.raw.Control(func(fd uintptr) { err = syscall.Fstatfs(int(fd), &st) }); used != nil || err != nil {
		return false
	}
	switch uint32(st.Type) { // statfs(2)
	case 0xef53, 0x58465342, 0x9123683e, 0xf2f52010, 0x2fc12fc1, // ext, XFS, Btrfs, F2FS, ZFS
		0x01021994, 0x858458f6, 0x794c7630, 0x73717368, 0xe0f5e1e2: // tmpfs, ramfs, overlay, squashfs, EROFS
		return true
	}
	return false
}
