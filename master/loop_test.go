package master

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/seed17661985/ostler/stats"
	"github.com/seed17661985/ostler/worker/control"
)

func TestAReloadReplacesEveryWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		l := &fakeLauncher{live: good}
		m, end := run(ctx, t, Plan{Workers: 3, Build: "one"}, l, nil)
		<-m.Started()
		if s := m.Snapshot(); s.State != "serving" || s.Generation != 1 || s.Ready != 3 || s.Build != "one" {
			t.Errorf("after the start: %s, generation %d, %d ready, build %s", s.State, s.Generation, s.Ready, s.Build)
		}
		o, err := m.Reload(ctx, nil)
		if err != nil || !o.Live() || o.Generation != 2 {
			t.Errorf("reload: %+v, %v", o, err)
		}
		// No waiting: the answer must not come before what it says can be seen.
		if s := m.Snapshot(); s.State != "serving" || s.Generation != 2 || s.Ready != 3 {
			t.Errorf("after the reload: %s, generation %d, %d ready", s.State, s.Generation, s.Ready)
		}
		want := stats.LastReload{Generation: 2, Build: "one", Step: "live", OK: 1, Began: o.Began.Unix(), TookMS: o.Took.Milliseconds()}
		if last := m.Snapshot().LastReload; last == nil || *last != want {
			t.Errorf("last reload %+v, want %+v", last, want)
		}
		synctest.Wait()
		if n := l.released(); n != 1 {
			t.Errorf("%d launchers were closed, want the one of generation 1", n)
		}
		cancel()
		if err := end(); err != nil {
			t.Error(err)
		}
		if m.State() != Stopped || l.closed != 2 {
			t.Errorf("it is %s with %d launchers closed", m.State(), l.closed)
		}
	})
}

func TestARejectedReloadSaysWhyAndTouchesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{live: func(p *fakeProcess) Exit {
			if p.spec.Generation == 1 {
				return good(p)
			}
			_ = p.boot()
			_ = p.conn.Send(control.Failed{Stage: "build", Err: "no such table: users"})
			return Exit{Code: 1}
		}}
		m, end := run(t.Context(), t, Plan{Workers: 2}, l, nil)
		<-m.Started()
		before := m.Snapshot().Workers
		o, err := m.Reload(t.Context(), nil)
		var rejected *RejectedError
		if !errors.As(err, &rejected) || o.Step != StepCanary || o.Reason != "no such table: users" {
			t.Errorf("reload: %+v, %v", o, err)
		}
		if last := m.Snapshot().LastReload; last == nil || last.OK != 0 || last.Step != "canary" || last.Reason != o.Reason {
			t.Errorf("last reload %+v", last)
		}
		synctest.Wait()
		for i, w := range m.Snapshot().Workers {
			if w.PID != before[i].PID || w.Accepting != 1 {
				t.Errorf("worker %d is %d, was %d", w.ID, w.PID, before[i].PID)
			}
		}
		m.Stop(false)
		if err := end(); err != nil {
			t.Error(err)
		}
	})
}

func TestTheReasonIsHeardBeforeTheExit(t *testing.T) {
	for range 50 {
		l := &fakeLauncher{live: func(p *fakeProcess) Exit {
			_ = p.boot()
			_ = p.conn.Send(control.Failed{Stage: "build", Err: "its own words"})
			return Exit{Code: 1}
		}}
		_, end := run(t.Context(), t, Plan{Workers: 1}, l, nil)
		var start *StartError
		if err := end(); !errors.As(err, &start) || err.Error() != "its own words" || start.Stage != "build" {
			t.Fatalf("run ends with %v", err)
		}
	}
}

func TestAStartThatHangsEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{live: func(p *fakeProcess) Exit {
			_ = p.boot()
			<-p.killed
			return Exit{Code: 1}
		}}
		began := time.Now()
		_, end := run(t.Context(), t, Plan{Workers: 2, StartTimeout: 7 * time.Second}, l, nil)
		err := end()
		if err == nil || !strings.Contains(err.Error(), "not ready within 7s (start-timeout)") {
			t.Errorf("run ends with %v", err)
		}
		if took := time.Since(began); took < 7*time.Second+quitGrace || took > 8*time.Second+quitGrace { // it does not hear SIGQUIT
			t.Errorf("it took %s", took)
		}
	})
}

func TestAWorkerThatDoesNotReadIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{live: deaf}
		m, end := run(t.Context(), t, Plan{Workers: 2, Mercy: 10 * time.Second}, l, nil)
		<-m.Started()
		began := time.Now()
		m.Stop(false)
		if err := end(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 10*time.Second+drainSlack {
			t.Errorf("the stop took %s", took)
		}
		if exit := m.Snapshot().Workers[0].LastExit; exit != "was killed by signal 9 (killed)" {
			t.Errorf("it %s", exit)
		}
	})
}

func TestOnlyOneReloadRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		l := &fakeLauncher{live: func(p *fakeProcess) Exit {
			if p.spec.Generation == 2 {
				<-release
			}
			return good(p)
		}}
		m, end := run(t.Context(), t, Plan{Workers: 1}, l, nil)
		<-m.Started()
		m.RequestReload()
		synctest.Wait()
		if _, err := m.Reload(t.Context(), nil); err != ErrReloadRunning {
			t.Errorf("a second reload: %v", err)
		}
		for range 5 {
			m.RequestReload()
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		close(release)
		synctest.Wait()
		if g := m.Snapshot().Generation; g != 3 {
			t.Errorf("five requests during a reload led to generation %d, want 3", g)
		}
		m.Stop(false)
		if err := end(); err != nil {
			t.Error(err)
		}
		if _, err := m.Reload(short, nil); err != errStopping {
			t.Errorf("a reload after the end: %v", err)
		}
	})
}

func TestTheEndOfACallersPatienceDoesNotEndTheReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{live: func(p *fakeProcess) Exit {
			if p.spec.Generation == 2 {
				<-time.After(5 * time.Second) // fake time: a slow New
			}
			return good(p)
		}}
		m, end := run(t.Context(), t, Plan{Workers: 1}, l, nil)
		<-m.Started()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := m.Reload(short, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("reload: %v", err)
		}
		<-time.After(5 * time.Second)
		synctest.Wait()
		if g := m.Snapshot().Generation; g != 2 {
			t.Errorf("generation %d, want 2", g)
		}
		m.Stop(true)
		if err := end(); err != nil {
			t.Error(err)
		}
	})
}

func TestAStopEndsALoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		l := &fakeLauncher{live: good}
		m, end := run(ctx, t, Plan{}, l, func(m *Master) {
			m.options.Load = func(ctx context.Context) (Plan, Launcher, error) {
				<-ctx.Done()
				return Plan{}, nil, ctx.Err()
			}
		})
		synctest.Wait()
		cancel()
		if err := end(); err != nil || m.State() != Stopped {
			t.Errorf("run ends %s with %v", m.State(), err)
		}
	})
}

