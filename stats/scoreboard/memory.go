package scoreboard

import (
	"fmt"
	"os"
)

// temporaryFile makes a file that nobody else can open: its name is gone at once.
func temporaryFile(size int64) (*os.File, error) {
	f, err := os.CreateTemp("", "ostler-scoreboard-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close()
		return nil, err
	}
	if err := f.Truncate(size); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("size the shared memory: %w", err)
	}
	return f, nil
}
