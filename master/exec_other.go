//go:build !linux

package master

import "errors"

var errNoExec = errors.New("this system cannot put another program in the place of the master without losing a signal")

// Keeper keeps signals, which needs Linux.
type Keeper struct{ PID int }

// KeepSignals always fails here: the master stays the program it was started as.
func KeepSignals() (*Keeper, error) { return nil, errNoExec }

// Release is for a Keeper there never is.
func (*Keeper) Release() {}

// FD likewise.
func (*Keeper) FD() int { return -1 }

// ReapKeeper likewise.
func ReapKeeper(int) {}

// IsKeeper likewise.
func IsKeeper() bool { return false }

// RunKeeper likewise.
func RunKeeper() {}

// Exec always fails here.
func Exec(string, []string, []string, []int) error { return errNoExec }
