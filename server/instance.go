package server

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/seed17661985/ostler/master"
	"github.com/seed17661985/ostler/server/config"
	"github.com/seed17661985/ostler/stats/endpoint"
)

// lastAnswers is how long answers that are being written may take when the
// master ends.
const lastAnswers = time.Second

// instance is a running master on its site.
type instance struct {
	*site
	opts   Options // fixed
	master *master.Master

	// Owned by master's load goroutine; loads never overlap.
	first *master.Plan // nil once the first generation took it

	// Owned by the signal goroutine.
	asked bool // a stop was asked for

	// Written by the goroutine that waits for the start; read when it has ended.
	unannounced error

	metrics    *fleetMetrics
	watch      fileWatch
	succession succession
}

// runMaster is the life of a master. What is opened here is closed in the
// opposite order:
//
//  1. the site: log, and the pidfile that a second start stops at
//  2. control and stats sockets, which answer from the start
//  3. master.Run: application sockets, workers, reloads, until the last worker is gone
//  4. the commands that wait for the end are let go when everything is removed
func runMaster(ctx context.Context, s statement, o Options) (err error) {
	i, err := newInstance(s, o)
	if err != nil {
		return err
	}
	commands := &waiting{}
	if !o.exits {
		defer commands.release()
	}
	defer func() {
		closed := i.close() // it waits for the writer of unannounced
		err = errors.Join(err, closed, i.unannounced)
		i.systemd.close(err)
	}()
	ended := make(chan struct{})
	end := sync.OnceFunc(func() { close(ended) })
	defer end()
	if err := i.openControl(ctx, commands, ended); err != nil {
		return err
	}
	if err := i.openStats(ctx, i.master, i.metrics.gatherer(i.master)); err != nil {
		return err
	}
	watch, unwatch := context.WithCancel(ctx)
	succession := i.start(watch)
	defer func() {
		unwatch()
		<-succession // an attempt that is given up answers operators again, which close ends
	}()
	return i.master.Run(ctx)
}

// newInstance takes what a master needs of the machine, or takes it over.
func newInstance(s statement, o Options) (*instance, error) {
	i := &instance{opts: o, succession: newSuccession()}
	if o.legacy == nil {
		first, err := makePlan(s)
		if err != nil {
			return nil, &usageError{err}
		}
		i.first = &first
	}
	st, err := openSite(s.Config, o.legacy)
	if err != nil {
		return nil, err
	}
	i.site = st
	if os.Geteuid() == 0 && s.Config.UID == "" && o.legacy == nil {
		st.log.Warn("handlers run as root: set uid and gid")
	}
	if err := i.makeMaster(s.Config.File); err != nil {
		return nil, errors.Join(err, st.close())
	}
	st.systemd = newSystemd(o.getenv, s.Config, st.log, o.legacy != nil)
	return i, nil
}

func (i *instance) makeMaster(file string) (err error) {
	i.metrics = i.countedSoFar()
	options := master.Options{
		Load:     i.load,
		Log:      i.log,
		Vacuum:   i.cfg.Vacuum,
		Stdio:    i.stdio(),
		CrashDir: i.cfg.CrashDir,
		Progress: i.onProgress,
		Version:  Version, ConfigFile: file,
		Metrics: i.metrics.asStore(),
	}
	if i.left == nil {
		i.master = master.New(options)
		return nil
	}
	i.master, err = master.Resume(options, i.left.Master)
	return err
}

// countedSoFar is what applications have counted before this program.
func (i *instance) countedSoFar() *fleetMetrics {
	if i.left == nil {
		return newFleetMetrics(i.cfg)
	}
	f, err := restoreFleetMetrics(i.cfg, i.left.Metrics)
	if err != nil {
		i.log.Error("what the applications counted begins anew", "error", err)
	}
	return f
}

