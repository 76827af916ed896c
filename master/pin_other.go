//go:build !linux

package master

import "os/exec"

// pin remembers a path only: this system cannot execute an open descriptor by a name.
type pin struct{ name string }

func newPin(path string) (pin, error) {
	path, err := exec.LookPath(path)
	return pin{name: path}, err
}

func (p pin) place(*rawFDs) string { return p.name }

func (p pin) path() string { return p.name }

func (p pin) close() error { return nil }

// keep and adoptPin are for a program that takes our place, which this system cannot do.
func (p pin) keep(*rawFDs) int { return -1 }

func adoptPin(_ int, name string) pin { return pin{name: name} }
