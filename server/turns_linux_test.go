package server_test

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

// openTurns is workers whose requests are short: they are without the race detector.
func openTurns(t *testing.T, workers int) (i *servertest.Instance, ask func() error) {
	t.Helper()
	i = openShop(t, fmt.Sprintf(`
processes = %d
socket = "$DIR/uwsgi"
disable-logging = true
`, workers)).Instance
	return i, func() error { return request(i.UWSGI("uwsgi"), http.MethodGet, "http://site/") }
}

// A turn ends, and then it is another's.
func TestRequestsSpreadOverWorkersByTurns(t *testing.T) {
	i, ask := openTurns(t, 4)
	requestsSpread(t, i, ask)
}

// One worker has the turn to wait for connections while the others stand back. One that is
// frozen with its turn costs nobody else a request, and keeps it from nobody when it is killed.
func TestAWorkerThatIsStuckWithItsTurnHurtsNobodyElse(t *testing.T) {
	t.Parallel()
	const clients, enough = 16, 1200 // so that the other stands back, for which it has to see 512 first
	i, ask := openTurns(t, 2)
	load := servertest.Run(t, clients, ask)

	frozen := freezeTheTurn(t, i)
	goesOn(i, load, enough)
	if !slices.Contains(turnsOf(t, i), frozen) {
		t.Errorf("worker %d lost its turn while it was frozen", frozen)
	}
	mustKill(t, frozen, syscall.SIGCONT)
	load.MustLoseNothing()

	load = servertest.Run(t, clients, ask)
	killed := freezeTheTurn(t, i)
	mustKill(t, killed, syscall.SIGKILL)
	i.Until("the turn of the killed worker is another's", func() bool {
		now := turnsOf(t, i)
		return len(now) > 0 && !slices.Contains(now, killed)
	})
	goesOn(i, load, enough)
	if failed := load.Stop(); len(failed) > clients {
		t.Errorf("%d requests were lost, more than a worker can have had: %v", len(failed), failed[0])
	}
}

// freezeTheTurn stops the worker that has the turn.
func freezeTheTurn(t *testing.T, i *servertest.Instance) (pid int) {
	t.Helper()
	i.Until("a worker is frozen in its turn", func() bool {
		for _, pid = range turnsOf(t, i) {
			mustKill(t, pid, syscall.SIGSTOP)
			if slices.Contains(turnsOf(t, i), pid) {
				return true
			}
			mustKill(t, pid, syscall.SIGCONT)
		}
		return false
	})
	return pid
}

func goesOn(i *servertest.Instance, load *servertest.Load, enough int64) {
	before := load.Done()
	i.Until("requests are answered", func() bool { return load.Done() >= before+enough })
}

// turnsOf are the workers that have the turn, as the kernel tells it.
func turnsOf(t *testing.T, i *servertest.Instance) (pids []int) {
	t.Helper()
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		t.Fatal(err)
	}
	workers := i.Stats().Workers
	for line := range strings.Lines(string(locks)) { // 1: POSIX  ADVISORY  WRITE 4711 00:08:2 0 EOF
		f := strings.Fields(line)
		if len(f) < 5 || f[1] != "POSIX" {
			continue
		}
		pid, err := strconv.Atoi(f[4])
		if err != nil {
			continue // a line that tells who waits
		}
		if slices.ContainsFunc(workers, func(w stats.Worker) bool { return w.PID == pid }) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func mustKill(t *testing.T, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatalf("send %s to worker %d: %v", sig, pid, err)
	}
}
