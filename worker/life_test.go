package worker

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed17661985/ostler/worker/control"
)

func TestFirstSIGTERMAsksForASuccessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serving(t, &app{handler: hello})
		r.signals <- syscall.SIGTERM
		if m := expect[control.Retire](r); m.Reason != "SIGTERM" {
			t.Errorf("reason %q", m.Reason)
		}
		if _, body, err := r.given.listeners[0].get("/"); body != "hello" {
			t.Errorf("while the successor boots: %q %v", body, err)
		}
		r.signals <- syscall.SIGTERM
		if err := r.end(); err != nil {
			t.Error(err)
		}
	})
}

func TestSIGTERMWhileBootingIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &app{handler: hello}
		r := start(t, a.build)
		// In the inbox before the build can be over.
		r.signals <- syscall.SIGTERM
		synctest.Wait()
		if err := r.end(); err == nil {
			t.Error("SIGTERM before the setup was ignored")
		}

		slow := make(chan struct{})
		r = start(t, func(ctx context.Context, s control.Setup) (Service, error) {
			<-slow
			return a.build(ctx, s)
		})
		r.send(setupOfTests)
		synctest.Wait()
		r.signals <- syscall.SIGTERM
		synctest.Wait()
		close(slow)
		expect[control.Ready](r)
		expect[control.Retire](r)
		r.stop()
		if err := r.end(); err != nil {
			t.Error(err)
		}
	})
}

func TestDrainOfAnIdleWorkerIsQuick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serving(t, &app{handler: hello})
		began := time.Now()
		r.send(control.Drain{Timeout: time.Minute, Linger: time.Minute})
		if err := r.end(); err != nil || time.Since(began) != 0 {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

func TestCloseOfTheApplication(t *testing.T) {
	tests := map[string]struct {
		close func() error
		words string
	}{
		"error":  {func() error { return errors.New("flush the queue: disk full") }, "close the application: flush the queue: disk full"},
		"panic":  {func() error { panic("deliberate") }, "panic: deliberate"},
		"goexit": {func() error { runtime.Goexit(); return nil }, "runtime.Goexit"},
		"hangs":  {nil, "did not return in time"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				if test.close == nil {
					test.close = func() error { <-release; return nil }
				}
				r := serving(t, &app{handler: hello, close: test.close})
				began := time.Now()
				r.send(control.Drain{Timeout: 10 * time.Second})
				if err := r.end(); err == nil || !strings.Contains(err.Error(), test.words) {
					t.Errorf("Run: %v", err)
				}
				if took := time.Since(began); took > 10*time.Second {
					t.Errorf("took %s", took)
				}
				close(release)
			})
		})
	}
}

func TestReopen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reopened := make(chan struct{}, 2)
		slow := make(chan struct{})
		a := &app{handler: hello, reopen: func() error { reopened <- struct{}{}; return errBroken }}
		r := start(t, func(ctx context.Context, s control.Setup) (Service, error) {
			<-slow
			return a.build(ctx, s)
		})
		r.send(setupOfTests)
		r.send(control.Reopen{}) // the build may have opened the old file already
		synctest.Wait()
		close(slow)
		expect[control.Ready](r)
		<-reopened
		r.send(control.Reopen{})
		<-reopened
		r.conn.Close()
		if err := r.end(); err != nil {
			t.Error(err)
		}
		r.logged("logs not reopened")
	})
}

func TestServerThatGivesUpIsReportedAndTheOthersServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serving(t, &app{handler: hello})
		r.given.listeners[0].broken <- errBroken
		if m := expect[control.Retire](r); !strings.Contains(m.Reason, "serve http socket web: broken") {
			t.Errorf("reason %q", m.Reason)
		}
		if _, body, err := r.given.listeners[1].get("/"); body != "hello" {
			t.Errorf("the other socket: %q %v", body, err)
		}
		r.send(control.Drain{Timeout: time.Second})
		if err := r.end(); err != nil {
			t.Error(err)
		}
	})
}

func TestSecondSetupIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serving(t, &app{handler: hello})
		r.send(setupOfTests)
		synctest.Wait()
		r.logged("second setup refused")
		r.stop()
		if err := r.end(); err != nil {
			t.Error(err)
		}
	})
}

func TestEveryStateHasAName(t *testing.T) {
	for s := Booting; s <= Done; s++ {
		if strings.Contains(s.String(), "State(") {
			t.Errorf("state %d has no name", uint8(s))
		}
	}
	for k := setupCame; k <= cutAsked; k++ {
		if strings.Contains(k.String(), "eventKind(") {
			t.Errorf("event %d has no name", uint8(k))
		}
	}
	if State(0).String() != "State(0)" || (Done+1).String() != "State(5)" {
		t.Error("an unknown state has a name")
	}
}

func TestIllegalMovesAreReported(t *testing.T) {
	legal := map[[2]State]bool{{Booting, Serving}: true, {Booting, Done}: true, {Serving, Draining}: true, {Draining, Done}: true}
	for from := Booting; from <= Done; from++ {
		for to := Booting; to <= Done; to++ {
			log := &logs{}
			l := &life{state: from, log: log.logger()}
			err := l.move(to)
			if ok := legal[[2]State{from, to}]; ok != (err == nil) || ok != (l.state == to && from != to) {
				t.Errorf("%s to %s: %v, now %s", from, to, err, l.state)
			} else if !ok && !strings.Contains(log.String(), "illegal state change") {
				t.Errorf("%s to %s was absorbed", from, to)
			}
		}
	}
}

func TestWorkerSurvivesTheSignalsOfItsTerminal(t *testing.T) {
	terms, stop := catchSignals()
	defer stop()
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGTERM} {
		if err := syscall.Kill(syscall.Getpid(), s); err != nil {
			t.Fatal(err)
		}
	}
	if s := <-terms; s != syscall.SIGTERM {
		t.Errorf("got %s", s)
	}
}
