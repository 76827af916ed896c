package server

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/seed17661985/ostler/master"
	"github.com/seed17661985/ostler/server/config"
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
}

// runMaster is the life of a master. What is opened here is closed in the
// opposite order:
//
//  1. the site: log, and the pidfile that a second start stops at
//  2. control and stats sockets, which answer from the start
//  3. master.Run: application sockets, workers, reloads, until the last worker is gone
//  4. the commands that wait for the end are let go when everything is removed
func runMaster(ctx context.Context, s statement, o Options) (err error) {
	first, err := makePlan(s)
	if err != nil {
		return &usageError{err}
	}
	st, err := openSite(s.Config)
	if err != nil {
		return err
	}
	if os.Geteuid() == 0 && s.Config.UID == "" {
		st.log.Warn("handlers run as root: set uid and gid")
	}
	commands := &waiting{}
	if !o.exits {
		defer commands.release()
	}
	i := &instance{site: st, opts: o, first: &first}
	defer func() {
		closed := st.close() // it waits for the writer of unannounced
		err = errors.Join(err, closed, i.unannounced)
	}()
	counted := newFleetMetrics(i.cfg)
	i.master = master.New(master.Options{
		Load:    i.load,
		Log:     i.log,
		Vacuum:  i.cfg.Vacuum,
		Stdio:   i.stdio(),
		Version: Version, ConfigFile: s.Config.File,
		Metrics: counted.asStore(),
	})
	ended := make(chan struct{})
	closeControl, err := i.openControl(ctx, commands, ended)
	if err != nil {
		return err
	}
	defer func() {
		close(ended)
		closeControl()
	}()
	if err := i.openStats(ctx, i.master, counted.gatherer(i.master)); err != nil {
		return err
	}
	watch, unwatch := context.WithCancel(ctx)
	defer unwatch()
	i.watch(watch)
	return i.master.Run(ctx)
}

// stdio is what the workers get as standard output and error.
func (i *instance) stdio() [2]*os.File {
	if i.out.path == "" {
		return [2]*os.File{os.Stdout, i.out.file}
	}
	return [2]*os.File{i.out.file, i.out.file}
}

// watch starts the goroutines that turn the outside world into calls of the
// master.
func (i *instance) watch(ctx context.Context) {
	i.serving.Go(func() {
		select {
		case <-ctx.Done():
		case <-i.master.Started():
			if i.unannounced = i.announce(i.opts.Ready); i.unannounced != nil {
				i.master.Stop(false)
			}
		}
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
	if len(i.cfg.TouchReload) == 0 {
		return
	}
	files := newTouchFiles(i.cfg.TouchReload)
	i.serving.Go(func() {
		files.watch(ctx, func(paths []string) {
			i.log.Info("reload asked for", "touched", paths)
			i.master.RequestReload()
		})
	})
}

// openControl binds and serves the control socket.
func (i *instance) openControl(ctx context.Context, commands *waiting, ended <-chan struct{}) (closeServer func(), err error) {
	addr := config.Address{Network: "unix", Addr: controlPath(i.cfg)}
	if i.cfg.Control.IsZero() {
		if err := privateFolder(filepath.Dir(addr.Addr)); err != nil {
			return nil, err
		}
	}
	ln, err := i.bind(ctx, operatorSocket("control", addr, 0o600))
	if err != nil {
		return nil, err
	}
	c := &ctl{reload: i.master.Reload, request: i.master.RequestReload, stop: i.master.Stop, snapshot: i.master.Snapshot, ended: ended, commands: commands, log: i.log}
	srv := c.server()
	i.serving.Go(func() { _ = srv.Serve(ownersOnly{Listener: ln, log: i.log}) })
	return func() { endControl(srv, commands) }, nil
}

// endControl returns when the commands that wait for the end are answered.
func endControl(srv *http.Server, commands *waiting) {
	ctx, cancel := context.WithTimeout(context.Background(), lastAnswers)
	defer cancel()
	if srv.Shutdown(ctx) != nil {
		_ = srv.Close()
	}
	commands.answers.Wait() // each is one write into an empty socket
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
	i.log.Info("status", "state", s.State, "generation", s.Generation, "workers", s.Wanted(), "ready", s.Ready,
		"requests", requests, "busy", busy, "listen_queue", s.ListenQueue)
}
