package server_test

import (
	"strings"
	"testing"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

const scales = `
module = "gate"
processes = 8
threads = 4
socket = "$DIR/uwsgi"
http-socket = "$DIR/http"
control = "$DIR/control"
queue-timeout = "1h"
cheaper = 1
cheaper-step = 4
cheaper-overload = 1
cheaper-busyness-multiplier = 1
[[mount]]
path = "/echo"
module = "echo"
[env]
GATE = "$DIR/gate"
`

// A wave of load has the workers it needs, and each of them comes and goes once. No request is
// lost, neither of the wave nor of what is asked all the time, and no total goes back.
func TestTheNumberOfWorkersFollowsAWave(t *testing.T) {
	t.Parallel()
	i := servertest.Start(t, scales, apps()...)
	if s := i.Stats(); s.Ready != 1 || s.Wanted != 1 || s.WantedLeast != 1 || s.WantedMost != 8 {
		t.Errorf("at the start %d of %d workers are ready, there may be %d to %d", s.Ready, s.Wanted, s.WantedLeast, s.WantedMost)
	}
	gate := servertest.NewGate(t, i.Dir)
	always := servertest.Run(t, 1, servertest.Echo(transport(i, "http-socket", "http"), "http://site/echo/"))
	watch := watchTotals(t, i)

	// Over uwsgi, where what finds no slot waits in the kernel for a worker that has one.
	rt := transport(i, "socket", "uwsgi")
	wave := servertest.Run(t, 40, func() error { return through(rt) })
	t.Cleanup(gate.Open) // or those who wait there would wait for ever after a failure
	i.WaitFor("all workers are busy", func(s stats.Snapshot) bool { return s.Ready == 8 && busy(s) == 32 })
	gate.Open()
	wave.MustLoseNothing()

	s := i.WaitFor("one worker is left", func(s stats.Snapshot) bool { return s.Wanted == 1 && processes(s) == 1 })
	if s.Scalings != (stats.Scalings{Up: 2, Down: 7}) {
		t.Errorf("the number of workers changed %+v, want each worker to come and go once\n%s", s.Scalings, i.Log())
	}
	for _, w := range s.Workers[1:] {
		if w.State != "cheap" || w.Status != stats.Cheap || w.Restarts.Resize != 1 || w.Requests == 0 {
			t.Errorf("worker %d is %s, %s, went %d times and has served %d requests", w.ID, w.State, w.Status, w.Restarts.Resize, w.Requests)
		}
	}
	if out, code := i.Command("status"); code != 0 || !strings.Contains(out, "1 of 1 workers ready (1 to 8 by load)\n") {
		t.Errorf("status: exit code %d\n%s", code, out)
	}
	before := always.Done()
	i.Until("requests flow", func() bool { return always.Done() > before+20 })
	always.MustLoseNothing()
	watch.MustLoseNothing()
}

// processes counts those that have not ended.
func processes(s stats.Snapshot) (n int) {
	for _, w := range s.Workers {
		if w.PID != 0 {
			n++
		}
	}
	return n
}
