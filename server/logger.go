package server

import (
	"io"
	"path/filepath"

	"github.com/hashicorp/go-hclog"
	"github.com/seed17661985/ostler/master"
	"github.com/seed17661985/ostler/server/config"
)

// newLogger is the log of a master or a worker. hclog writes each line with one
// call, so the lines of several processes do not mix.
func newLogger(out io.Writer, cfg config.Config) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{
		Name:       "ostler",
		Level:      hclog.LevelFromString(cfg.LogLevel),
		Output:     out,
		JSONFormat: cfg.LogFormat == "json",
		TimeFormat: "2006-01-02T15:04:05.000Z07:00",
	})
}

// logTarget is where the log goes: "stderr", "stdout" or a path. What daemonize
// names takes the place of the terminal.
func logTarget(cfg config.Config) string {
	if cfg.Daemonize != "" && !filepath.IsAbs(cfg.LogTo) {
		return cfg.Daemonize
	}
	return cfg.LogTo
}

// makeAccessLog makes the access log for workers of another user, who may not be
// able to make a file in its folder.
func makeAccessLog(cfg config.Config, owner *master.Credential) error {
	if owner == nil || cfg.DisableLogging || !filepath.IsAbs(cfg.ReqLogger) {
		return nil
	}
	f, err := openFor(owner, cfg.ReqLogger)
	if err != nil {
		return err
	}
	return f.Close()
}
