package master

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed17661985/ostler/stats"
)

// A worker whose memory is over the limit is killed, and the reason is counted.
func TestAWorkerThatEatsTheMachineIsKilled(t *testing.T) {
	plan := Plan{Workers: 1, Sockets: []Socket{tcp("127.0.0.1:0")}}
	i := start(t, plan)
	rss := i.Snapshot().Workers[0].RSS
	i.change(func(p *Plan) { p.EvilRSS = rss / 2 })
	if _, err := i.Reload(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	s := i.await("the worker is killed", func(s stats.Snapshot) bool { return s.Workers[0].Restarts.Memory > 0 })
	if len(s.Crashes) == 0 || s.Crashes[0].Reason != "memory" || s.Crashes[0].Exit != "was killed by signal 9 (killed)" {
		t.Errorf("it is reported as %+v", s.Crashes)
	}
}

// A process that is stopped cannot be asked for anything: it is found by its heart.
func TestAStoppedWorkerIsReplaced(t *testing.T) {
	plan := Plan{Workers: 1, Config: config(t, tinyConfig{Beat: true}), Sockets: []Socket{tcp("127.0.0.1:0")}}
	i := start(t, plan, func(o *Options) { o.lookEvery = 20 * time.Millisecond })
	pid := i.Snapshot().Workers[0].PID
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	s := i.await("it is replaced", func(s stats.Snapshot) bool { return s.Ready == 1 && s.Workers[0].PID != pid && len(s.Crashes) > 0 })
	if s.Workers[0].Restarts.Unresponsive == 0 || !strings.Contains(s.Workers[0].LastExit, "signal 9") {
		t.Errorf("it is counted as %+v, %s", s.Workers[0].Restarts, s.Workers[0].LastExit)
	}
}
