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

// Workers that nobody asks anything go, all at once and by a drain, and nobody misses them.
func TestIdleWorkersGo(t *testing.T) {
	rule := Scaling{Least: 1, Initial: 3, Step: 1, Overload: 3, Alert: 33, Max: 50, Min: 25, Multiplier: 1000, Idle: 5 * lookEvery}
	plan := Plan{Workers: 4, Scaling: rule, Sockets: []Socket{tcp("127.0.0.1:0")}}
	i := start(t, plan, func(o *Options) { o.lookEvery = 20 * time.Millisecond })
	s := i.await("two of three are gone", func(s stats.Snapshot) bool {
		return s.Wanted == 1 && s.Ready == 1 && s.Workers[1].PID == 0 && s.Workers[2].PID == 0
	})
	if s.WantedLeast != 1 || s.WantedMost != 4 || s.Scalings != (stats.Scalings{Down: 1}) || len(s.Crashes) > 0 {
		t.Errorf("it says %d to %d workers, %+v, crashes %+v", s.WantedLeast, s.WantedMost, s.Scalings, s.Crashes)
	}
	for _, w := range s.Workers[1:] {
		if w.State != "cheap" || w.Status != stats.Cheap || w.LastExitReason != "resize" {
			t.Errorf("worker %d is %s, %s, because of %s", w.ID, w.State, w.Status, w.LastExitReason)
		}
	}
	ask(t, s.Sockets[0].Name)
	i.AddWorker()
	s = i.await("there may be five", func(s stats.Snapshot) bool { return s.WantedMost == 5 })
	if _, err := i.Reload(t.Context(), nil); err != nil || s.Wanted != 1 {
		t.Errorf("%d workers are wanted; reload: %v", s.Wanted, err)
	}
	if s := i.Snapshot(); s.Ready != 1 || s.Wanted != 1 || s.WantedMost != 4 {
		t.Errorf("after a reload %d of %d workers are ready, there may be %d", s.Ready, s.Wanted, s.WantedMost)
	}
}
