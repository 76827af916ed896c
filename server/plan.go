package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/seed17661985/ostler/server/config"
	"github.com/seed17661985/ostler/worker/control"
)

// planEnv marks a process that a master started to state its plan. A program
// with a command line of its own (cmd/ostler, a test binary) looks at Spawned
// and hands over to Main.
const planEnv = "OSTLER_PLAN"

// statement is what a program says it would do with a configuration file: the
// answer of `plan --json`. On reload the master asks the new program, because
// only that program knows its own schema and its own apps.
type statement struct {
	Contract int           `json:"contract"` // control.Version
	Build    string        `json:"build"`
	Apps     []string      `json:"apps"`
	Config   config.Config `json:"config"`
}

// state checks the configuration against the registered apps.
func state(apps []App, path string) (statement, error) {
	if err := checkApps(apps); err != nil {
		return statement{}, &usageError{err}
	}
	cfg, err := loadConfig(path)
	if err != nil {
		return statement{}, err
	}
	app, err := findApp(apps, cfg.Module)
	if err != nil {
		return statement{}, &usageError{fmt.Errorf("%s: %w", cfg.File, err)}
	}
	cfg.Module = app.Name
	s := statement{Contract: control.Version, Build: buildID(), Config: cfg}
	for _, a := range apps {
		s.Apps = append(s.Apps, a.Name)
	}
	return s, nil
}

// loadConfig reads the file, or takes the embedded default when there is none.
func loadConfig(path string) (config.Config, error) {
	if path == "" {
		return config.Default(), nil
	}
	return config.Load(path)
}

// maxStatement bounds what is read from a program that may be anything.
const maxStatement = 4 << 20

// ask runs the program at path and reads its statement. The context bounds how
// long it may think.
func ask(ctx context.Context, path, argv0, configPath string) (statement, error) {
	args := []string{"plan", "--json"}
	if configPath != "" {
		args = append(args, "--config", configPath)
	}
	var out, words bytes.Buffer
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Args[0] = argv0
	cmd.Env = append(control.Environ(os.Environ()), planEnv+"=1")
	cmd.Env = without(cmd.Env, control.EnvVar)
	cmd.Stdout = &limitedBuffer{buf: &out, left: maxStatement}
	cmd.Stderr = &limitedBuffer{buf: &words, left: lastWords}
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("no answer in time: %w", context.Cause(ctx))
		}
		return statement{}, fmt.Errorf("ask %s for its plan: %w%s", argv0, err, quoted(words.String()))
	}
	var s statement
	if err := json.Unmarshal(out.Bytes(), &s); err != nil {
		return statement{}, fmt.Errorf("ask %s for its plan: the answer is no plan (is it an ostler program?): %w", argv0, err)
	}
	if s.Contract != control.Version {
		return statement{}, fmt.Errorf("%s speaks worker contract %d and the running master %d: stop and start instead of reloading", argv0, s.Contract, control.Version)
	}
	return s, nil
}

// quoted sets a program's own words under a message.
func quoted(words string) string {
	if words = strings.TrimSpace(words); words == "" {
		return ""
	}
	return "\n" + words
}

// without drops one variable.
func without(env []string, name string) []string {
	kept := env[:0:0]
	for _, kv := range env {
		if !strings.HasPrefix(kv, name+"=") {
			kept = append(kept, kv)
		}
	}
	return kept
}

// limitedBuffer keeps the first bytes and swallows the rest.
type limitedBuffer struct {
	buf  *bytes.Buffer
	left int
}

func (l *limitedBuffer) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	l.buf.Write(p[:n])
	return len(p), nil
}

// print is the plan for a person.
func (s statement) print(w io.Writer) {
	c := s.Config
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("config", "%s", orDefault(c.File, "embedded default (no --config)"))
	line("build", "%s (worker contract %d)", s.Build, s.Contract)
	line("apps", "%s", strings.Join(s.Apps, ", "))
	line("module", "%s", c.Module)
	if c.Master {
		line("workers", "%d processes x %d threads", c.Processes, c.Threads)
	} else {
		line("workers", "none: master = false serves %d threads in one process", c.Threads)
	}
	for _, sock := range c.Sockets {
		line("socket", "%s %s", sock.Proto, sock.Address)
	}
	if !c.Stats.IsZero() {
		line("stats", "%s", c.Stats)
	}
	if path := controlPath(c); c.Master && path != "" {
		line("control", "%s", path)
	}
	if c.Pidfile != "" {
		line("pidfile", "%s", c.Pidfile)
	}
}

func orDefault(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// needRestart names the keys that belong to the master's own life. A reload
// that would change one is refused: half of it could not take effect.
func needRestart(old, new config.Config) error {
	var changed []error
	check := func(key string, same bool) {
		if !same {
			changed = append(changed, fmt.Errorf("%s: changing %s takes a restart (stop, then start)", new.File, key))
		}
	}
	check("master", old.Master == new.Master)
	check("pidfile", old.Pidfile == new.Pidfile)
	check("daemonize", old.Daemonize == new.Daemonize)
	check("control", old.Control == new.Control)
	check("stats", old.Stats == new.Stats)
	check("logto", old.LogTo == new.LogTo)
	check("log-format", old.LogFormat == new.LogFormat)
	check("vacuum", old.Vacuum == new.Vacuum)
	return errors.Join(changed...)
}
