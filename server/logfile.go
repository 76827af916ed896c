package server

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// logMode is the mode of log files that do not exist yet.
const logMode = 0o640

// logFile is a log that can be moved away and opened again without losing a
// line: the new file takes the place of the old one under the same descriptor
// number, in one system call, so whoever writes to the number (this process,
// its workers' next incarnation, the Go runtime's panic text) goes on.
type logFile struct {
	file *os.File
	path string // "" for a descriptor we did not open: it is never reopened
	std  []int  // standard descriptors that show the same file and follow it
}

// openLog opens a log target of the configuration: "stderr", "stdout" or the
// path of a file to append to.
func openLog(target string) (*logFile, error) {
	switch target {
	case "stderr":
		return &logFile{file: os.Stderr}, nil
	case "stdout":
		return &logFile{file: os.Stdout}, nil
	}
	f, err := openAppend(target)
	if err != nil {
		return nil, err
	}
	return &logFile{file: f, path: target}, nil
}

func openAppend(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, logMode)
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
	return reopenAs(l.path, append([]int{int(l.file.Fd())}, l.std...))
}

// reopenStandard makes path the standard output and error of this process.
func reopenStandard(path string) error { return reopenAs(path, []int{1, 2}) }

// reopenAs puts a fresh descriptor of path in the place of each of fds.
func reopenAs(path string, fds []int) error {
	fresh, err := openAppend(path)
	if err != nil {
		return err
	}
	defer fresh.Close()
	for _, fd := range fds {
		if err := replaceFD(fresh, fd, fd > 2); err != nil {
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

// grantLog lets the workers' user write a log file that the master opens as
// root: a worker opens it again by itself when the operator rotates logs.
func grantLog(path string, uid, gid int) error {
	if !filepath.IsAbs(path) { // "stderr" or "stdout"
		return nil
	}
	f, err := openAppend(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Chown(uid, gid); err != nil {
		return fmt.Errorf("give log file to user %d: %w", uid, err)
	}
	return nil
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
