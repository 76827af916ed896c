package server

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// pidfile says which process is the master. The lock on it, not its text, says
// whether that process lives: a number that was left behind by a crash and
// taken by another program stops nobody.
type pidfile struct {
	path string
	file *os.File // locked for as long as the master lives
}

// pidfileAttempts bounds the tries against other starters that replace the file
// between our open and our lock.
const pidfileAttempts = 16

// lockPidfile takes the lock or names the process that holds it. The file is
// empty until write: a start that fails must not overwrite a good number.
func lockPidfile(path string) (*pidfile, error) {
	for range pidfileAttempts {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o644)
		if err != nil {
			return nil, fmt.Errorf("open pidfile: %w", err)
		}
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			defer f.Close()
			return nil, fmt.Errorf("pidfile %s is held by %s: stop it first, or give this instance another pidfile", path, holder(f))
		}
		if err == nil && isAt(f, path) {
			return &pidfile{path: path, file: f}, nil
		}
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("lock pidfile %s: %w", path, err)
		}
	}
	return nil, fmt.Errorf("pidfile %s keeps being replaced by other processes", path)
}

// holder names the process a locked pidfile belongs to.
func holder(f *os.File) string {
	text, err := io.ReadAll(io.LimitReader(f, 32))
	if pid := strings.TrimSpace(string(text)); err == nil && pid != "" {
		return "pid " + pid
	}
	return "an instance that is still starting"
}

// isAt reports whether path still names the open file f.
func isAt(f *os.File, path string) bool {
	here, err := os.Lstat(path)
	if err != nil {
		return false
	}
	ours, err := f.Stat()
	return err == nil && os.SameFile(ours, here)
}

// write puts the number in place by rename, so that no reader ever sees half of
// it, and moves the lock to the new file before it becomes visible.
func (p *pidfile) write(pid int) error {
	temp := p.path + "." + strconv.Itoa(pid)
	f, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return fmt.Errorf("write pidfile: %w", err)
	}
	if err := fillPidfile(f, pid, p.path); err != nil {
		f.Close()
		os.Remove(temp)
		return fmt.Errorf("write pidfile %s: %w", p.path, err)
	}
	p.file.Close()
	p.file = f
	return nil
}

func fillPidfile(f *os.File, pid int, path string) error {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil { // whatever the umask is
		return err
	}
	if _, err := fmt.Fprintf(f, "%d\n", pid); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// release lets go of the lock and removes the file if it is still ours. Without
// vacuum a written pidfile stays, as uWSGI leaves it.
func (p *pidfile) release(vacuum bool) error {
	defer p.file.Close()
	empty := false
	if st, err := p.file.Stat(); err == nil {
		empty = st.Size() == 0 // our own start failed: there is nothing to keep
	}
	if (!vacuum && !empty) || !isAt(p.file, p.path) {
		return nil
	}
	if err := os.Remove(p.path); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("remove pidfile: %w", err)
	}
	return nil
}
