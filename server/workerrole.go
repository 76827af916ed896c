package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/seed17661985/ostler/master"
	"github.com/seed17661985/ostler/server/config"
	"github.com/seed17661985/ostler/worker"
	"github.com/seed17661985/ostler/worker/control"
	"github.com/seed17661985/ostler/worker/pool"
)

// runWorker is the whole life of a worker process.
func runWorker(apps []App) error {
	conn, err := control.Inherit()
	if err != nil {
		return err
	}
	return worker.Run(context.Background(), worker.Options{
		Conn:    conn,
		BuildID: buildID(),
		Log:     workerLogger,
		Build: func(ctx context.Context, s control.Setup) (worker.Service, error) {
			cfg, err := setupConfig(s)
			if err != nil {
				return worker.Service{}, err
			}
			// The process is ours alone: what must hold for every file the app makes is set
			// before the app exists.
			syscall.Umask(int(cfg.Umask))
			if behindFrontEnds(s.Sockets) {
				_ = giveWay() // where it is forbidden, the worker is as good, but dearer under load
			}
			return buildService(ctx, apps, cfg, workerLogger(s))
		},
	})
}

// behindFrontEnds reports whether all clients of a worker are front ends, which have many
// clients themselves.
func behindFrontEnds(sockets []control.Socket) bool {
	return !slices.ContainsFunc(sockets, func(s control.Socket) bool { return s.Proto != "uwsgi" })
}

func setupConfig(s control.Setup) (config.Config, error) {
	var cfg config.Config
	if err := json.Unmarshal(s.Config, &cfg); err != nil {
		return cfg, fmt.Errorf("read the configuration sent by the master: %w", err)
	}
	return cfg, nil
}

// workerLogger writes to the descriptor that the master made the log. Before
// the configuration is known it is a logger with the defaults.
func workerLogger(s control.Setup) hclog.Logger {
	cfg, err := setupConfig(s)
	if err != nil {
		cfg = config.Default()
	}
	return newLogger(os.Stderr, cfg)
}

// buildService makes the application and everything between it and the sockets.
// It is the same for a supervised worker and for master = false.
func buildService(ctx context.Context, apps []App, cfg config.Config, log hclog.Logger) (worker.Service, error) {
	certs, err := loadCertificates(cfg, log)
	if err != nil {
		return worker.Service{}, err
	}
	logs, err := openWorkerLogs(cfg)
	if err != nil {
		return worker.Service{}, err
	}
	a, err := loadAssets(cfg)
	if err != nil {
		return worker.Service{}, errors.Join(err, logs.close())
	}
	h, err := host(ctx, apps, cfg, a, log)
	if err != nil {
		return worker.Service{}, errors.Join(err, logs.close())
	}
	requests := pool.Options{
		Slots:         cfg.Threads,
		QueueTimeout:  time.Duration(cfg.QueueTimeout),
		MaxQueue:      cfg.MaxQueue,
		NewestFirst:   cfg.QueueOrder == "adaptive-lifo",
		Reserve:       cfg.ReserveSlots,
		Privileged:    func(r *http.Request) bool { return slices.Contains(cfg.HealthPaths, r.URL.Path) },
		SocketTimeout: time.Duration(cfg.SocketTimeout),
		OnDone:        logs.record(),
		AppOf:         h.appOf,
	}
	return worker.Service{
		Handler:     h.handler,
		NewServer:   protocols{cfg: cfg, log: log, certs: certs, assets: a}.newServer,
		Pool:        requests,
		Startup:     h.startup,
		MaxRequests: uint64(cfg.MaxRequests), ReloadOnException: cfg.ReloadOnException,
		MinLifetime:  time.Duration(cfg.MinWorkerLifetime),
		UpgradeMercy: time.Duration(cfg.UpgradeMercy),
		Metrics:      dump(registries(apps, cfg)),
		Close:        func() error { return errors.Join(h.close(), logs.close()) },
		Reopen:       logs.reopen,
	}, nil
}

// workerLogs are the two logs a worker writes: its own, which it was born with
// as standard output and error, and the access log.
type workerLogs struct {
	own    string   // target of the worker's log
	access *logFile // nil when the access log is off
	format string
}

func openWorkerLogs(cfg config.Config) (*workerLogs, error) {
	l := &workerLogs{format: cfg.ReqFormat, own: logTarget(cfg)}
	if cfg.DisableLogging {
		return l, nil
	}
	var err error
	l.access, err = openLog(cfg.ReqLogger, nil)
	return l, err
}

func (l *workerLogs) record() func(*http.Request, pool.Result) {
	if l.access == nil {
		return nil
	}
	return newAccessLog(l.access, l.format).record
}

// reopen is called on the master's word, when the files were moved away.
func (l *workerLogs) reopen() error {
	var errs []error
	if filepath.IsAbs(l.own) {
		errs = append(errs, reopenStandard(l.own))
	}
	if l.access != nil {
		errs = append(errs, l.access.reopen())
	}
	return errors.Join(errs...)
}

func (l *workerLogs) close() error {
	if l.access == nil {
		return nil
	}
	return l.access.close()
}

// Spawned reports whether an ostler master started this process, as a worker, to ask
// for its plan or to take the master's place. Programs with a command line of their own call Main at
// once when it is true; others need not care.
func Spawned() bool {
	_, w := os.LookupEnv(control.EnvVar)
	_, p := os.LookupEnv(planEnv)
	return w || p || succeeds() || master.IsKeeper()
}