func TestAPlanThatMakesNoSenseIsRefused(t *testing.T) {
	l := &fakeLauncher{live: good}
	_, end := run(t.Context(), t, Plan{Workers: -1, Sockets: []Socket{tcp("127.0.0.1:0"), tcp("127.0.0.1:0")}}, l, nil)
	err := end()
	for _, want := range []string{"-1 workers", "127.0.0.1:0 is there twice"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	if l.closed != 1 {
		t.Error("the launcher of a refused plan was not closed")
	}
}

func TestWorkersAreAddedAndRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{live: good}
		m, end := run(t.Context(), t, Plan{Workers: 1}, l, nil)
		<-m.Started()
		m.AddWorker()
		synctest.Wait()
		if s := m.Snapshot(); s.Ready != 2 {
			t.Errorf("%d ready, want 2", s.Ready)
		}
		row := l.latest(2).page.Slot(0)
		row.Begin(1, time.Now(), "GET", "/", "")
		row.End(0, 200, time.Millisecond)
		m.RemoveWorker()
		m.RemoveWorker() // the last one stays
		synctest.Wait()
		s := m.Snapshot()
		if s.Ready != 1 || len(s.Workers) != 2 || s.Workers[1].State != "cheap" || s.Workers[1].Status != "cheap" {
			t.Errorf("%d ready, workers %+v", s.Ready, s.Workers)
		}
		if s.Workers[1].Requests != 1 {
			t.Errorf("the removed worker shows %d requests, want its 1", s.Workers[1].Requests)
		}
		m.Stop(false)
		if err := end(); err != nil {
			t.Error(err)
		}
	})
}

// TestNothingEverGoesBackwards reads snapshots as fast as it can while workers that count
// are killed and reloaded.
func TestNothingEverGoesBackwards(t *testing.T) {
	l := &fakeLauncher{live: func(p *fakeProcess) Exit {
		stop := make(chan struct{})
		var counting sync.WaitGroup
		counting.Go(func() {
			row := p.page.Slot(0)
			for id := uint64(1); ; id++ {
				select {
				case <-stop:
					return
				case <-p.killed:
					return
				default:
					row.Begin(id, time.Now(), "GET", "/", "")
					row.End(0, 200, time.Microsecond)
				}
			}
		})
		exit := good(p)
		close(stop)
		counting.Wait()
		return exit
	}}
	m, end := run(t.Context(), t, Plan{Workers: 2}, l, func(m *Master) {
		m.backoff.base, m.backoff.limit = time.Microsecond, time.Millisecond
	})
	within(t, "the start", m.Started())
	watched := make(chan string, 1)
	stop := make(chan struct{})
	go func() { watched <- watchTotals(m, stop) }()
	for i := range 40 {
		if i%4 == 0 {
			if _, err := m.Reload(t.Context(), nil); err != nil {
				t.Error(err)
			}
			continue
		}
		p := l.latest(1 + i%2)
		p.kill()
		<-p.exited
	}
	close(stop)
	if fault := within(t, "the watcher", watched); fault != "" {
		t.Error(fault)
	}
	m.Stop(false)
	if err := end(); err != nil {
		t.Error(err)
	}
	total, shown := uint64(0), uint64(0)
	for _, p := range l.procs {
		total += p.page.Totals().Requests
	}
	for _, w := range m.Snapshot().Workers {
		shown += w.Requests
	}
	if total != shown || total == 0 {
		t.Errorf("%d requests were counted, %d are shown", total, shown)
	}
}

func watchTotals(m *Master, stop <-chan struct{}) string {
	last := make(map[int][3]uint64)
	for {
		select {
		case <-stop:
			return ""
		default:
		}
		for _, w := range m.Snapshot().Workers {
			now := [3]uint64{w.Requests, w.StatusCodes.Successful, w.Cores[0].Requests}
			for i := range now {
				if now[i] < last[w.ID][i] {
					return "worker went backwards"
				}
			}
			last[w.ID] = now
		}
	}
}

func TestABacklogThatWasCutIsLogged(t *testing.T) {
	var log bytes.Buffer
	s := tcp("127.0.0.1:0")
	s.Backlog = 1 << 30
	m, end := run(t.Context(), t, Plan{Workers: 1, Sockets: []Socket{s}}, &fakeLauncher{live: good}, func(m *Master) {
		m.options.Log = hclog.New(&hclog.LoggerOptions{Output: &log})
	})
	within(t, "the start", m.Started())
	m.Stop(true)
	if err := end(); err != nil {
		t.Error(err)
	}
	if cut := strings.Contains(log.String(), "listen is above the kernel's limit"); cut != (backlogLimit() > 0) {
		t.Errorf("the log is\n%s", log.String())
	}
}
