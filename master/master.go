// Package master decides what happens to worker processes, and does it.
//
//	signals, timers, frames, exits ──▶ mailbox ──▶ loop ──▶ machine.step(now, event)
//	                                                 ▲             │
//	                  spawn, drain, kill, arm, log ◀─┴── actions ◀─┘
//
// It promises: a generation that serves is not touched before another one serves in its
// place; a worker that crashes is replaced, soon or later but always, once any worker has
// ever been ready; nothing is started while it stops; every process is reaped; a socket
// that somebody else listens on is never taken; and no number in Snapshot ever goes
// backwards. It does not know what a configuration contains, what is served, or where it
// is logged, and it runs no code of the application.
package master

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Options says what to run.
type Options struct {
	// Load gives the plan and the program of the next generation. It is called for the
	// start and for each reload, on its own goroutine; its context ends when nobody
	// wants the answer any more. The launcher is closed when the generation is over.
	Load func(context.Context) (Plan, Launcher, error)

	// Log takes what an operator cares about. Nil means nowhere.
	Log hclog.Logger

	// Vacuum removes unix sockets when they are not served any more.
	Vacuum bool

	// Stdio is what workers get as descriptors 1 and 2. Nil means the master's own.
	Stdio [2]*os.File

	// CrashDir is where a report of each crash is written. Empty: nowhere.
	CrashDir string

	// Progress is told what the master comes to, in order and from one goroutine. It may
	// take its time. Nil: nobody is told.
	Progress func(Progress)

	// Version and ConfigFile are shown in Snapshot.
	Version, ConfigFile string

	// Metrics takes what the applications count. Nil: they are not asked.
	Metrics MetricsStore

	lookEvery time.Duration    // zero: lookEvery, the usual
	survey    func() resources // nil: the machine's
}

// Master supervises the workers of one application.
type Master struct {
	options Options          // fixed
	now     func() time.Time // fixed
	backoff backoff          // fixed
	mail    *mailbox
	metrics *metrics      // nil if nobody asked for any
	started chan struct{} // closed by loop
	done    chan struct{} // closed by Run

	legacy *loopLegacy // nil unless another program was the master of this process before

	running atomic.Bool
	callers atomic.Uint64
	view    atomic.Pointer[view] // written by loop, read by anyone

	imbalance atomic.Int64 // likewise; percent
}

// New returns a master that does nothing yet.
func New(o Options) *Master {
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	if o.survey == nil {
		o.survey = survey
	}
	for i, own := range [...]*os.File{os.Stdout, os.Stderr} {
		if o.Stdio[i] == nil {
			o.Stdio[i] = own
		}
	}
	m := &Master{
		options: o,
		now:     time.Now,
		backoff: defaultBackoff(randomly),
		mail:    newMailbox(),
		started: make(chan struct{}),
		done:    make(chan struct{}),
	}
	m.view.Store(&view{state: Starting})
	m.imbalance.Store(even)
	if o.Metrics != nil {
		m.metrics = newMetrics(o.Metrics, m.mail)
	}
	return m
}

// Run supervises until ctx ends, which is a stop in order, or Stop is called. When it
// returns no process is left and all sockets are closed. The error is nil unless the
// start did not succeed: a StartError when no worker became ready, or what Load or a
// socket had to say.
func (m *Master) Run(ctx context.Context) error {
	if !m.running.CompareAndSwap(false, true) {
		return errors.New("this master was run before")
	}
	defer close(m.done)
	return newLoop(ctx, m).run(ctx)
}

// Started is closed when every worker is ready, or is known to be in trouble while
// another serves. It stays open if the start does not succeed.
func (m *Master) Started() <-chan struct{} { return m.started }

// Reload brings up a new generation beside the one that serves and returns how that
// ended. The error is nil only if the new generation serves: ErrReloadRunning if a reload
// ran already, a RejectedError if the new one could not start. progress is told of each
// step the reload comes to; nil tells nobody. The end of ctx ends the waiting, not the
// reload.
func (m *Master) Reload(ctx context.Context, progress func(Progress)) (Outcome, error) {
	reply, steps := make(chan answer, 1), make(chan Progress, StepLive)
	if !m.mail.post(note{ev: evReload{caller: m.callers.Add(1)}, caller: caller{reply, steps}}) {
		return Outcome{}, errStopping
	}
	if progress == nil {
		progress = func(Progress) {}
	}
	for {
		select {
		case p := <-steps:
			progress(p)
		case a := <-reply:
			for len(steps) > 0 {
				progress(<-steps)
			}
			return a.outcome, a.err
		case <-ctx.Done():
			return Outcome{}, ctx.Err()
		}
	}
}

// RequestReload asks for a reload without waiting for it. While one runs, one more is
// remembered, however often it is asked for.
func (m *Master) RequestReload() { m.mail.post(note{ev: evReload{}}) }

// Stop ends all workers and then Run: after their drain, or at once.
func (m *Master) Stop(now bool) { m.mail.post(note{ev: evStop{now: now}}) }

// AddWorker starts one worker more, or with Scaling allows one more. The next reload takes
// the number of its plan again.
func (m *Master) AddWorker() { m.mail.post(note{ev: evAdd{}}) }

// RemoveWorker drains the last worker, or with Scaling allows one less. The last one of all
// stays, and so do Scaling.Least.
func (m *Master) RemoveWorker() { m.mail.post(note{ev: evRemove{}}) }

// ReopenLogs tells all workers to open their log files again.
func (m *Master) ReopenLogs() { m.mail.post(note{ev: evReopen{}}) }

// State is what the master is doing.
func (m *Master) State() State { return m.latest().state }
