//go:build !linux

package master

import (
	"io/fs"
	"os"
	"syscall"
)

// grant gives the file at path its mode and owner, provided that it is want. There is no
// descriptor to do it through here, so a folder that others may write to is not safe.
func grant(path string, want fileID, mode fs.FileMode, uid, gid int) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || info.Mode().Type() != fs.ModeSocket || idOf(st) != want {
		return errNotOurs
	}
	if uid >= 0 || gid >= 0 {
		if err := os.Lchown(path, uid, gid); err != nil {
			return err
		}
	}
	if mode == 0 {
		return nil
	}
	return os.Chmod(path, mode)
}

// narrow has no means here: until grant the file is as wide as the umask lets it be.
func narrow(fs.FileMode) func(network, address string, c syscall.RawConn) error { return nil }
