package master

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Wait leaves the process to be reaped: should this master be replaced meanwhile, the next
// one still hears of its end.
func (c *child) Wait() {
	for {
		err := unix.Waitid(unix.P_PID, c.proc.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return // Reap tells what is wrong, if something is
		}
	}
}
