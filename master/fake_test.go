package master

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/seed17661985/ostler/stats/scoreboard"
	"github.com/seed17661985/ostler/worker/control"
)

// fakeLauncher launches goroutines.
type fakeLauncher struct {
	live func(*fakeProcess) Exit // what a process does; its return is its exit

	mu     sync.Mutex
	procs  []*fakeProcess
	closed int
}

// fakeProcess is both ends of a worker: the master's as a Process, the worker's as conn.
type fakeProcess struct {
	spec   Spec
	pid    int
	page   *scoreboard.Page
	master *control.Conn
	conn   *control.Conn
	killed chan struct{}
	exited chan struct{}
	kill   func()
	exit   Exit
	words  Words // set before it exits

	reopened atomic.Int32
}

func (l *fakeLauncher) Launch(s Spec) (Process, error) {
	page, file, err := scoreboard.Create(s.Threads, s.Apps)
	if err != nil {
		return nil, err
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	a, b := net.Pipe()
	p := &fakeProcess{
		spec: s, page: page, master: control.NewConn(a), conn: control.NewConn(b),
		killed: make(chan struct{}), exited: make(chan struct{}),
	}
	p.kill = sync.OnceFunc(func() { close(p.killed) })
	l.mu.Lock()
	defer l.mu.Unlock()
	l.procs = append(l.procs, p)
	p.pid = 1<<30 + len(l.procs)
	done := make(chan Exit, 1)
	go func() { done <- l.live(p) }()
	go func() {
		defer close(p.exited)
		defer b.Close()
		select {
		case p.exit = <-done:
		case <-p.killed:
			_ = b.Close()
			<-done // the dead do nothing more
			p.exit = Exit{Code: -1, Signal: syscall.SIGKILL}
		}
	}()
	return p, nil
}

func (l *fakeLauncher) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed++
	return nil
}

// latest returns the process that was launched last in a slot.
func (l *fakeLauncher) latest(slot int) *fakeProcess {
	l.mu.Lock()
	defer l.mu.Unlock()
	var p *fakeProcess
	for _, q := range l.procs {
		if q.spec.Slot == slot {
			p = q
		}
	}
	return p
}

func (l *fakeLauncher) released() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

func (p *fakeProcess) PID() int               { return p.pid }
func (p *fakeProcess) Conn() *control.Conn    { return p.master }
func (p *fakeProcess) Page() *scoreboard.Page { return p.page }
func (p *fakeProcess) Wait()                  { <-p.exited }
func (p *fakeProcess) Words() Words           { return p.words }
func (p *fakeProcess) Reap() Exit             { return p.exit }
func (p *fakeProcess) Close() error           { return p.master.Close() }

func (p *fakeProcess) Signal(s os.Signal) error {
	switch s {
	case syscall.SIGKILL:
		p.kill()
	case syscall.SIGQUIT: // it hangs too badly to hear that
	default:
		return errors.New("a fake knows SIGKILL and SIGQUIT only")
	}
	return nil
}

// boot says hello and takes the setup.
func (p *fakeProcess) boot() error {
	if err := p.conn.Send(control.Hello{Version: control.Version, PID: p.pid}); err != nil {
		return err
	}
	_, err := p.conn.Recv()
	return err
}

// good is a process that does what it should.
func good(p *fakeProcess) Exit {
	if p.boot() != nil || p.conn.Send(control.Ready{}) != nil {
		return Exit{Code: 1}
	}
	for {
		m, err := p.conn.Recv()
		if _, ok := m.(control.Reopen); ok {
			p.reopened.Add(1)
		}
		if _, ok := m.(control.Drain); ok || err == io.EOF {
			return Exit{}
		}
		if err != nil {
			return Exit{Code: 1}
		}
	}
}

// deaf never reads again once it is ready.
func deaf(p *fakeProcess) Exit {
	if p.boot() != nil || p.conn.Send(control.Ready{}) != nil {
		return Exit{Code: 1}
	}
	<-p.killed
	return Exit{Code: 1}
}

// run starts a master on fakes; the returned function waits for its end.
func run(ctx context.Context, t *testing.T, plan Plan, l *fakeLauncher, tune func(*Master)) (*Master, func() error) {
	t.Helper()
	plan.Threads = max(plan.Threads, 1)
	m := New(Options{
		Load: func(context.Context) (Plan, Launcher, error) { return plan, l, nil },
		Log:  hclog.NewNullLogger(),
	})
	if tune != nil {
		tune(m)
	}
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	return m, func() error { return <-ended }
}
