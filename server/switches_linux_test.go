package server_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/server/uwsgi"
	"github.com/seed17661985/ostler/stats"
)

// One request at a time is the hardest case for many workers: all sleep, and each that wakes
// besides the one that is needed goes to sleep again for nothing. The goal is 2,500 times
// for a thousand requests, which make bench shows; Go's own poller had 10,216. What
// else runs on the machine adds to it, never the other way round: the best of several turns
// counts, and twice the goal is a failure.
func TestARequestWakesOneWorker(t *testing.T) {
	const requests, turns, most = 1000, 3, 5000
	i := servertest.LaunchAs(t, `
module = "echo"
processes = 8
threads = 2
socket = "$DIR/uwsgi"
disable-logging = true
`, servertest.Process{Program: programWithoutRace(t)})
	var r uwsgi.Request
	for _, v := range [][2]string{{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "/"}, {"PATH_INFO", "/"}, {"SERVER_PROTOCOL", "HTTP/1.1"}, {"HTTP_HOST", "site"}} {
		r.Vars.Add(v[0], v[1])
	}
	packet, err := r.AppendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	workers := i.Stats()
	var counts []int
	for range turns {
		before := timesAsleep(t, workers)
		for range requests {
			askAtOnce(t, filepath.Join(i.Dir, "uwsgi"), packet)
		}
		counts = append(counts, timesAsleep(t, workers)-before)
	}
	t.Logf("%d requests put threads of 8 workers to sleep %d times", requests, counts)
	if n := slices.Min(counts); n > most || n < requests/2 {
		t.Errorf("%d requests put threads to sleep %d times, %d are allowed; under %d nothing was measured", requests, n, most, requests/2)
	}
}

// askAtOnce connects and asks without a pause, as a front end does: the Go client under the
// race detector takes so long between the two that a worker goes to sleep there again.
func askAtOnce(t *testing.T, socket string, packet []byte) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	err = syscall.Connect(fd, &syscall.SockaddrUnix{Name: socket})
	if err == nil {
		_, err = syscall.Write(fd, packet)
	}
	answer, b := []byte(nil), make([]byte, 4096)
	for n := 1; n > 0 && err == nil; {
		n, err = syscall.Read(fd, b)
		answer = append(answer, b[:max(n, 0)]...)
	}
	if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 OK\r\n")) {
		t.Fatalf("%v, answered %q", err, answer)
	}
}

// timesAsleep is how often all threads of all workers went to sleep.
func timesAsleep(t *testing.T, s stats.Snapshot) (n int) {
	t.Helper()
	for _, w := range s.Workers {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", w.PID))
		if err != nil || len(tasks) == 0 {
			t.Fatalf("threads of worker %d: %v", w.PID, err)
		}
		for _, task := range tasks {
			b, err := os.ReadFile(task)
			if err != nil {
				continue // it has ended
			}
			var switches int
			_, rest, _ := strings.Cut(string(b), "\nvoluntary_ctxt_switches:")
			if _, err := fmt.Sscan(rest, &switches); err != nil {
				t.Fatalf("%s: %v\n%s", task, err, b)
			}
			n += switches
		}
	}
	return n
}
