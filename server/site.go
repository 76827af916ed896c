package server

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/seed17661985/ostler/master"
	"github.com/seed17661985/ostler/server/config"
	"github.com/seed17661985/ostler/stats"
	"github.com/seed17661985/ostler/stats/endpoint"
	"github.com/seed17661985/ostler/worker/control"
)

// site is what a server holds of the machine, with a master or without: its log,
// its pidfile, the addresses it is asked and shown on.
type site struct {
	cfg   config.Config      // fixed
	owner *master.Credential // whom the workers run as, fixed; nil: as we do
	log   hclog.Logger       // fixed
	out   *logFile           // what log writes to

	// Owned by the function that opened the site.
	pid   *pidfile
	bound []*master.Bound
	hush  context.CancelFunc // ends the stats

	serving sync.WaitGroup // goroutines that end before close returns
}

// openSite opens the log and takes the pidfile: a second start ends here, before
// it touches a socket.
func openSite(cfg config.Config) (*site, error) {
	owner, err := credential(cfg)
	if err != nil {
		return nil, err
	}
	out, err := openLog(logTarget(cfg), owner)
	if err != nil {
		return nil, err
	}
	out.adopt()
	s := &site{cfg: cfg, owner: owner, out: out, log: newLogger(out, cfg), hush: func() {}}
	if cfg.Pidfile != "" {
		if s.pid, err = lockPidfile(cfg.Pidfile); err != nil {
			return nil, errors.Join(err, out.close())
		}
	}
	s.log.Info("starting", "pid", os.Getpid(), "config", orDefault(cfg.File, "embedded default"), "build", buildID(), "ostler", Version)
	return s, nil
}

// close gives everything back, sockets before the pidfile that guards them, and
// ends the goroutines of the site.
func (s *site) close() error {
	s.hush()
	s.serving.Wait()
	var errs []error
	for _, b := range s.bound {
		errs = append(errs, b.Close(s.cfg.Vacuum))
	}
	if s.pid != nil {
		errs = append(errs, s.pid.release(s.cfg.Vacuum))
	}
	s.log.Info("ended", "pid", os.Getpid()) // the last line of this life, whatever came before
	return errors.Join(append(errs, s.out.close())...)
}

// bind takes an address: what is stale is replaced, what is alive is not.
func (s *site) bind(ctx context.Context, want master.Socket) (net.Listener, error) {
	b, err := master.Listen(ctx, want)
	if err != nil {
		return nil, err
	}
	s.bound = append(s.bound, b)
	return b.Listener()
}

// operatorSocket is an address that is not an application's.
func operatorSocket(what string, addr config.Address, mode os.FileMode) master.Socket {
	return master.Socket{Socket: control.Socket{Name: addr.Addr, Proto: what}, Mode: mode, Uid: -1, Gid: -1}
}

// openStats binds and serves the stats address. It answers until the site
// closes, so that a stop can be watched.
func (s *site) openStats(ctx context.Context, src stats.Source, app prometheus.Gatherer) error {
	if s.cfg.Stats.IsZero() {
		return nil
	}
	ln, err := s.bind(ctx, operatorSocket("stats", s.cfg.Stats, os.FileMode(s.cfg.ChmodSocket)))
	if err != nil {
		return err
	}
	o := endpoint.Options{Source: src, App: app}
	if m, ok := src.(interface{ Ping(context.Context) error }); ok { // a master; without one there is no loop to ask
		o.Alive = m.Ping
	}
	ctx, s.hush = context.WithCancel(context.WithoutCancel(ctx))
	s.serving.Go(func() {
		if err := endpoint.Serve(ctx, ln, o); err != nil {
			s.log.Error("stats are not served any more", "error", err)
		}
	})
	return nil
}

// announce says in the pidfile, in the log and to ready that every worker
// accepts. A pidfile that cannot be written is a start that did not succeed:
// whoever stops this server by it would stop nothing.
func (s *site) announce(ready func(pid int)) error {
	if s.pid != nil {
		if err := s.pid.write(os.Getpid()); err != nil {
			return err
		}
	}
	for _, sock := range s.cfg.Sockets {
		s.log.Info("serving", "proto", sock.Proto, "socket", sock.Address.String())
	}
	if !s.cfg.Stats.IsZero() {
		s.log.Info("serving", "proto", "stats", "socket", s.cfg.Stats.String())
	}
	if ready != nil {
		ready(os.Getpid())
	}
	return nil
}
