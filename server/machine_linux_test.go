package server_test

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/seed17661985/ostler/server/servertest"
)

// sharesByPID asks until n workers have told theirs.
func sharesByPID(t *testing.T, i *servertest.Instance, n int) map[int]machineShare {
	t.Helper()
	rt := transport(i, "http-socket", "http")
	seen := make(map[int]machineShare)
	i.Until(fmt.Sprintf("%d workers have answered", n), func() bool {
		_, body := get(t, rt, "http://site/")
		var s machineShare
		if err := json.Unmarshal([]byte(body), &s); err != nil {
			t.Fatal(err)
		}
		seen[s.PID] = s
		return len(seen) == n
	})
	return seen
}

// Who shares the machine with more workers has less of it, and is told while it runs.
func TestTheMachineIsSharedAnewWithEachWorker(t *testing.T) {
	t.Parallel()
	cpus := runtime.NumCPU()
	i := servertest.Launch(t, "module = \"share\"\nprocesses = 1\nthreads = 2\nhttp-socket = \"$DIR/http\"\n")
	for _, s := range sharesByPID(t, i, 1) {
		if s.Procs > cpus || s.Procs < 1 {
			t.Errorf("one worker alone has %d of %d CPUs", s.Procs, cpus)
		}
	}
	i.Signal(syscall.SIGTTIN)
	i.Until("each has its part", func() bool {
		for _, s := range sharesByPID(t, i, 2) {
			if s.Procs > (cpus+1)/2 {
				return false
			}
		}
		return true
	})
}

// What the operator decided is nobody else's to change.
func TestSharesOfTheOperatorStay(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, `
module = "share"
processes = 1
threads = 2
http-socket = "$DIR/http"
[env]
GOMAXPROCS = "3"
GOMEMLIMIT = "1GiB"
`)
	i.Signal(syscall.SIGTTIN)
	for pid, s := range sharesByPID(t, i, 2) {
		if s.Procs != 3 || s.Memory != 1<<30 {
			t.Errorf("worker %d has %+v", pid, s)
		}
	}
}

// Each worker has CPUs of its own, and its runtime knows.
func TestCPUAffinity(t *testing.T) {
	t.Parallel()
	cpus := runtime.NumCPU()
	if cpus < 2 {
		t.Skip("this machine has one CPU")
	}
	i := servertest.Launch(t, "module = \"share\"\nprocesses = 2\nthreads = 2\ncpu-affinity = 1\nhttp-socket = \"$DIR/http\"\n")
	bound := make(map[string]bool)
	for pid, s := range sharesByPID(t, i, 2) {
		if s.CPUs != 1 || s.Procs != 1 {
			t.Errorf("worker %d counts %d CPUs and uses %d", pid, s.CPUs, s.Procs)
		}
		bound[allowedList(t, pid)] = true
	}
	if len(bound) != 2 {
		t.Errorf("the workers are bound to %v, want a CPU each", bound)
	}
	if master := allowedList(t, i.PID()); bound[master] {
		t.Errorf("the master is bound to %s as well", master)
	}
}

func allowedList(t *testing.T, pid int) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "Cpus_allowed_list:\t")
	list, _, _ := strings.Cut(rest, "\n")
	return list
}
