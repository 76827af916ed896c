package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

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

	systemd *systemd // fixed; nil: nobody is told

	// Owned by the function that opened the site.
	pid   *pidfile
	bound map[string]*master.Bound // by what is served there
	left  *legacy                  // nil unless another program was here before
	shed  atomic.Uint64            // connections to the stats that were closed for others

	endpoints []*operator // what operators reach; ended in reverse order

	serving sync.WaitGroup // goroutines that end before close returns
}

// openSite opens the log and takes the pidfile: a second start ends here, before
// it touches a socket.
//
// left is what another program left in this process, or nil.
func openSite(cfg config.Config, left *legacy) (*site, error) {
	owner, err := credential(cfg)
	if err != nil {
		return nil, err
	}
	out, err := openLog(logTarget(cfg), owner)
	if err != nil {
		return nil, err
	}
	out.adopt()
	s := &site{cfg: cfg, owner: owner, out: out, log: newLogger(out, cfg), left: left, bound: make(map[string]*master.Bound)}
	if left != nil {
		s.inherit()
		return s, nil
	}
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
	ctx, cancel := context.WithTimeout(context.Background(), lastAnswers)
	defer cancel()
	if s.holdEndpoints(ctx) != nil {
		for _, o := range s.endpoints {
			o.cut()
		}
	}
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

// inherit takes over what another program of this process held of the machine.
func (s *site) inherit() {
	if s.left.Pidfile >= 0 {
		s.pid = &pidfile{path: s.cfg.Pidfile, file: adoptFile(s.left.Pidfile, s.cfg.Pidfile)}
	}
	for what, b := range s.left.Bound {
		s.bound[what] = master.AdoptBound(b)
	}
	s.shed.Store(s.left.Shed)
	s.log.Info("took over", "pid", os.Getpid(), "build", buildID(), "from", s.left.Build, "ostler", Version)
}

// bind takes an address: what is stale is replaced, what is alive is not.
func (s *site) bind(ctx context.Context, what string, want master.Socket) error {
	if s.bound[what] != nil {
		return nil // the program before had it
	}
	b, err := master.Listen(ctx, want)
	if err == nil {
		s.bound[what] = b
	}
	return err
}

// operator is an address at which an operator is answered.
type operator struct {
	what  string
	serve func(net.Listener) (end endFunc, cut func())
	end   endFunc // nil while nobody is
	cut   func()  // for who does not wait for the end
}

// endFunc ends the answering at an address. It returns when what came is answered or, if
// that is still under way at the end of ctx, with an error: who is being answered then
// still will be.
type endFunc func(ctx context.Context) error

// open binds an address and begins to answer there.
func (s *site) open(ctx context.Context, what string, want master.Socket, serve func(net.Listener) (endFunc, func())) error {
	if err := s.bind(ctx, what, want); err != nil {
		return err
	}
	s.endpoints = append(s.endpoints, &operator{what: what, serve: serve})
	return s.openEndpoints()
}

// openEndpoints answers, where that is not done, at all addresses that were opened.
func (s *site) openEndpoints() error {
	for _, o := range s.endpoints {
		if o.end != nil {
			continue
		}
		ln, err := s.bound[o.what].Listener()
		if err != nil {
			return fmt.Errorf("serve %s: %w", o.what, err)
		}
		o.end, o.cut = o.serve(ln)
	}
	return nil
}

// holdEndpoints returns when everything that came is answered. Who connects from now on
// waits in the kernel's queue.
func (s *site) holdEndpoints(ctx context.Context) error {
	var errs []error
	for _, o := range slices.Backward(s.endpoints) {
		if o.end != nil {
			errs = append(errs, o.end(ctx))
			o.end = nil
		}
	}
	return errors.Join(errs...)
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
	o := endpoint.Options{Source: src, App: app, Shed: &s.shed, StopTimeout: scrapeLimit + time.Second}
	if m, ok := src.(interface{ Ping(context.Context) error }); ok { // a master; without one there is no loop to ask
		o.Alive = m.Ping
	}
	socket := operatorSocket("stats", s.cfg.Stats, os.FileMode(s.cfg.ChmodSocket))
	return s.open(ctx, "stats", socket, func(ln net.Listener) (endFunc, func()) {
		ctx, hush := context.WithCancel(context.WithoutCancel(ctx))
		served := make(chan struct{})
		s.serving.Go(func() {
			defer close(served)
			if err := endpoint.Serve(ctx, ln, o); err != nil {
				s.log.Error("stats are not served any more", "error", err)
			}
		})
		end := func(context.Context) error { // it has a limit of its own
			hush()
			<-served
			return nil
		}
		return end, func() {}
	})
}

// announce says in the pidfile, in the log, to systemd and to ready that every
// worker of src accepts. A pidfile that cannot be written is a start that did not succeed:
// whoever stops this server by it would stop nothing.
func (s *site) announce(ready func(pid int), src stats.Source) error {
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
	s.systemd.announce(src)
	if ready != nil {
		ready(os.Getpid())
	}
	return nil
}
