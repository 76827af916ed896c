//go:build !linux

package scoreboard

import "os"

// sharedMemory has no memfd here. A worker that truncates the file can kill its master;
// only Linux has seals against that.
func sharedMemory(size int64) (*os.File, error) { return temporaryFile(size) }
