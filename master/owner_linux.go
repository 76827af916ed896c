package master

import (
	"io/fs"
	"os"
	"strconv"
	"syscall"
)

// What package syscall does not name; the same on every architecture Go runs on.
const (
	openPath  = 0x200000 // O_PATH: only what it is, not what it does
	emptyPath = 0x1000   // AT_EMPTY_PATH
)

// grant gives the file at path its mode and owner, provided that it is want. Check and
// change go through one descriptor: whoever owns the folder may put another file in its
// place at any moment, and it is root that is asked to change it.
func grant(path string, want fileID, mode fs.FileMode, uid, gid int) error {
	fd, err := syscall.Open(path, openPath|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer syscall.Close(fd)
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil {
		return &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Mode&syscall.S_IFMT != syscall.S_IFSOCK || idOf(&st) != want {
		return errNotOurs
	}
	file := "/proc/self/fd/" + strconv.Itoa(fd) // fchmod refuses such a descriptor
	if now := fs.FileMode(st.Mode).Perm(); mode != 0 && now&^mode != 0 {
		// The new owner must not have, for a moment, what only the old one was given.
		if err := os.Chmod(file, now&mode); err != nil {
			return err
		}
	}
	if uid >= 0 || gid >= 0 {
		if err := syscall.Fchownat(fd, "", uid, gid, emptyPath); err != nil {
			return &fs.PathError{Op: "chown", Path: path, Err: err}
		}
	}
	if mode == 0 {
		return nil
	}
	return os.Chmod(file, mode)
}

// narrow makes the file that a bind creates its owner's alone, whatever the umask is: the
// kernel takes the file's mode from the socket's own. The rest of mode comes with grant.
func narrow(mode fs.FileMode) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) { failed = syscall.Fchmod(int(fd), uint32(mode.Perm()&0o600)) })
		if err == nil {
			err = os.NewSyscallError("fchmod", failed)
		}
		return err
	}
}
