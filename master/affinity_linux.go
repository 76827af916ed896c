package master

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// boundTo calls fork on a thread that is bound to the n CPUs whose turn it is in a slot, if n
// is not zero: a child inherits that, so that its runtime counts no other CPU from its first
// moment on.
//
// The CPUs there are to choose from are asked of this very thread. Others may be bound to a few
// of them at this moment, for another slot.
func boundTo(n, slot int, fork func() (int, error)) (int, error) {
	if n == 0 {
		return fork()
	}
	runtime.LockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		runtime.UnlockOSThread()
		return 0, fmt.Errorf("ask for the CPUs of a thread: %w", err)
	}
	cpus := turn(listOf(before), n, slot)
	if err := unix.SchedSetaffinity(0, setOf(cpus)); err != nil {
		runtime.UnlockOSThread()
		return 0, fmt.Errorf("bind to CPUs %v: %w", cpus, err)
	}
	pid, err := fork()
	if unix.SchedSetaffinity(0, &before) == nil {
		runtime.UnlockOSThread() // otherwise the thread ends with this goroutine
	}
	return pid, err
}

func listOf(set unix.CPUSet) (cpus []int) {
	for cpu := range len(set) * 64 {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus
}

func setOf(cpus []int) *unix.CPUSet {
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	return &set
}
