//go:build !linux

package control

import "golang.org/x/sys/unix"

// ReplaceFD makes descriptor to show the file of from.
func ReplaceFD(from, to int, cloexec bool) error {
	if err := unix.Dup2(from, to); err != nil {
		return err
	}
	if cloexec {
		unix.CloseOnExec(to)
	}
	return nil
}
