//go:build !linux

package server

import (
	"os"

	"golang.org/x/sys/unix"
)

// replaceFD makes descriptor to show the file of from.
func replaceFD(from *os.File, to int, cloexec bool) error {
	if err := unix.Dup2(int(from.Fd()), to); err != nil {
		return err
	}
	if cloexec {
		unix.CloseOnExec(to)
	}
	return nil
}
