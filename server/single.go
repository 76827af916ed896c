package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/seed17661985/ostler/master"
	"github.com/seed17661985/ostler/server/config"
	"github.com/seed17661985/ostler/stats"
	"github.com/seed17661985/ostler/stats/scoreboard"
	"github.com/seed17661985/ostler/worker"
	"github.com/seed17661985/ostler/worker/control"
)

// single is master = false: the application in this one process, unsupervised,
// for debuggers and tests. It serves exactly as a worker does.
type single struct {
	*site
	page    *scoreboard.Page
	sockets []master.Socket
	began   time.Time
}

func runSingle(ctx context.Context, cfg config.Config, o Options) (err error) {
	st, err := openSite(cfg, nil)
	if err != nil {
		return err
	}
	page, file, err := scoreboard.Create(cfg.Slots(), len(countedOf(cfg)))
	if err != nil {
		return errors.Join(err, st.close())
	}
	st.systemd = newSystemd(o.getenv, cfg, st.log, false)
	_ = file.Close() // the mapping stays
	s := &single{site: st, page: page, began: time.Now()}
	ctx, fail := context.WithCancel(ctx)
	defer fail()
	var unannounced error
	defer func() {
		closed := st.close() // it waits for the writer of unannounced
		err = errors.Join(err, closed, unannounced)
		st.systemd.close(err)
	}()
	listeners, err := s.listen(ctx)
	if err != nil {
		return err
	}
	defer closeAll(listeners) // worker.Serve does, if it comes to that
	if err := s.openStats(ctx, s, ownMetrics(registries(o.Apps, cfg))); err != nil {
		return err
	}
	stop, cut, unwatch := s.watch(ctx, o.Signals)
	defer unwatch()
	s.tellSystemd(stop)
	names := make([]control.Socket, len(s.sockets))
	for n, sock := range s.sockets {
		names[n] = sock.Socket
	}
	err = worker.Serve(stop, worker.Host{
		Sockets: names, Listeners: listeners, Page: page, Log: s.log,
		Build: func(ctx context.Context, _ control.Setup) (worker.Service, error) {
			return buildService(ctx, o.Apps, cfg, s.log)
		},
		Mercy: time.Duration(cfg.WorkerReloadMercy), Linger: idleLinger,
		Ready: func() {
			if unannounced = s.announce(o.Ready, s); unannounced != nil {
				fail()
			}
		},
		Cut: cut,
	})
	select {
	case <-cut:
		return nil // what was cut was cut because somebody asked, as with a master
	default:
		return err
	}
}

func (s *single) listen(ctx context.Context) ([]net.Listener, error) {
	var err error
	if s.sockets, err = listeners(s.cfg); err != nil {
		return nil, fmt.Errorf("%s: %w", s.cfg.File, err)
	}
	var all []net.Listener
	for _, want := range s.sockets {
		if err := s.bind(ctx, want.Name, want); err != nil {
			closeAll(all)
			return nil, err
		}
		ln, err := s.bound[want.Name].Listener()
		if err != nil {
			closeAll(all)
			return nil, err
		}
		all = append(all, ln)
	}
	return all, nil
}

func closeAll(listeners []net.Listener) {
	for _, ln := range listeners {
		_ = ln.Close()
	}
}

// watch turns signals into the end of stop (drain) and of cut (at once). What
// needs a master says so.
func (s *single) watch(ctx context.Context, signals <-chan os.Signal) (stop context.Context, cut <-chan struct{}, unwatch func()) {
	stop, drain := context.WithCancel(ctx)
	now := make(chan struct{})
	done := make(chan struct{})
	s.serving.Go(func() {
		asked := 0
		for {
			select {
			case <-done:
				return
			case sig := <-signals:
				switch sig {
				case syscall.SIGTERM, syscall.SIGINT:
					asked++
				case syscall.SIGQUIT:
					asked += 2
				default:
					s.log.Warn("signal ignored: with master = false there is no master for it", "signal", signalName(sig))
					continue
				}
				drain()
				if asked > 1 {
					close(now)
					return
				}
			}
		}
	})
	return stop, now, func() {
		drain()
		close(done)
	}
}

// tellSystemd gives signs of life and tells when it drains. That the process runs is all the
// life there is to show: no loop decides anything here.
func (s *single) tellSystemd(stop context.Context) {
	s.serving.Go(func() {
		s.systemd.watchdog(stop, func(context.Context) error { return nil })
	})
	s.serving.Go(func() {
		<-stop.Done()
		s.systemd.progress(master.Progress{State: master.Stopping}, s)
	})
}

// fillApps is what the master does for the workers it has had.
func (s *single) fillApps(w *stats.Worker, counts []stats.AppCounters) {
	apps := countedOf(s.cfg)
	rows := make([]stats.AppStats, len(apps))
	for n, a := range apps {
		rows[n] = stats.AppStats{Module: a.Name, Mountpoint: a.Mountpoint, StartupTime: int64(s.page.Startup(n).Seconds()), Chdir: s.cfg.Chdir}
	}
	w.FillApps(stats.Ledger{}.PlusApps(apps, counts), apps, rows)
}

// Snapshot makes the one process look like a master with one worker.
func (s *single) Snapshot() stats.Snapshot {
	pid := os.Getpid()
	dir, _ := os.Getwd() // "" says that it is gone
	n := s.page.Numbers()
	w := stats.Worker{
		ID: 1, PID: pid, State: worker.State(s.page.State()).String(), Generation: 1,
		LastSpawn: s.began.Unix(), RespawnCount: 1, DeltaRequests: n.Total.Requests,
		AvgRT: uint64(s.page.AvgTime().Microseconds()),
	}
	if s.page.State() == uint32(worker.Serving) {
		w.Accepting = 1
	}
	w.RSS, w.VSZ = stats.ProcessMemory(pid)
	w.Upgraded, w.Queued, w.Process = s.page.Upgraded(), int(s.page.Waiting()), s.page.ProcessStats(pid)
	w.Fill(n.Total, n.Cores, s.page.InFlight(), time.Now())
	if beat := s.page.Heartbeat(); !beat.IsZero() {
		w.HeartbeatAgeMS = max(0, time.Since(beat).Milliseconds())
	}
	s.fillApps(&w, n.Apps)
	snap := stats.Snapshot{
		Version: Version, Ostler: Version, Build: buildID(), Generation: 1, State: w.State, Ready: w.Accepting,
		PID: pid, UID: os.Getuid(), GID: os.Getgid(), Cwd: dir, Workers: []stats.Worker{w},
		StartedAt: s.began.Unix(), ConfigFile: s.cfg.File, Imbalance: 100, Wanted: 1, WantedLeast: 1, WantedMost: 1,
	}
	for _, socket := range s.sockets {
		b := s.bound[socket.Name]
		snap.Sockets = append(snap.Sockets, b.Stats())
		snap.ListenQueueErrors += int(b.Overflows())
		snap.ListenQueue = max(snap.ListenQueue, snap.Sockets[len(snap.Sockets)-1].Queue)
	}
	snap.Load = snap.ListenQueue
	return snap
}
