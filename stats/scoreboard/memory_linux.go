package scoreboard

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// sharedMemory makes size bytes of memory without a name. They are sealed against
// shrinking: the worker holds the descriptor too, and if the application truncated the
// file, the master would die of SIGBUS at its next read.
func sharedMemory(size int64) (*os.File, error) {
	f, err := Nameless("ostler-scoreboard")
	if err != nil {
		return nil, err
	}
	if err := sizeAndSeal(f, size); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// Nameless makes an empty file in memory that no path leads to; name is only shown.
func Nameless(name string) (*os.File, error) {
	fd, err := memfd(name)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		return temporaryFile() // an old or a strict sandbox
	}
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// memfd asks for memory that can never be executed, which Linux before 6.3 does not know
// and a hardened later one insists on.
func memfd(name string) (int, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate(name, flags|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.MemfdCreate(name, flags)
	}
	return fd, err
}

func sizeAndSeal(f *os.File, size int64) error {
	if err := f.Truncate(size); err != nil {
		return fmt.Errorf("size the shared memory: %w", err)
	}
	const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
	_, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals)
	if err != nil && !errors.Is(err, unix.EINVAL) { // a temporary file knows no seals
		return fmt.Errorf("seal the shared memory: %w", err)
	}
	return nil
}

// Seal makes what is in a Nameless file final: nobody can change it, this process included.
func Seal(f *os.File) error {
	const seals = unix.F_SEAL_WRITE | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
	_, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals)
	if err != nil && !errors.Is(err, unix.EINVAL) { // a temporary file knows no seals
		return fmt.Errorf("seal the shared memory: %w", err)
	}
	return nil
}
