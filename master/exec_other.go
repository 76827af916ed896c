//go:build !linux

package master

import "errors"

// CanExec: here the master stays the program it was started as.
const CanExec = false

// HoldsSignals is for systems that CanExec.
func HoldsSignals() bool { return false }

// Unheld calls f: nothing is ever held back here.
func Unheld(f func() error) error { return f() }

// Exec always fails here.
func Exec(string, []string, []string, []int) error {
	return errors.New("this system cannot put another program in the place of the master")
}
