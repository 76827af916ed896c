package server

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// giveWay has the kernel let others finish their turn when a thread of this process wakes
// up (SCHED_BATCH). A worker is woken by its front end. If it interrupts the one that has just
// written, on the same CPU, it finds a single request, answers it, sleeps again, and is woken
// by the next; if it does not, it finds many. It is not for workers that browsers and load
// generators speak to directly: there it makes the slowest requests slower.
//
// A policy that was chosen for the process, by chrt or systemd, is kept. Threads that are
// started later have the policy of the thread that starts them.
func giveWay() error {
	for changed := true; changed; { // a thread may have been started behind our back
		changed = false
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("list the threads of this process: %w", err)
		}
		for _, task := range tasks {
			tid, err := strconv.Atoi(task.Name())
			if err != nil {
				return fmt.Errorf("list the threads of this process: %w", err)
			}
			c, err := giveWayThread(tid)
			if err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("set SCHED_BATCH: %w", err)
			}
			changed = changed || c
		}
	}
	return nil
}

func giveWayThread(tid int) (changed bool, err error) {
	attr, err := unix.SchedGetAttr(tid, 0)
	if err != nil || attr.Policy != unix.SCHED_NORMAL {
		return false, err
	}
	attr.Policy = unix.SCHED_BATCH
	attr.Runtime = 0 // the length of a turn: the kernel's own
	return true, unix.SchedSetAttr(tid, attr, 0)
}
