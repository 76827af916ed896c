package master

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
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

// path is good in a child, too: os/exec gives it the low numbers only.
func (p pin) path() string { return "/proc/self/fd/" + strconv.Itoa(int(p.file.Fd())) }

func (p pin) close() error { return p.file.Close() }
