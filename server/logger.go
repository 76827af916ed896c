package server

import (
	"errors"
	"io"
	"path/filepath"

	"github.com/hashicorp/go-hclog"
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

// grantLogs lets the workers' user write both logs.
func grantLogs(cfg config.Config) error {
	cred, err := credential(cfg)
	if err != nil || cred == nil {
		return err
	}
	uid, gid := int(cred.Uid), int(cred.Gid)
	return errors.Join(grantLog(logTarget(cfg), uid, gid), grantLog(cfg.ReqLogger, uid, gid))
}
