package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/seed17661985/ostler/master"
	"github.com/seed17661985/ostler/server/config"
	"github.com/seed17661985/ostler/worker"
	"github.com/seed17661985/ostler/worker/control"
)

// Main is the whole main function of an application's program. The same program
// is the master, its workers and the operator's command; Main finds out which,
// and ends the process with the exit code of the README.
func Main(apps ...App) {
	if master.IsKeeper() {
		master.RunKeeper()
		os.Exit(exitOK)
	}
	err := runWorker(apps)
	var told *worker.FailedError
	switch {
	case errors.Is(err, control.ErrNotWorker) && succeeds():
		err = takeOver(context.Background(), apps)
	case errors.Is(err, control.ErrNotWorker):
		err = Command(context.Background(), os.Args, apps...)
	case errors.As(err, &told):
		err = quiet(err) // the master says it, where the operator reads
	}
	os.Exit(Report(os.Stderr, filepath.Base(os.Args[0]), err))
}

// Command runs an application's command line, whose first argument is the name
// of the program. Report prints its error.
func Command(ctx context.Context, args []string, apps ...App) error {
	return command(filepath.Base(args[0]), apps).RunContext(ctx, args)
}

// start is the command without a name: become the master, detached if the
// configuration says so.
func start(ctx context.Context, configPath string, apps []App) (pid int, err error) {
	daemon := inDaemon()
	defer func() {
		if err != nil {
			daemon.tell(failed(err))
		}
	}()
	s, err := state(apps, configPath)
	if err != nil {
		return 0, err
	}
	if s.Config.Daemonize != "" && !daemon.detached() {
		ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
		defer stop()
		return detach(ctx, s.Config.Daemonize)
	}
	executable, err := invokedAs() // before the folder changes: it may be a relative path
	if err != nil {
		return 0, fmt.Errorf("find the running program: %w", err)
	}
	if err := settle(s.Config); err != nil {
		return 0, err
	}
	signals := newSignalSource()
	defer signals.end()
	return 0, Run(ctx, Options{
		Config:     s.Config.File,
		Apps:       apps,
		Executable: executable,
		Signals:    signals.all,
		Ready:      func(pid int) { daemon.tell(outcome{PID: pid}) },
		exits:      true,
		self:       true,
		source:     signals,
		getenv:     os.Getenv,
	})
}

// settle sets what belongs to the whole process. Only a process that is ours
// from main on may do this, so it is not part of Run. The environment is the
// workers'; without a master this process is the worker.
func settle(cfg config.Config) error {
	syscall.Umask(int(cfg.Umask))
	if cfg.Chdir != "" {
		if err := os.Chdir(cfg.Chdir); err != nil {
			return err
		}
	}
	if cfg.Master {
		return nil
	}
	env, err := environment(cfg)
	if err != nil {
		return err
	}
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("%s: set environment variable %s: %w", cfg.File, name, err)
		}
	}
	return nil
}
