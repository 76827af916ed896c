package scoreboard

import "os"

// temporaryFile makes a file that nobody else can open: its name is gone at once.
func temporaryFile() (*os.File, error) {
	f, err := os.CreateTemp("", "ostler-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}
