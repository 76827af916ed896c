package server

import (
	"os"

	"golang.org/x/sys/unix"
)

// replaceFD makes descriptor to show the file of from. Linux on some
// architectures has dup3 only.
func replaceFD(from *os.File, to int, cloexec bool) error {
	flags := 0
	if cloexec {
		flags = unix.O_CLOEXEC
	}
	return unix.Dup3(int(from.Fd()), to, flags)
}
