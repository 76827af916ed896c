package server_test

import (
	"strings"
	"syscall"
	"testing"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

const unsupervised = `
master = false
module = "gate"
threads = 2
http-socket = "$DIR/http"
socket = "$DIR/uwsgi"
[env]
GATE = "$DIR/gate"
`

// master = false serves in the process itself, with the same sockets, limits,
// numbers and drain.
func TestSingleProcess(t *testing.T) {
	i := servertest.Launch(t, unsupervised)
	gate := servertest.NewGate(t, i.Dir)
	running := inside(t, i, gate, i.HTTP("http").Transport)
	also := inside(t, i, gate, i.UWSGI("uwsgi"))
	s := i.Stats()
	if len(s.Workers) != 1 || s.Workers[0].PID != i.PID() || busy(s) != 2 {
		t.Errorf("stats show %d workers, pid %d, %d busy; want this one process with both slots busy", len(s.Workers), s.Workers[0].PID, busy(s))
	}
	if got := children(t, i.PID()); len(got) != 0 {
		t.Errorf("a process without a master has children: %v", got)
	}
	i.Signal(syscall.SIGHUP) // survived, and said so
	i.Until("the log says that there is nothing to reload", func() bool { return strings.Contains(i.Log(), "SIGHUP") })
	i.Signal(syscall.SIGTERM)
	i.WaitFor("it drains", func(s stats.Snapshot) bool { return s.State == "draining" })
	gate.Open()
	for _, answer := range []<-chan error{running, also} {
		if err := <-answer; err != nil {
			t.Errorf("a running request was lost: %v", err)
		}
	}
	if err := i.Wait(); err != nil {
		t.Errorf("it ended with %v, want exit code 0\n%s", err, i.Log())
	}
}

// The second TERM cuts, which is what was asked for: exit code 0, as of a master.
func TestSingleProcessIsCutBySecondTerm(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, `worker-reload-mercy = "10m"`+unsupervised) // longer than the test would wait
	gate := servertest.NewGate(t, i.Dir)
	answer := inside(t, i, gate, i.UWSGI("uwsgi"))
	i.Signal(syscall.SIGTERM)
	i.WaitFor("it drains", func(s stats.Snapshot) bool { return s.State == "draining" })
	i.Signal(syscall.SIGTERM)
	if err := i.Wait(); err != nil {
		t.Errorf("it ended with %v, want exit code 0", err)
	}
	if err := <-answer; err == nil {
		t.Error("a request whose handler never returned was answered")
	}
}
