package master

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"syscall"
)

// pin holds a program by an open descriptor.
type pin struct{ file *os.File }

func newPin(path string) (pin, error) {
	f, err := os.Open(path)
	if err != nil {
		return pin{}, err
	}
	info, err := f.Stat()
	if err == nil && (!info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0) {
		err = fmt.Errorf("%s is not an executable file: %w", path, fs.ErrPermission)
	}
	if err != nil {
		return pin{}, errors.Join(err, f.Close())
	}
	return pin{f}, nil
}

// place puts the program behind all other descriptors and returns the path it is
// executed by. The path is resolved in the child after the descriptors are in place, so
// no order of numbers can make it name another file.
func (p pin) place(fds *rawFDs) string {
	fds.file(p.file)
	return "/proc/self/fd/" + strconv.Itoa(len(fds.list)-1)
}

// path goes by our pid, not by self: in a child the number could be another file's by the
// time it executes.
func (p pin) path() string {
	var own rawFDs
	own.file(p.file)
	if own.err != nil {
		return p.file.Name() // closed: nothing is pinned any more
	}
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), own.list[0])
}

func (p pin) close() error { return p.file.Close() }

// keep names the descriptor for a program that takes our place.
func (p pin) keep(fds *rawFDs) int { return fds.number(p.file) }

// adoptPin takes the descriptor over from the program before.
func adoptPin(fd int, name string) pin {
	syscall.CloseOnExec(fd)
	return pin{os.NewFile(uintptr(fd), name)}
}
