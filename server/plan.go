package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/seed17661985/ostler/master"
	"github.com/seed17661985/ostler/server/config"
	"github.com/seed17661985/ostler/stats"
	"github.com/seed17661985/ostler/stats/scoreboard"
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
	Contract int      `json:"contract"` // control.Version
	Layout   int      `json:"layout"`   // scoreboard.LayoutVersion
	Legacy   int      `json:"legacy"`   // legacyVersion
	Build    string   `json:"build"`
	Apps     []string `json:"apps"`

	// Mounted are the places of Apps in this configuration, in the order in which the
	// program's workers count for them.
	Mounted []stats.App `json:"mounted"`

	// Raw is the configuration as the program understands it. The master hands it to
	// that program's workers as it is, because a newer one may have keys of which the
	// master knows nothing; what the master itself needs it reads from Config.
	Raw    json.RawMessage `json:"config"`
	Config config.Config   `json:"-"`
}

// maxConfig leaves room in a frame of the worker contract for the rest of Setup.
const maxConfig = control.MaxFrame - 64<<10

// complete makes Raw of Config.
func (s *statement) complete() error {
	raw, err := encode(s.Config)
	if err == nil && len(raw) > maxConfig {
		err = fmt.Errorf("the configuration is too large for a worker: %d bytes, the limit is %d", len(raw), maxConfig)
	}
	s.Raw = raw
	return err
}

// encode is json.Marshal without the HTML escapes, which blow a text up.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
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
	if err := resolveApps(apps, &cfg); err != nil {
		return statement{}, &usageError{err}
	}
	s := statement{Contract: control.Version, Layout: scoreboard.LayoutVersion, Legacy: legacyVersion, Build: buildID(), Mounted: countedOf(cfg), Config: cfg}
	for _, a := range apps {
		s.Apps = append(s.Apps, a.Name)
	}
	return s, s.complete()
}

// loadConfig reads the file, or takes the embedded default when there is none.
func loadConfig(path string) (config.Config, error) {
	if path == "" {
		return config.Default(), nil
	}
	return config.Load(path)
}

// ask runs the program at path and reads its statement. The context bounds how
// long it may think.
func ask(ctx context.Context, path, argv0, configPath string) (statement, error) {
	args := []string{"plan", "--json"}
	if configPath != "" {
		args = append(args, "--config", configPath)
	}
	e := errand{path: path, argv: append([]string{argv0}, args...), env: []string{planEnv + "=1"}}
	answer, words, err := e.run(ctx)
	if err != nil {
		return statement{}, &master.WordsError{Err: fmt.Errorf("ask %s for its plan: %w", argv0, err), Words: words}
	}
	var s statement
	if err := json.Unmarshal([]byte(answer), &s); err != nil {
		return statement{}, &master.WordsError{
			Err:   fmt.Errorf("ask %s for its plan: the answer is no plan (is it an ostler program?): %w", argv0, err),
			Words: words,
		}
	}
	if s.Contract != control.Version || s.Layout != scoreboard.LayoutVersion {
		return statement{}, fmt.Errorf("%s speaks worker contract %d.%d and the running master %d.%d: stop and start instead of reloading",
			argv0, s.Contract, s.Layout, control.Version, scoreboard.LayoutVersion)
	}
	if err := json.Unmarshal(s.Raw, &s.Config); err != nil {
		return statement{}, fmt.Errorf("ask %s for its plan: its configuration is not understood: %w", argv0, err)
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

// print is the plan for a person.
func (s statement) print(w io.Writer) {
	c := s.Config
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("config", "%s", orDefault(c.File, "embedded default (no --config)"))
	line("build", "%s (worker contract %d.%d)", s.Build, s.Contract, s.Layout)
	line("apps", "%s", strings.Join(s.Apps, ", "))
	for _, m := range appsOf(c) {
		line("serve", "%s at %s", m.Name, orDefault(m.Mountpoint, "/"))
	}
	for _, p := range staticPlaces(c) {
		line("serve", "files of %s at %s", p.Path, orDefault(p.Prefix, "/"))
	}
	if c.Module == "" {
		line("serve", "404 for everything else")
	}
	switch {
	case !c.Master:
		line("workers", "none: master = false serves %d threads in one process", c.Threads)
	case c.Cheaper > 0:
		line("workers", "%d to %d processes x %d threads, by %s", c.Cheaper, c.Processes, c.Threads, c.CheaperAlgo)
	default:
		line("workers", "%d processes x %d threads", c.Processes, c.Threads)
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
	check("log-level", old.LogLevel == new.LogLevel)
	check("req-logger", old.ReqLogger == new.ReqLogger)
	check("touch-reload", slices.Equal(old.TouchReload, new.TouchReload))
	check("uid", old.UID == new.UID)
	check("gid", old.GID == new.GID)
	check("crash-dir", old.CrashDir == new.CrashDir)
	check("vacuum", old.Vacuum == new.Vacuum)
	return errors.Join(changed...)
}
