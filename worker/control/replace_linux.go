package control

import "golang.org/x/sys/unix"

// ReplaceFD makes descriptor to show the file of from. Linux on some
// architectures has dup3 only.
func ReplaceFD(from, to int, cloexec bool) error {
	flags := 0
	if cloexec {
		flags = unix.O_CLOEXEC
	}
	return unix.Dup3(from, to, flags)
}
