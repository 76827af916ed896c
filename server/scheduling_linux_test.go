package server_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed17661985/ostler/server/servertest"
)

// Threads come and go under load, and all of them must be alike.
func TestWorkersBehindFrontEndsDoNotInterruptThem(t *testing.T) {
	t.Parallel()
	const normal, batch = "0", "3"
	for _, policy := range policies(t, os.Getpid()) {
		if policy != normal {
			t.Skipf("this test itself runs with policy %s, and workers keep it", policy)
		}
	}
	for sockets, want := range map[string]string{
		`socket = "s"`:                        batch,
		`http-socket = "s"`:                   normal,
		"socket = \"s\"\nhttp-socket = \"h\"": normal,
	} {
		t.Run(sockets, func(t *testing.T) {
			t.Parallel()
			i := servertest.Launch(t, "module = \"echo\"\nprocesses = 2\nthreads = 4\n"+sockets)
			proto, _, _ := strings.Cut(sockets, " ")
			load := servertest.Run(t, 8, servertest.Echo(transport(i, proto, "s"), "http://app/"))
			i.Until("there is a load", func() bool { return load.Done() > 500 })
			load.MustLoseNothing()
			for _, w := range i.Stats().Workers {
				for tid, policy := range policies(t, w.PID) {
					if policy != want {
						t.Errorf("thread %s of worker %d has policy %s, want %s", tid, w.PID, policy, want)
					}
				}
			}
			for tid, policy := range policies(t, i.PID()) { // it reacts to the operator
				if policy != normal {
					t.Errorf("thread %s of the master has policy %s", tid, policy)
				}
			}
		})
	}
}

// policies is the scheduling policy of every thread of a process.
func policies(t *testing.T, pid int) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no threads of process %d: %v", pid, err)
	}
	list := map[string]string{}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		const policy = 41 - 3 // fields are counted from 1, and two stand before the state
		list[filepath.Base(filepath.Dir(path))] = strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))[policy]
	}
	return list
}