// onProgress is master.Options.Progress.
func (i *instance) onProgress(p master.Progress) {
	i.systemd.progress(p, i.master)
	if p.Outcome != nil && p.Outcome.Live() {
		i.succession.wish()
	}
}

// stdio is what the workers get as standard output and error.
func (i *instance) stdio() [2]*os.File {
	if i.out.path == "" {
		return [2]*os.File{os.Stdout, i.out.file}
	}
	return [2]*os.File{i.out.file, i.out.file}
}

// start begins the goroutines that turn the outside world into calls of the
// master. No program takes this one's place any more when succession is closed.
func (i *instance) start(ctx context.Context) (succession <-chan struct{}) {
	announced, over := make(chan struct{}), make(chan struct{})
	i.serving.Go(func() {
		defer close(announced)
		select {
		case <-ctx.Done():
		case <-i.master.Started():
			if i.left != nil {
				return // the program before did
			}
			if i.unannounced = i.announce(i.opts.Ready, i.master); i.unannounced != nil {
				i.master.Stop(false)
			}
		}
	})
	i.serving.Go(func() {
		defer close(over)
		<-announced
		i.succeed(ctx)
	})
	i.serving.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case s := <-i.opts.Signals: // nil if nobody sends any
				i.onSignal(s)
			}
		}
	})
	i.serving.Go(func() { i.systemd.watchdog(ctx, i.master.Ping) })
	files := newTouchFiles(i.cfg.TouchReload)
	if i.left != nil {
		files.inherit(i.left.Touched)
	}
	i.watch = fileWatch{files: files, changed: func(paths []string) {
		i.log.Info("reload asked for", "touched", paths)
		i.master.RequestReload()
	}}
	i.watch.begin(ctx, &i.serving)
	return over
}

// openControl binds and serves the control socket.
func (i *instance) openControl(ctx context.Context, commands *waiting, ended <-chan struct{}) error {
	addr := config.Address{Network: "unix", Addr: controlPath(i.cfg)}
	if i.cfg.Control.IsZero() {
		if err := privateFolder(filepath.Dir(addr.Addr)); err != nil {
			return err
		}
	}
	c := &ctl{reload: i.master.Reload, request: i.master.RequestReload, stop: i.master.Stop, snapshot: i.master.Snapshot, ended: ended, commands: commands, log: i.log}
	return i.open(ctx, "control", operatorSocket("control", addr, 0o600), func(ln net.Listener) (endFunc, func()) {
		srv := c.server()
		parting := endpoint.NewParting(srv)
		served := make(chan struct{})
		i.serving.Go(func() {
			defer close(served)
			_ = srv.Serve(ownersOnly{Listener: ln, log: i.log})
		})
		end := func(ctx context.Context) error {
			_ = ln.Close()
			<-served
			return endControl(ctx, parting, commands)
		}
		return end, func() { _ = srv.Close() }
	})
}

// endControl returns when the commands that wait for the end are answered.
func endControl(ctx context.Context, parting *endpoint.Parting, commands *waiting) error {
	err := parting.End(ctx)
	commands.answers.Wait() // each is one write into an empty socket
	return err
}

// reopenLogs follows logrotate: first the master, so that a file of the right
// owner is there, then the workers.
func (i *instance) reopenLogs() {
	if err := errors.Join(i.out.reopen(), makeAccessLog(i.cfg, i.owner)); err != nil {
		i.log.Error("log files not reopened, the old ones stay in use", "error", err)
	}
	i.master.ReopenLogs()
}

// logStatus is SIGUSR2: one line an operator can read in the log.
func (i *instance) logStatus() {
	s := i.master.Snapshot()
	var requests uint64
	var busy int
	for _, w := range s.Workers {
		requests += w.Requests
		busy += len(w.InFlight)
	}
	i.log.Info("status", "state", s.State, "generation", s.Generation, "workers", s.Wanted, "ready", s.Ready,
		"requests", requests, "busy", busy, "listen_queue", s.ListenQueue)
}
