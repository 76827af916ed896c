package master

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed17661985/ostler/worker/control"
)

// slowConn is a connection whose data arrives late.
type slowConn struct {
	net.Conn
	after time.Duration
}

func (c *slowConn) Read(b []byte) (int, error) {
	<-time.After(c.after)
	return c.Conn.Read(b)
}

// dead is a process that was reaped before anybody listened to what it had said.
type dead struct{ fakeProcess }

func (d *dead) Wait() Exit { return Exit{Code: 1} }

func TestAnExitDoesNotOvertakeItsReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		p := &dead{fakeProcess{master: control.NewConn(&slowConn{a, lastWords / 4})}}
		go func() {
			_ = control.NewConn(b).Send(control.Failed{Stage: "build", Err: "its own words"})
			_ = b.Close()
		}()
		mail := newMailbox()
		supervise(mail, 1, p, func(control.Metrics) {})
		notes := mail.close()
		if len(notes) != 3 {
			t.Fatalf("%d notes: %+v", len(notes), notes)
		}
		if f, ok := notes[0].ev.(evFailed); !ok || f.err != "its own words" {
			t.Errorf("the first is %+v", notes[0].ev)
		}
		if _, ok := notes[1].ev.(evClosed); !ok {
			t.Errorf("the second is %+v", notes[1].ev)
		}
		if e, ok := notes[2].ev.(evExited); !ok || e.exit.Code != 1 {
			t.Errorf("the third is %+v", notes[2].ev)
		}
	})
}

func TestAGrandchildThatKeepsTheConnectionHidesNoExit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		defer b.Close() // it never speaks and never closes
		mail := newMailbox()
		supervise(mail, 1, &dead{fakeProcess{master: control.NewConn(a)}}, func(control.Metrics) {})
		notes := mail.close()
		if _, ok := notes[len(notes)-1].ev.(evExited); !ok {
			t.Errorf("the last is %+v", notes[len(notes)-1].ev)
		}
	})
}

func TestAnAnswerComesAfterWhatItSaysCanBeSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, end := run(t.Context(), t, Plan{Workers: 1}, &fakeLauncher{live: good}, nil)
		<-m.Started()
		reply := make(chan answer) // no room: the loop waits while we look
		m.mail.post(note{ev: evReload{caller: 1}, answer: reply})
		synctest.Wait()
		if s := m.Snapshot(); s.Generation != 2 {
			t.Errorf("generation %d is shown when the answer for 2 is given", s.Generation)
		}
		if m.Snapshot().LastReload == nil {
			t.Error("the outcome is not shown when it is given")
		}
		<-reply
		m.Stop(false)
		if err := end(); err != nil {
			t.Error(err)
		}
	})
}

// TestASocketIsNotClosedUnderALoad: the generation that has it ends while another one, for
// which it was counted on, is being loaded.
func TestASocketIsNotClosedUnderALoad(t *testing.T) {
	dir := t.TempDir()
	old, other := unixSocket(filepath.Join(dir, "old")), unixSocket(filepath.Join(dir, "other"))
	drain, loading, load := make(chan struct{}), make(chan struct{}), make(chan struct{})
	l := &fakeLauncher{live: func(p *fakeProcess) Exit {
		exit := good(p)
		if p.spec.Generation == 1 {
			<-drain
		}
		return exit
	}}
	var loads atomic.Int32
	m := New(Options{Vacuum: true, Load: func(context.Context) (Plan, Launcher, error) {
		plan := Plan{Workers: 1, Threads: 1, Sockets: []Socket{old}}
		switch loads.Add(1) {
		case 2:
			plan.Sockets[0] = other
		case 3:
			close(loading)
			<-load
		}
		return plan, l, nil
	}})
	ended := make(chan error, 1)
	go func() { ended <- m.Run(t.Context()) }()
	within(t, "the start", m.Started())
	if _, err := m.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.RequestReload()
	within(t, "the load", loading)
	first := l.first()
	close(drain)
	within(t, "the end of generation 1", first.exited)
	until(t, "generation 1 is released", func() bool { return l.released() == 1 })
	close(load)
	until(t, "generation 3 serves", func() bool { return m.Snapshot().Generation == 3 })
	if fds := l.latest(1).spec.Sockets; len(fds) != 1 || fds[0] < 0 {
		t.Errorf("generation 3 was launched with descriptors %v", fds)
	}
	c, err := net.Dial("unix", old.Name)
	if err != nil {
		t.Errorf("its socket does not listen: %v", err)
	} else {
		_ = c.Close()
	}
	m.Stop(true)
	if err := within(t, "the end", ended); err != nil {
		t.Error(err)
	}
}

// TestWhatWasBoundForNothingIsRemoved holds without vacuum, too: a rejected plan leaves
// everything as it was.
func TestWhatWasBoundForNothingIsRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	var loads atomic.Int32
	l := &fakeLauncher{live: func(p *fakeProcess) Exit {
		if p.spec.Generation == 2 {
			return Exit{Code: 1}
		}
		return good(p)
	}}
	m := New(Options{Load: func(context.Context) (Plan, Launcher, error) {
		plan := Plan{Workers: 1, Threads: 1}
		if loads.Add(1) == 2 {
			plan.Sockets = []Socket{unixSocket(path)}
		}
		return plan, l, nil
	}})
	ended := make(chan error, 1)
	go func() { ended <- m.Run(t.Context()) }()
	within(t, "the start", m.Started())
	var rejected *RejectedError
	if _, err := m.Reload(t.Context()); !errors.As(err, &rejected) {
		t.Errorf("reload: %v", err)
	}
	m.Stop(false)
	if err := within(t, "the end", ended); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its socket is still there: %v", err)
	}
}

// TestAWriterThatCannotWriteEndsTheConnection: the worker is stopped, or wedged.
func TestAWriterThatCannotWriteEndsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		defer b.Close()
		conn, out := control.NewConn(a), make(chan control.Message, outbox)
		r := &running{out: out}
		for range 3 * outbox { // none of these may block
			r.say(control.Reopen{})
		}
		close(out)
		go write(conn, out)
		if _, err := conn.Recv(); err == nil || err == io.EOF {
			t.Errorf("the connection ends with %v", err)
		}
	})
}

func TestWorkersAreToldToReopenTheirLogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{live: good}
		m, end := run(t.Context(), t, Plan{Workers: 2}, l, nil)
		<-m.Started()
		if m.Snapshot().LastReload != nil {
			t.Error("there is a last reload before the first")
		}
		m.ReopenLogs()
		synctest.Wait()
		for slot := 1; slot <= 2; slot++ {
			if n := l.latest(slot).reopened.Load(); n != 1 {
				t.Errorf("worker %d was told %d times", slot, n)
			}
		}
		m.Stop(false)
		if err := end(); err != nil {
			t.Error(err)
		}
	})
}

func TestAMasterRunsOnce(t *testing.T) {
	m, end := run(t.Context(), t, Plan{Workers: 1}, &fakeLauncher{live: good}, nil)
	within(t, "the start", m.Started())
	if err := m.Run(t.Context()); err == nil {
		t.Error("it ran a second time")
	}
	m.Stop(true)
	if err := end(); err != nil {
		t.Error(err)
	}
}
