package server

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/seed17661985/ostler/server/config"
)

// Options is what Run needs beyond the configuration file.
type Options struct {
	// Config is the path of the TOML file. Empty means the embedded default: the
	// only registered app on http 127.0.0.1:8000, stats on 127.0.0.1:9191.
	Config string

	// Apps are the applications the file may name. At least one.
	Apps []App

	// Executable is the program whose file is run for the workers and looked at
	// again by each reload. Empty means the program that is running.
	Executable string

	// Signals drives the master as the signals table of the README says. Nil
	// means that nothing but ctx stops it; Main passes the process's signals.
	Signals <-chan os.Signal

	// Ready is called once, when every worker accepts. Nil means nobody asks.
	Ready func(pid int)

	// exits: the process ends when Run returns. The stop command then waits for the
	// kernel to close its connection, which is the one true sign of the end.
	exits bool

	self bool // Executable was not given: it is this program

	source *signalSource // of Signals, if another program may take this one's place
	legacy *legacy       // nil unless this one takes another's

	// getenv finds the service manager, which is for the process as a whole. Nil: there is
	// none, or whoever called Run in its own process speaks to it.
	getenv func(string) string
}

// Run hosts the apps until ctx ends (a graceful stop) or they cannot be hosted.
// It changes nothing of the process it runs in: no flags, no exit, no signal
// handlers, no working directory, no umask. It does not speak for it to systemd either.
//
// Errors: config.Errors for the file, *master.StartError when no worker became
// ready, others for what the machine refused.
func Run(ctx context.Context, o Options) error {
	s, err := state(o.Apps, o.Config)
	if err != nil {
		return err
	}
	if o.Executable == "" {
		o.self = true
		if o.Executable, err = invokedAs(); err != nil {
			return fmt.Errorf("find the running program: %w", err)
		}
	}
	if !s.Config.Master {
		return runSingle(ctx, s.Config, o)
	}
	return runMaster(ctx, s, o)
}

// invokedAs is the path this program was started by, symbolic links and all:
// who deploys by moving a link (current -> releases/7) wants a reload to follow
// it. os.Executable has resolved the link already, and is the answer when the
// path does not lead here any more.
func invokedAs() (string, error) {
	if path, err := exec.LookPath(os.Args[0]); err == nil {
		if path, err = filepath.Abs(path); err == nil && isThisProgram(path) {
			return path, nil
		}
	}
	return os.Executable()
}

// isThisProgram reports whether path is the file that this process runs.
func isThisProgram(path string) bool {
	self, err := os.Executable()
	if runtime.GOOS == "linux" {
		self = "/proc/self/exe" // the file itself, whatever is at its path by now
	}
	if err != nil {
		return false
	}
	ours, err := os.Stat(self)
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(ours, there)
}

// controlPath is where the control socket of an instance is.
func controlPath(c config.Config) string {
	if !c.Control.IsZero() {
		return c.Control.Addr
	}
	return config.ControlPath(c.File)
}

// privateFolder makes the folder of a control socket that the configuration
// does not name, and refuses one that somebody else made in a shared place.
func privateFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the folder of the control socket (or set the control key): %w", err)
	}
	st, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("look at the folder of the control socket: %w", err)
	}
	owner, ok := st.Sys().(*syscall.Stat_t)
	if !st.IsDir() || !ok || int(owner.Uid) != os.Geteuid() || st.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s is not a folder of this user alone (mode 0700): set the control key to another path", dir)
	}
	return nil
}
