package server

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/seed17661985/ostler/master"
	"github.com/seed17661985/ostler/worker/control"
)

// logMode is the mode of log files that do not exist yet.
const logMode = 0o640

// logFile is a log that can be moved away and opened again without losing a
// line: the new file takes the place of the old one under the same descriptor
// number, in one system call, so whoever writes to the number (this process,
// its workers' next incarnation, the Go runtime's panic text) goes on.
type logFile struct {
	file  *os.File
	path  string             // "" for a descriptor we did not open: it is never reopened
	owner *master.Credential // of a new file; nil leaves it ours
	std   []int              // standard descriptors that show the same file and follow it
}

// openLog opens a log target of the configuration: "stderr", "stdout" or the
// path of a file to append to. A new file is given to owner; nil leaves it ours.
func openLog(target string, owner *master.Credential) (*logFile, error) {
	switch target {
	case "stderr":
		return &logFile{file: os.Stderr}, nil
	case "stdout":
		return &logFile{file: os.Stdout}, nil
	}
	f, err := openFor(owner, target)
	if err != nil {
		return nil, err
	}
	return &logFile{file: f, path: target, owner: owner}, nil
}

// openAppend does not wait for the reader of a named pipe: a master that did would
// hear no signal meanwhile.
func openAppend(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NONBLOCK, logMode)
	if errors.Is(err, syscall.ENXIO) {
		return nil, fmt.Errorf("open log file: nobody reads the pipe %s", path)
	}
	if err != nil {
		return nil, fmt.Errorf("open log file: %w", err)
	}
	return f, nil
}

// adopt finds out which of this process's standard output and error are the
// same file, as they are in a detached master: they follow it when it is
// reopened.
func (l *logFile) adopt() {
	for fd, std := range map[int]*os.File{1: os.Stdout, 2: os.Stderr} {
		if l.path != "" && sameFile(std, l.file) {
			l.std = append(l.std, fd)
		}
	}
}

func sameFile(a, b *os.File) bool {
	ai, err := a.Stat()
	if err != nil {
		return false
	}
	bi, err := b.Stat()
	return err == nil && os.SameFile(ai, bi)
}

// Write writes one whole line: hclog and the access log call it once per line.
func (l *logFile) Write(p []byte) (int, error) { return l.file.Write(p) }

// reopen opens the path again, after logrotate moved the file away. On failure
// the old file stays in use.
func (l *logFile) reopen() error {
	if l.path == "" {
		return nil
	}
	return reopenAs(l.owner, l.path, append([]int{int(l.file.Fd())}, l.std...))
}

// reopenStandard makes path the standard output and error of this process.
func reopenStandard(path string) error { return reopenAs(nil, path, []int{1, 2}) }

// reopenAs puts a fresh descriptor of path in the place of each of fds.
func reopenAs(owner *master.Credential, path string, fds []int) error {
	fresh, err := openFor(owner, path)
	if err != nil {
		return err
	}
	defer fresh.Close()
	for _, fd := range fds {
		if err := control.ReplaceFD(int(fresh.Fd()), fd, fd > 2); err != nil {
			return fmt.Errorf("reopen log file %s as descriptor %d: %w", path, fd, err)
		}
	}
	return nil
}

func (l *logFile) close() error {
	if l.path == "" {
		return nil
	}
	return l.file.Close()
}

// openFor is openAppend for a file that workers of another user write too: they
// open it again by themselves when the operator rotates logs.
//
// Its folder may belong to that user, who could put a link to any of root's
// files in its place. So links are not followed, and only a file that is made
// here is given away; one that was there is theirs already, or stays as it is.
func openFor(owner *master.Credential, path string) (*os.File, error) {
	if owner == nil {
		return openAppend(path)
	}
	const flags = os.O_WRONLY | os.O_APPEND | syscall.O_NOFOLLOW | syscall.O_NONBLOCK
	f, err := os.OpenFile(path, flags|os.O_CREATE|os.O_EXCL, logMode)
	if err == nil {
		if err = f.Chown(int(owner.Uid), int(owner.Gid)); err != nil {
			err = errors.Join(fmt.Errorf("give log file to user %d: %w", owner.Uid, err), f.Close())
		}
		return f, err
	}
	if !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("open log file: %w", err)
	}
	f, err = os.OpenFile(path, flags, 0)
	if errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.EMLINK) { // the latter on freebsd
		return nil, fmt.Errorf("open log file: %s is a symbolic link, which is not followed with uid set; standard output is \"stdout\"", path)
	}
	if err != nil {
		return nil, fmt.Errorf("open log file: %w", err)
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("open log file: %s is not a regular file, which it must be with uid set", path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// tail returns what was written to path after offset, at most max bytes from
// its end: the last words of a program that died before it could report.
func tail(path string, offset, max int64) string {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return ""
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return ""
	}
	b := make([]byte, min(max, st.Size()-min(offset, st.Size())))
	n, _ := f.ReadAt(b, st.Size()-int64(len(b)))
	return string(b[:n])
}
