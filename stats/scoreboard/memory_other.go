//go:build !linux

package scoreboard

import (
	"fmt"
	"os"
)

// sharedMemory has no memfd here. A worker that truncates the file can kill its master;
// only Linux has seals against that.
func sharedMemory(size int64) (*os.File, error) {
	f, err := temporaryFile()
	if err != nil {
		return nil, err
	}
	if err := f.Truncate(size); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("size the shared memory: %w", err)
	}
	return f, nil
}

// Nameless makes an empty file that no path leads to any more.
func Nameless(string) (*os.File, error) { return temporaryFile() }

// Seal does nothing: only Linux has seals.
func Seal(*os.File) error { return nil }
