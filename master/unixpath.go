package master

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// heldError refuses to take an address that another process listens on.
type heldError struct{ pid int }

func (e *heldError) Error() string {
	switch e.pid {
	case 0:
		return "another process listens on it"
	case os.Getpid():
		return "this very process listens on it already"
	}
	return fmt.Sprintf("process %d listens on it", e.pid)
}

// maxPath is what fits into a sockaddr_un with its final zero byte.
const maxPath = len(syscall.RawSockaddrUnix{}.Path) - 1

// checkPath says what the kernel would only call an invalid argument.
func checkPath(path string) error {
	if len(path) > maxPath {
		return fmt.Errorf("the path has %d bytes, the system allows %d", len(path), maxPath)
	}
	return nil
}

// bindPath binds a socket in the file system. Two processes that start at once would
// each find the path free or stale and one would take the other's fresh socket away, so
// all of it happens under a lock on the directory.
func bindPath(ctx context.Context, s Socket) (*Bound, error) {
	unlock, err := lockDir(ctx, filepath.Dir(s.Name))
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := clearPath(ctx, s.Name); err != nil {
		return nil, err
	}
	b, err := bind(ctx, s)
	if err != nil {
		return nil, err
	}
	if b.file, err = identify(s.Name); err == nil {
		err = b.setOwner()
	}
	if err != nil {
		return nil, errors.Join(err, b.removeFile(), b.Close(false))
	}
	return b, nil
}

// clearPath makes the path free, or says why it may not be.
func clearPath(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("there is a %s already, which is not replaced", kindOf(info.Mode()))
	}
	alive, pid, err := probe(ctx, path)
	if err != nil {
		return fmt.Errorf("find out whether somebody listens on it: %w", err)
	}
	if alive {
		return &heldError{pid}
	}
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) { // its owner may be ending just now
		return err
	}
	return nil
}

func kindOf(mode fs.FileMode) string {
	switch mode.Type() {
	case 0:
		return "regular file"
	case fs.ModeDir:
		return "directory"
	case fs.ModeSymlink:
		return "symbolic link"
	}
	return "special file"
}

// probe connects to a unix socket. Only a refused connection proves that nobody listens.
func probe(ctx context.Context, name string) (alive bool, pid int, err error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", name)
	switch {
	case err == nil:
		defer conn.Close()
		return true, peerPID(conn.(*net.UnixConn)), nil
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return false, 0, nil
	case errors.Is(err, syscall.EAGAIN): // its backlog is full: very much alive
		return true, 0, nil
	}
	return false, 0, bindReason(err)
}

// lockDir takes the lock all binders in a directory share. It is advisory and held for
// milliseconds; that it stays taken for long means something is wrong.
func lockDir(ctx context.Context, dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	patience, cancel := context.WithTimeout(ctx, 2*bindPatience)
	defer cancel()
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil // closing releases the lock
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			break
		}
		select {
		case <-patience.Done():
			return nil, errors.Join(fmt.Errorf("lock the directory %s: another process holds it", dir), f.Close())
		case <-time.After(bindPause / 5):
		}
	}
	return nil, errors.Join(fmt.Errorf("lock the directory %s: %w", dir, err), f.Close())
}

// identify reads what makes the file at path ours.
func identify(path string) (*fileID, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, fmt.Errorf("stat of %s gives a %T", path, info.Sys())
	}
	id := idOf(st)
	return &id, nil
}

func idOf(st *syscall.Stat_t) fileID { return fileID{dev: uint64(st.Dev), ino: uint64(st.Ino)} }

// errNotOurs refuses to touch what somebody put in the place of our socket.
var errNotOurs = errors.New("the file at its path is not this socket any more")

// setOwner applies mode and owner to the socket's file, and to no other.
func (b *Bound) setOwner() error {
	if b.file == nil || b.Mode == 0 && b.Uid < 0 && b.Gid < 0 {
		return nil
	}
	return grant(b.Name, *b.file, b.Mode, b.Uid, b.Gid)
}

// unlink removes the path, in turn with whoever is about to bind it.
func (b *Bound) unlink() error {
	unlock, err := lockDir(context.Background(), filepath.Dir(b.Name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the folder went, and the socket with it
	}
	if err != nil {
		return err
	}
	defer unlock()
	return b.removeFile()
}

// removeFile removes the path if it still is the file that was bound. The caller holds
// the directory's lock.
func (b *Bound) removeFile() error {
	if b.file == nil {
		return nil
	}
	now, err := identify(b.Name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && *now != *b.file {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Remove(b.Name)
}
