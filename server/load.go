package server

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/seed17661985/ostler/master"
	"github.com/seed17661985/ostler/server/config"
	"github.com/seed17661985/ostler/worker/control"
)

// idleLinger is how long a draining worker keeps an idle http connection open:
// a request that is already on its way is answered, and told to come back on a
// new connection. docs/decisions has the reasons.
const idleLinger = 5 * time.Second

// load is master.Options.Load. The first generation runs the program that is
// running; every later one what is at its path by then, by that program's own
// plan.
func (i *instance) load(ctx context.Context) (master.Plan, master.Launcher, error) {
	exe, err := master.PinExecutable(i.opts.Executable, os.Args[1:])
	if err != nil {
		return master.Plan{}, nil, err
	}
	p, err := i.planWith(ctx, exe)
	if err != nil {
		exe.Close()
		return master.Plan{}, nil, err
	}
	i.systemd.planned(p)
	return p, exe, nil
}

func (i *instance) planWith(ctx context.Context, exe *master.Executable) (master.Plan, error) {
	if p := i.first; p != nil {
		i.first = nil
		if i.opts.self && !isThisProgram(exe.Path()) {
			return master.Plan{}, fmt.Errorf("%s was replaced while it started: start again", i.opts.Executable)
		}
		return *p, makeAccessLog(i.cfg, i.owner)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(i.cfg.StartTimeout))
	defer cancel()
	s, err := ask(ctx, exe.Path(), i.opts.Executable, i.opts.Config)
	if err != nil {
		return master.Plan{}, err
	}
	i.succession.newest.Store(&candidate{other: !isThisProgram(exe.Path()), legacy: s.Legacy})
	if err := needRestart(i.cfg, s.Config); err != nil {
		return master.Plan{}, err
	}
	return makePlan(s)
}

// makePlan turns a program's statement into what the master needs, and asks the
// machine about the names in it. It changes nothing: check calls it too.
func makePlan(s statement) (master.Plan, error) {
	cfg := s.Config
	cred, err := credential(cfg)
	if err != nil {
		return master.Plan{}, fmt.Errorf("%s: %w", cfg.File, err)
	}
	if cfg.Affinity > 0 && runtime.GOOS != "linux" {
		return master.Plan{}, fmt.Errorf("%s: cpu-affinity: %s cannot bind a process to CPUs", cfg.File, runtime.GOOS)
	}
	env, err := environment(cfg)
	if err != nil {
		return master.Plan{}, err
	}
	sockets, err := listeners(cfg)
	if err != nil {
		return master.Plan{}, fmt.Errorf("%s: %w", cfg.File, err)
	}
	return master.Plan{
		Build: s.Build, Workers: cfg.Processes, Scaling: scaling(cfg), Threads: cfg.Slots(), Affinity: cfg.Affinity,
		Apps: s.Mounted, Sockets: sockets, Config: s.Raw,
		Env: env, Dir: cfg.Chdir, Credential: cred,
		StartTimeout: time.Duration(cfg.StartTimeout), Mercy: time.Duration(cfg.WorkerReloadMercy), Linger: idleLinger, LameDuck: time.Duration(cfg.LameDuck),
		RSS: uint64(cfg.ReloadOnRSS), EvilRSS: uint64(cfg.EvilReloadOnRSS),
		MaxLifetime: time.Duration(cfg.MaxWorkerLifetime), MinLifetime: time.Duration(cfg.MinWorkerLifetime),
		Probation: time.Duration(cfg.ReloadProbation), Surge: cfg.Surge(),
	}, nil
}

// scaling is nothing without cheaper: the other keys have defaults.
func scaling(cfg config.Config) master.Scaling {
	if cfg.Cheaper == 0 {
		return master.Scaling{}
	}
	return master.Scaling{
		Least: cfg.Cheaper, Initial: max(cfg.Cheaper, cfg.CheaperInitial), Step: cfg.CheaperStep,
		Backlog: cfg.CheaperAlgo == "backlog", Overload: cfg.CheaperOverload, Alert: cfg.CheaperBusynessBacklogAlert,
		Max: cfg.CheaperBusynessMax, Min: cfg.CheaperBusynessMin,
		Multiplier: cfg.CheaperBusynessMultiplier, Penalty: cfg.CheaperBusynessPenalty,
		Idle: time.Duration(cfg.Idle),
	}
}

// environment is this process's, then env-file, then [env]: the later wins.
func environment(cfg config.Config) ([]string, error) {
	env := os.Environ()
	if cfg.EnvFile != "" {
		src, err := os.ReadFile(cfg.EnvFile)
		if err != nil {
			return nil, fmt.Errorf("%s: env-file: %w", cfg.File, err)
		}
		vars, err := config.ParseEnvFile(cfg.EnvFile, src)
		if err != nil {
			return nil, err
		}
		for k, v := range vars {
			env = append(without(env, k), k+"="+v)
		}
	}
	for k, v := range cfg.Env {
		env = append(without(env, k), k+"="+v)
	}
	return env, nil
}

func listeners(cfg config.Config) ([]master.Socket, error) {
	uid, gid, err := socketOwner(cfg.ChownSocket)
	if err != nil {
		return nil, err
	}
	sockets := make([]master.Socket, len(cfg.Sockets))
	for n, s := range cfg.Sockets {
		sockets[n] = master.Socket{
			Socket:  control.Socket{Name: s.Address.Addr, Proto: s.Proto},
			Backlog: cfg.Listen, Mode: os.FileMode(cfg.ChmodSocket), Uid: uid, Gid: gid,
		}
	}
	return sockets, nil
}
