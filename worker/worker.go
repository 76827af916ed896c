// Package worker is the life of one worker process: build the application, serve it,
// drain, end.
//
//	master ── Setup, Drain, Reopen, EOF ──▶ ┌─ life ────────────────────────────────┐
//	kill ──── SIGTERM ────────────────────▶ │ Booting ─▶ Serving ─▶ Draining ─▶ Done │
//	                                        └──┬──────────┬──────────────────────────┘
//	       ◀── Hello, Ready, Failed, Retire    │          └─▶ pool, one server per socket
//	       ◀── Metrics, when asked by Gather   │
//	                                           └─▶ state and heartbeat in the scoreboard
//
// It promises: what goes wrong while the application is built, a panic included, reaches
// the master in the application's own words; the application's context ends when the
// worker is asked to stop, and its Close is called after the last request, unless a handler
// does not even return when that was cut; a worker whose master is gone drains and ends on
// its own; whatever is still running at the drain's limit is named in the log before it is
// cut. Run and Serve, for a process without a master, lead the same life.
//
// It does not know which protocols there are, what a configuration contains, or whether a
// successor exists.
package worker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/seed17661985/ostler/stats/scoreboard"
	"github.com/seed17661985/ostler/worker/control"
	"github.com/seed17661985/ostler/worker/pool"
)

// Server speaks one protocol on a listener. *http.Server is one. Serve returns when the
// listener's Accept reports net.ErrClosed; connections in progress go on until Close.
type Server interface {
	Serve(net.Listener) error
	Close() error
}

// Service is a built application and how to serve it.
type Service struct {
	Handler http.Handler

	// NewServer makes the server of one socket around h, the Handler in its pool. It wires
	// p.ConnContext, and p.ConnState if connections are kept alive.
	NewServer func(s control.Socket, h http.Handler, p *pool.Pool) (Server, pool.GateOptions, error)

	Pool pool.Options // Page is set here; without an OnPanic panics go to the log

	// MaxRequests is how many requests a worker begins before it asks to be replaced, give or
	// take the tenth by which workers differ; zero: any number. ReloadOnException: a panic of
	// a handler is a reason too.
	MaxRequests       uint64
	ReloadOnException bool
	MinLifetime       time.Duration // it does not ask before

	// Startup is how long each app took to build, by its number on the page.
	Startup []time.Duration

	// UpgradeMercy is how long hijacked connections may stay open during a drain. Zero, and
	// what is too long for the limit of the drain, means until requests are told of its end.
	UpgradeMercy time.Duration

	// Metrics is what the application counts, see control.Metrics, in at most
	// control.MaxMetrics bytes. It returns when ctx ends at the latest, then with what there
	// is; data counts even if there is an error. Calls do not overlap. May be nil.
	Metrics func(ctx context.Context) (data []byte, partial bool, err error)

	Close  func() error // called after the drain; may be nil
	Reopen func() error // opens log files again; may be nil
}

// BuildFunc builds the application. ctx ends when the worker is asked to stop.
type BuildFunc func(ctx context.Context, s control.Setup) (Service, error)

// Options configure Run. All fields are required.
type Options struct {
	Conn    *control.Conn // closed by Run
	BuildID string        // what Hello calls this program
	Build   BuildFunc
	Log     func(control.Setup) hclog.Logger // how to log is part of the configuration; Run adds slot, gen and pid

	// The process's own, unless a test brings others.
	inherited inheritance
	signals   <-chan os.Signal
}

// inheritance is what the master gave to this process at its birth.
type inheritance interface {
	scoreboard() (*scoreboard.Page, error)
	listener(i int, s control.Socket) (net.Listener, error)
	done(sockets int)
	takeLog() error
}

// descriptors is the inheritance of a real worker, see package control.
type descriptors struct{}

func (descriptors) scoreboard() (*scoreboard.Page, error) {
	return scoreboard.Open(control.InheritScoreboard())
}

func (descriptors) listener(i int, s control.Socket) (net.Listener, error) {
	return control.InheritListener(i, s)
}

func (descriptors) done(sockets int) { control.CloseExecutable(sockets) }
func (descriptors) takeLog() error   { return control.TakeLog() }

// Run leads the life of a worker under a master. It returns nil after a complete drain,
// whoever asked for it. The end of ctx is a reason to drain.
func Run(ctx context.Context, o Options) error {
	if o.inherited == nil {
		o.inherited = descriptors{}
	}
	if o.signals == nil {
		terms, stop := catchSignals()
		defer stop()
		o.signals = terms
	}
	in := newInbox()
	var watchers sync.WaitGroup
	watchers.Go(func() { in.watchConn(o.Conn) })
	watchers.Go(func() { in.watchSignals(o.signals) })
	watchers.Go(func() { in.watchContext(ctx) })
	defer watchers.Wait()
	defer o.Conn.Close() // the master's EOF, and the end of watchConn
	defer in.close()

	if err := o.Conn.Send(control.Hello{Version: control.Version, PID: os.Getpid(), Build: o.BuildID}); err != nil {
		return fmt.Errorf("greet the master: %w", err)
	}
	setup, err := in.awaitSetup()
	if err != nil {
		return err
	}
	l := newLife(ctx, in, setup, o.Build, o.Log(setup).With("slot", setup.Slot, "gen", setup.Generation, "pid", os.Getpid()))
	l.report = func(m control.Message) { l.send(o.Conn, m) }
	l.questions = in.questions
	l.takeLog = o.inherited.takeLog
	if err := l.inherit(o.inherited); err != nil {
		return l.fail("setup", err)
	}
	return l.run()
}

// send does not fail: should the master be gone, the EOF says so to everybody who waits.
func (l *life) send(conn *control.Conn, m control.Message) {
	if err := conn.Send(m); err != nil {
		l.log.Warn("master not reached", "error", err)
	}
}

// inherit takes over the page and the listeners.
func (l *life) inherit(from inheritance) error {
	page, err := from.scoreboard()
	if err != nil {
		return err
	}
	l.page = page
	var errs []error
	for i, s := range l.setup.Sockets {
		ln, err := from.listener(i, s)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		l.listeners = append(l.listeners, ln)
	}
	from.done(len(l.setup.Sockets))
	return errors.Join(errs...)
}
