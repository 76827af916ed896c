package master

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// allowedCPUs lists those that this process may use.
func allowedCPUs() (cpus []int) {
	var set unix.CPUSet
	if unix.SchedGetaffinity(unix.Getpid(), &set) != nil {
		return nil
	}
	for cpu := range len(set) * 64 {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus
}

// boundTo calls fork on a thread that is bound to cpus, if there are any: a child inherits
// that, so that its runtime counts no other CPU from its first moment on.
func boundTo(cpus []int, fork func() (int, error)) (int, error) {
	if len(cpus) == 0 {
		return fork()
	}
	var before, bound unix.CPUSet
	for _, cpu := range cpus {
		bound.Set(cpu)
	}
	runtime.LockOSThread()
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		runtime.UnlockOSThread()
		return 0, fmt.Errorf("ask for the CPUs of a thread: %w", err)
	}
	if err := unix.SchedSetaffinity(0, &bound); err != nil {
		runtime.UnlockOSThread()
		return 0, fmt.Errorf("bind to CPUs %v: %w", cpus, err)
	}
	pid, err := fork()
	if unix.SchedSetaffinity(0, &before) == nil {
		runtime.UnlockOSThread() // otherwise the thread ends with this goroutine
	}
	return pid, err
}
